# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundled demo model: architecture and training.

``concerto-ros train demo`` repeats the training, in less than an hour on two cores.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.collate import RoomCollate
from concerto_ros.learning.demo_model.rooms import TRAINING_SEEDS, VALIDATION_SEEDS, DemoRooms
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.training.processes import run_in_processes
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.learning.training.trainer import Trainer, TrainingResult
from concerto_ros.ptv3.bundled import demo_file, save_demo
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.segmentation.convention import Convention, convention_for

#: Voxel size, metres: twice that of the papers, so a quarter of the voxels, for CPUs.
GRID_SIZE = 0.04

#: Narrow in fine levels with many voxels; wide and deep from 16 cm on, where few are left.
CONFIG = PTv3Config(
    in_channels=9,
    order=("z", "z-trans", "hilbert", "hilbert-trans"),
    enc_depths=(1, 1, 3, 3, 1),
    enc_channels=(32, 64, 128, 160, 192),
    enc_num_head=(2, 4, 8, 10, 12),
    enc_patch_size=(128, 128, 128, 128, 128),
    enc_mode=True,
)

#: A step has two batches of two scans, one batch per process.
STEPS, BATCH_SIZE, BATCHES = 9500, 2, 2
SCHEDULE = Schedule(learning_rate=2e-3, weight_decay=0.05, fall="linear")
#: Decay of the moving average of the weights.
AVERAGE = 0.999
SEED = 0

#: The page with the measured accuracy; it exists in a source tree only.
DOCUMENT = "docs/demo_model.md"


def convention() -> Convention:
    """The indoor convention: metres, centred by the bounding box, z from its lowest point."""
    return convention_for("indoor", rotary=False)


def new_model(classes: int, seed: int = SEED) -> Segmenter:
    """Encoder and head before training; the weights depend only on ``seed``."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        encoder = Encoder(CONFIG, name="demo", grid_size=GRID_SIZE, preset="indoor")
        head = LinearHead(sum(CONFIG.channels), classes, name="demo")
    return Segmenter(encoder, head)


def _is_hidden(name: str, value: torch.Tensor) -> bool:
    """Whether a parameter is a hidden layer's matrix or kernel, which Muon trains."""
    return value.ndim > 1 and not name.startswith(("encoder.embedding.", "head."))


def class_weights(data: DemoRooms, scans: int = 400) -> torch.Tensor:
    """Weights of the loss: the inverse square root of each class's frequency, with mean 1.

    Args:
        data: The scans.
        scans: Maximum number of scans whose points are counted.

    Returns:
        (K,) float32.
    """
    count = np.zeros(256)
    for index in np.linspace(0, len(data) - 1, min(scans, len(data))).astype(int):
        count += np.bincount(data[int(index)].labels, minlength=256)
    count = np.delete(count, UNLABELLED)[: len(data.classes)]
    weights = 1 / np.sqrt(np.maximum(count, 1) / count.sum() + 1e-3)
    return torch.from_numpy(weights / weights.mean()).float()


@torch.inference_mode()
def calibrate(model: Segmenter, scans: Sequence[Scan]) -> None:
    """Shift the head's biases to the best mIoU on ``scans``, which were not trained on.

    The loss gives rare classes larger weights, which makes the model predict them too often. The
    biases are changed one at a time, each by at most 0.5.
    """
    model.eval()
    scores_by_scan, labels_by_scan = [], []
    for scan in scans:
        batch = make_batch([scan], convention(), GRID_SIZE)
        labelled = batch.labels != UNLABELLED
        scores_by_scan.append(model(batch)[labelled])
        labels_by_scan.append(batch.labels[labelled])
    scores, labels = torch.cat(scores_by_scan), torch.cat(labels_by_scan).numpy()
    classes = scores.shape[1]

    def miou(bias: torch.Tensor) -> float:
        score = Confusion(classes)
        score.add((scores + bias).argmax(1).numpy(), labels)
        return score.present_mean_iou

    bias = torch.zeros(classes)
    best = miou(bias)
    for step in (0.25, 0.25, 0.125):
        for label in range(classes):
            for change in (-step, step):
                candidate = bias.clone()
                candidate[label] = (candidate[label] + change).clamp(-0.5, 0.5)
                value = miou(candidate)
                if value > best:
                    best, bias = value, candidate
    model.head.seg_head.bias.add_(bias)


def train(
    folder: Path,
    *,
    rooms: int = len(TRAINING_SEEDS),
    steps: int = STEPS,
    minutes: float | None = None,
    seed: int = SEED,
    device: str = "cpu",
    output: Path | None = None,
) -> TrainingResult:
    """Simulate rooms, train on them and write the model.

    Args:
        folder: Where the scans (some 3 MB per room) and the state of the run are kept; if it has
            the state of a run, that one resumes.
        rooms: Number of training rooms.
        steps: Number of steps.
        minutes: Time limit, with which the learning rate falls as well; None: no limit.
        seed: Random seed of the weights and of the training.
        device: Where to train; a CPU uses several processes.
        output: File to write; None: the bundled one.

    Returns:
        The result of the run.
    """
    data = DemoRooms(folder / "rooms", TRAINING_SEEDS[:rooms])
    held_out = DemoRooms(folder / "rooms", VALIDATION_SEEDS)
    model = new_model(len(data.classes), seed)
    trainer = Trainer(
        model,
        data,
        RoomCollate(convention(), GRID_SIZE),
        final_collate=RoomCollate(convention(), GRID_SIZE, large=True),
        num_classes=len(data.classes),
        steps=steps,
        batch_size=BATCH_SIZE,
        accumulate=BATCHES,
        schedule=SCHEDULE,
        use_muon=_is_hidden,
        class_weights=class_weights(data),
        average=AVERAGE,
        validation=held_out,
        validate_every=2000,
        folder=folder,
        checkpoint_every=500,
        minutes=minutes,
        seed=seed,
        device=device,
    )
    if device == "cpu":
        result = run_in_processes(trainer, min(BATCHES, os.cpu_count() or 1))
    else:
        result = trainer.run()
    calibrate(model.cpu(), held_out)
    save_demo(model.encoder, model.head, output or demo_file())
    return result
