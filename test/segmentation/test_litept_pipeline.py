# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A published checkpoint of LitePT labels clouds: one file is encoder and head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from litept_models import SMALL, published_file

from concerto_ros import SemanticPipeline
from concerto_ros.ptv3.litept.encoder import LitePT
from concerto_ros.settings.settings import Settings


def test_one_file_is_encoder_and_head_of_a_pipeline(tmp_path):
    config = replace(SMALL, enc_patch_size=(1024,) * 3, dec_patch_size=(1024,) * 2)
    path, _ = published_file(tmp_path, config, classes=20)
    settings = Settings(
        checkpoint=str(path), head=str(path), device="cpu", precision="float32", voxel_size=0.1
    )
    pipeline = SemanticPipeline.from_settings(settings)
    assert isinstance(pipeline.encoder, LitePT) and pipeline.labels.name == "scannet20"
    random = np.random.default_rng(0)
    points = random.uniform((-2, -2, 0), (2, 2, 0.02), (2000, 3)).astype(np.float32)
    colors = random.integers(0, 255, (2000, 3)).astype(np.uint8)
    normals = np.tile(np.float32([0, 0, 1]), (2000, 1))
    prediction = pipeline.segment(points, colors=colors, normals=normals)
    assert (prediction.label < 20).all() and np.isfinite(prediction.confidence).all()
    assert len(np.unique(prediction.label)) > 1
    # Where the cloud lies does not matter: the model takes no coordinates.
    moved = pipeline.segment(points + np.float32([20, -8, 0]), colors=colors, normals=normals)
    assert (moved.label == prediction.label).mean() > 0.9
