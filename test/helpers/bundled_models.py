# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small outdoor model in the place of the bundled one."""

from __future__ import annotations

import torch
from training_data import small_encoder

from concerto_ros.heads import LinearHead
from concerto_ros.ptv3 import bundled

#: Classes of the outdoor model, and voxel size and input convention of the one written here.
CLASSES = ("ground", "building", "fence", "vegetation", "vehicle", "person", "pole", "other")
VOXEL_SIZE, CONVENTION = 0.2, (0.25, "box")


def small_outdoor_model(seed: int = 0):
    """Return an untrained encoder and a head of its width, in :data:`CLASSES`."""
    encoder = small_encoder(seed)
    encoder.grid_size, encoder.preset = VOXEL_SIZE, "outdoor"
    encoder.conventions = {"outdoor": CONVENTION}
    torch.manual_seed(seed)
    return encoder, LinearHead(sum(encoder.channels), len(CLASSES)).eval()


def bundle_outdoor_model(folder, monkeypatch):
    """Let ``demo`` with the preset outdoor be a small model in ``folder``; return it."""
    encoder, head = small_outdoor_model()
    bundled.save_demo(encoder, head, folder / "demo_outdoor.safetensors")
    asset_path = bundled.asset_path

    def ours_first(name):
        return folder / name if (folder / name).is_file() else asset_path(name)

    monkeypatch.setattr(bundled, "asset_path", ours_first)
    return encoder, head
