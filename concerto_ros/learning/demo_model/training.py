# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model in the box: its shape, how it was trained, and how good it is.

``concerto-ros train demo`` does all of it again on a machine of two cores.
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
from concerto_ros.learning.demo_model.rooms import (
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    DemoRooms,
    RoomCollate,
)
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.training.processes import run_in_processes
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.learning.training.trainer import Trainer, TrainingResult
from concerto_ros.ptv3.checkpoint import demo_file, save_demo
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.segmentation.convention import convention_for

#: Metres. Half as fine as the papers' grid: a quarter of the voxels, for computers without a GPU.
GRID_SIZE = 0.04

#: Narrow where voxels are many, deep where they are few.
CONFIG = PTv3Config(
    in_channels=9,
    order=("z", "z-trans", "hilbert", "hilbert-trans"),
    enc_depths=(1, 1, 2, 3, 1),
    enc_channels=(32, 64, 96, 128, 192),
    enc_num_head=(2, 4, 6, 8, 12),
    enc_patch_size=(128, 128, 128, 128, 128),
    enc_mode=True,
)

#: Cuts of four scans a step, two for each of two processes: half an hour on two cores that do
#: nothing else.
STEPS, BATCH_SIZE, BATCHES = 9500, 2, 2
SCHEDULE = Schedule(learning_rate=2e-3, weight_decay=0.05, fall="linear")
SEED = 0

#: The page that says how good it is; only a source tree has it.
DOCUMENT = "docs/demo_model.md"


def convention():
    """Indoor input, as Concerto's: metres, centred by the bounding box, z from its lowest."""
    return convention_for("indoor", rotary=False)


def new_model(classes: int, seed: int = SEED) -> Segmenter:
    """Encoder and head before training; the weights follow from the seed alone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        encoder = Encoder(CONFIG, name="demo", grid_size=GRID_SIZE)
        head = LinearHead(sum(CONFIG.channels), classes, name="demo")
    return Segmenter(encoder, head)


def _is_hidden(name: str, value: torch.Tensor) -> bool:
    """Whether a parameter maps features to features; Muon is for these alone."""
    return value.ndim > 1 and not name.startswith(("encoder.embedding.", "head."))


def class_weights(data: DemoRooms, scans: int = 400) -> torch.Tensor:
    """One over the square root of each class's share of the points, of mean 1; (K,) float32."""
    count = np.zeros(256)
    for place in np.linspace(0, len(data) - 1, min(scans, len(data))).astype(int):
        count += np.bincount(data[int(place)].labels, minlength=256)
    count = np.delete(count, UNLABELLED)[: len(data.classes)]
    weights = 1 / np.sqrt(np.maximum(count, 1) / count.sum() + 1e-3)
    return torch.from_numpy(weights / weights.mean()).float()


@torch.inference_mode()
def calibrate(model: Segmenter, scans: Sequence[Scan]) -> None:
    """Shift the head's biases to the best mIoU on scans that were not trained on.

    The loss weighs rare classes up, so that they are learned at all; left at that, the model
    would name them too often. Coordinate by coordinate, each bias by at most 0.5.
    """
    model.eval()
    scores, labels = [], []
    for scan in scans:
        batch = make_batch([scan], convention(), GRID_SIZE)
        known = batch.labels != UNLABELLED
        scores.append(model(batch)[known])
        labels.append(batch.labels[known])
    scores, labels = torch.cat(scores), torch.cat(labels).numpy()
    classes = scores.shape[1]

    def miou(bias: torch.Tensor) -> float:
        score = Confusion(classes)
        score.add((scores + bias).argmax(1).numpy(), labels)
        return score.present_mean_iou

    bias = torch.zeros(classes)
    best = miou(bias)
    for step in (0.25, 0.25, 0.125):
        for place in range(classes):
            for change in (-step, step):
                other = bias.clone()
                other[place] = (other[place] + change).clamp(-0.5, 0.5)
                value = miou(other)
                if value > best:
                    best, bias = value, other
    model.head.seg_head.bias += bias


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
    """Simulate the rooms, train on them and write the model; resumes where ``folder`` has a run.

    ``folder`` keeps the scans (some 3 MB a room) and the training state. ``minutes`` ends the run
    early, its schedule with it. ``output`` is the file to write, the one in the box if None.
    """
    data = DemoRooms(folder / "rooms", TRAINING_SEEDS[:rooms])
    held_out = DemoRooms(folder / "rooms", VALIDATION_SEEDS)
    model = new_model(len(data.classes), seed)
    trainer = Trainer(
        model,
        data,
        RoomCollate(convention(), GRID_SIZE),
        finish=RoomCollate(convention(), GRID_SIZE, large=True),
        num_classes=len(data.classes),
        steps=steps,
        batch_size=BATCH_SIZE,
        accumulate=BATCHES,
        schedule=SCHEDULE,
        orthogonal=_is_hidden,
        class_weights=class_weights(data),
        validation=held_out,
        validate_every=2000,
        folder=folder,
        checkpoint_every=500,
        minutes=minutes,
        seed=seed,
        device=device,
    )
    if device == "cpu":
        outcome = run_in_processes(trainer, min(BATCHES, os.cpu_count() or 1))
    else:
        outcome = trainer.run()
    calibrate(model.cpu(), held_out)
    save_demo(model.encoder, model.head, output or demo_file())
    return outcome
