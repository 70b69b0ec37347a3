# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans and encoders small enough to learn from within a test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ptv3_inputs

from concerto_ros.heads import LinearHead
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.methods.lora import add_lora
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.training.trainer import Trainer
from concerto_ros.ptv3 import Encoder, PTv3Config
from concerto_ros.ptv3.checkpoint import randomise, untrained_encoder
from concerto_ros.segmentation.convention import Convention, convention_for

INDOOR = convention_for("indoor", rotary=False)
VEHICLE = Convention(scale=0.2, centre="vehicle")

CONFIG = replace(
    ptv3_inputs.CONFIG,
    stride=(2, 2),
    enc_depths=(1, 1, 1),
    enc_channels=(16, 32, 48),
    enc_num_head=(1, 2, 3),
    enc_patch_size=(64, 64, 64),
)


def small_encoder(seed: int = 0, config: PTv3Config = CONFIG) -> Encoder:
    return untrained_encoder(config, name="small", seed=seed)


def box_scan(
    seed: int = 0, size: int = 1500, *, colors: bool = True, normals: bool = True
) -> Scan:
    """A floor (0), a wall (1) and a box (2) at a random place; a tenth without a label."""
    random = np.random.default_rng(seed)
    part = random.integers(0, 3, size)
    points = random.uniform(0, 2, (size, 3))
    points[part == 0, 2] = 0
    points[part == 1, 1] = 2
    inside = part == 2
    points[inside] = points[inside] / 4 + random.uniform(0.2, 1.2, 3)
    labels = np.where(random.random(size) < 0.1, 255, part).astype(np.uint8)
    normal = np.eye(3, dtype=np.float32)[[2, 1, 0]][part]
    tint = np.array([[200, 180, 160], [230, 230, 230], [60, 90, 160]])[part]
    tint = np.clip(tint + random.normal(0, 20, (size, 3)), 0, 255).astype(np.uint8)
    return Scan(
        f"box{seed}",
        points.astype(np.float32),
        labels,
        tint if colors else None,
        normal if normals else None,
    )


SCANS = [box_scan(seed, 500) for seed in range(3)]


def turned(scan, random):
    """An augmentation: the scan mirrored or not, and shaken."""
    points = scan.points * np.array([random.choice([-1, 1]), 1, 1], np.float32)
    return replace(scan, points=points + random.normal(0, 0.01, points.shape).astype(np.float32))


COLLATE = ScanCollate(INDOOR, 0.1, turned)


def small_model(*, lora=False):
    encoder = small_encoder()
    head = LinearHead(sum(encoder.channels), 3)
    randomise(head, seed=3)
    if lora:
        add_lora(encoder, dropout=0.3)
    else:
        encoder.requires_grad_(True)
    return Segmenter(encoder, head)


def trainer_of(model, folder=None, data=SCANS, **options):
    given = {"num_classes": 3, "steps": 12, "checkpoint_every": 5, "progress": False}
    return Trainer(model, data, COLLATE, folder=folder, **(given | options))
