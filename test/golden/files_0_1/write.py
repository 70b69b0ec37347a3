# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Wrote the files of this folder. Runs with version 0.1 alone, whose modules it imports:

cd test/golden/files_0_1
PYTHONPATH=$CHECKOUT_OF_0_1:$CHECKOUT_OF_0_1/test:../../helpers python write.py
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import bag_recordings
import numpy as np
import plain_inputs
import torch
from rosbags.rosbag2 import StoragePlugin

from concerto_ros.bags import job as bag_job
from concerto_ros.bags.label import Labeller
from concerto_ros.cloud.frame import Frame
from concerto_ros.cloud.model_input import convention_for
from concerto_ros.cloud.voxel_map import VoxelMap
from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.taught import Examples
from concerto_ros.labels import LabelSet
from concerto_ros.learning import augment, demo_rooms
from concerto_ros.learning.checkpoints import save_encoder, save_head
from concerto_ros.learning.collate import ScanCollate
from concerto_ros.learning.objects.fine_tune import fine_tune
from concerto_ros.learning.objects.models import save_object_encoder
from concerto_ros.learning.objects.object_set import ObjectSet
from concerto_ros.learning.objects.recipes import Recipe as ObjectRecipe
from concerto_ros.learning.objects.training_run import TrainingRun
from concerto_ros.learning.probes import Recipe, train
from concerto_ros.learning.scan import Scan
from concerto_ros.learning.trainer import Trainer
from concerto_ros.map_file import stored_map, write_map
from concerto_ros.objects.recon import ReCon
from concerto_ros.objects.recon_trunk import ReConShape
from concerto_ros.objects.vocabulary import Vocabulary
from concerto_ros.prediction import Prediction
from concerto_ros.ptv3 import Encoder, PTv3Config
from concerto_ros.teaching import TaughtClasses

HERE = Path(__file__).resolve().parent


class Killed(BaseException):
    """Nothing of 0.1 catches it."""


def encoder_of(name: str = "tiny") -> Encoder:
    encoder = Encoder(PTv3Config(**plain_inputs.ENCODER), name=name, grid_size=0.1)
    return plain_inputs.fill(encoder)


def head_of(encoder: Encoder) -> LinearHead:
    head = plain_inputs.fill(LinearHead(sum(encoder.channels), 2, name="tiny"))
    head.labels, head.preset = LabelSet.from_generic(2), "indoor"
    return head


def models() -> None:
    encoder = encoder_of()
    encoder.preset = "indoor"
    save_encoder(HERE / "encoder.pth", encoder)
    head = head_of(encoder)
    save_head(HERE / "head.pth", head)
    showing = torch.from_numpy(plain_inputs.pattern(12, head.in_channels)) + 1
    taught = TaughtClasses(head, head.labels).taught("plant", Examples(showing, -showing))
    save_head(HERE / "taught_head.pth", taught.named_head())
    names = ("chair", "table")
    Vocabulary(names, torch.from_numpy(plain_inputs.pattern(2, 16))).save(HERE / "words.npz")
    recon = plain_inputs.fill(ReCon(ReConShape(**plain_inputs.RECON), 16))
    recon.add_head(2, linear=True)
    save_object_encoder(HERE / "objects.pth", plain_inputs.fill(recon), names)


def map_of() -> None:
    arrays = plain_inputs.scan_arrays(0)
    voxels = VoxelMap(0.1, window_seconds=10.0, max_voxels=1000)
    frame = Frame(
        arrays["points"][::4],
        2_000_000_000,
        "odom",
        colors=arrays["colors"][::4],
        origin=np.array([1.0, 1.0, 1.0]),
    )
    voxels.insert(frame, np.zeros(3))
    snapshot = voxels.snapshot()
    count = len(snapshot)
    prediction = Prediction(
        points=snapshot.points,
        label=(np.arange(count) % 2).astype(np.uint8),
        confidence=np.full(count, 0.75, np.float32),
        entropy=np.full(count, 0.5, np.float32),
        pca_rgb=np.zeros((count, 3), np.uint8),
        classes=LabelSet.from_generic(2).classes,
        model="tiny",
        stamp=snapshot.stamp,
        stage_ms={},
    )
    write_map(HERE / "map.safetensors", stored_map(snapshot, prediction, "odom"))


