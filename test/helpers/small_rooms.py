# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans of a floor, a wall and a box, with an encoder and pre-training small enough for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.pretraining.presets import Preset
from concerto_ros.learning.pretraining.views import ViewSizes
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder

#: Metres.
VOXEL = 0.1


def room_scan(seed: int, points: int = 400) -> Scan:
    """A floor, a wall and a box, in this order of labels."""
    random = np.random.default_rng(seed)
    floor = random.uniform((0, 0, 0), (2.5, 2.5, 0.02), (points, 3))
    wall = random.uniform((0, 0, 0), (2.5, 0.02, 1.5), (points // 2, 3))
    box = random.uniform((1, 1, 0.4), (1.6, 1.6, 0.45), (points // 4, 3))
    parts = [floor, wall, box]
    normals = [(0, 0, 1), (0, 1, 0), (0, 0, 1)]
    return Scan(
        f"room {seed}",
        np.concatenate(parts).astype(np.float32),
        np.repeat([0, 1, 2], [len(part) for part in parts]).astype(np.uint8),
        colors=random.integers(0, 255, (sum(map(len, parts)), 3)).astype(np.uint8),
        normals=np.repeat(np.array(normals, np.float32), [len(part) for part in parts], axis=0),
    )


def small_encoder(seed: int = 0) -> Encoder:
    """Three levels of one block, with random weights."""
    config = PTv3Config(
        in_channels=9,
        order=("z", "hilbert"),
        stride=(2, 2),
        enc_depths=(1, 1, 1),
        enc_channels=(8, 16, 16),
        enc_num_head=(1, 2, 2),
        enc_patch_size=(32, 32, 32),
        enc_mode=True,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Encoder(config, name="small", grid_size=VOXEL, preset="indoor").eval()


def small_preset(preset: Preset, points: int = 150, **changes) -> Preset:
    """A pre-training with narrow heads and views of few points, two of them local."""
    sizes = ViewSizes(most=points, locals=2)
    return replace(preset, sizes=sizes, hidden=16, width=8, prototypes=8, **changes)