def room() -> None:
    arrays = plain_inputs.scan_arrays(0)
    scans = [Scan(f"room00001/{place}", **arrays) for place in range(demo_rooms.SCANS)]
    demo_rooms.scans_of = lambda seed: [
        replace(scan, **{n: v[:20] for n, v in arrays.items()}) for scan in scans
    ]
    demo_rooms._make((HERE, 1))


def training(method: str) -> None:
    """A training that was killed after three of four steps."""
    save = Trainer.save

    def save_and_end(self: Trainer) -> None:
        save(self)
        if self.step == 3:
            raise Killed

    folder = HERE / "out"
    scans = [Scan(f"scan{i}", **plain_inputs.scan_arrays(i)) for i in range(2)]
    collate = ScanCollate(convention_for("indoor", False), 0.1, augment.indoor(0.1), mix=0.0)
    recipe = Recipe(folder, steps=4, views=2, rank=1, checkpoint_every=1, progress=False)
    Trainer.save = save_and_end
    try:
        train(method, encoder_of(), scans, scans[:1], 2, collate, recipe)
    except Killed:
        (folder / "training.pt").rename(HERE / f"training_{method}.pt")
        for file in sorted(folder.glob("features/*"))[:1]:
            shutil.copy(file, HERE / f"features_{file.name}")
    finally:
        Trainer.save = save
        shutil.rmtree(folder)


def training_with_muon() -> None:
    trainer = Trainer(
        plain_inputs.fill(plain_inputs.RowModel()),
        plain_inputs.ROWS,
        plain_inputs.joined_rows,
        num_classes=2,
        steps=2,
        folder=HERE / "out",
        orthogonal=lambda name, value: value.ndim > 1,
        progress=False,
    )
    trainer.run()
    (HERE / "out" / "training.pt").rename(HERE / "training_muon.pt")
    shutil.rmtree(HERE / "out")


def object_training() -> None:
    """Killed after two of four epochs."""
    save = TrainingRun._save

    def save_and_end(self: TrainingRun) -> None:
        save(self)
        if self.epoch == 2:
            raise Killed

    recon = ReCon(ReConShape(**plain_inputs.RECON), 16)
    recon.add_head(2, linear=True)
    clouds = plain_inputs.object_clouds(8, 16)
    objects = ObjectSet("plain", clouds, np.arange(8) % 2, ("chair", "table"))
    recipe = ObjectRecipe(1e-3, "turn", batch_size=4, epochs=3, warm_up=1)
    TrainingRun._save = save_and_end
    try:
        fine_tune(plain_inputs.fill(recon), objects, recipe, method="linear", folder=HERE / "out")
    except Killed:
        (HERE / "out" / "training.pt").rename(HERE / "training_objects.pt")
    finally:
        TrainingRun._save = save
        shutil.rmtree(HERE / "out")


def short_drive():
    for number in range(6):
        time = number * bag_recordings.STEP
        yield number / 10, "/tf", bag_recordings.transform(time)
        yield number / 10 + 0.01, "/points", bag_recordings.cloud(time, size=40)


def bag() -> None:
    """A job that was killed in its third part, and the bag that it labels."""
    folder = HERE / "bag_job"
    folder.mkdir()
    os.chdir(folder)
    for name in ("encoder", "head"):
        shutil.copy(HERE / f"{name}.pth", folder)
    bag_recordings.write(Path("source"), short_drive(), StoragePlugin.MCAP)
    overrides = {"checkpoint": "encoder.pth", "head": "head.pth", "voxel_size": 0.1}
    label = Labeller.label

    def label_and_end(self, part, *arguments):
        if part.number == 2:
            raise Killed
        return label(self, part, *arguments)

    Labeller.label = label_and_end
    try:
        bag_job.run_job(
            bag_job.Job(Path("source"), Path("out"), overrides=overrides, part_seconds=0.2)
        )
    except Killed:
        for name in ("encoder", "head"):
            (folder / f"{name}.pth").unlink()
        os.chdir(HERE)
        shutil.make_archive("bag_job", "zip", folder)
    finally:
        Labeller.label = label
        shutil.rmtree(folder)


if __name__ == "__main__":
    models()
    map_of()
    room()
    for name in ("head", "lora"):
        training(name)
    training_with_muon()
    object_training()
    bag()
