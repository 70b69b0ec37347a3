# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LitePT is trained by every method, and its files load like those of any other encoder."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from litept_models import SMALL, encoder_of
from training_data import INDOOR, box_scan

from concerto_ros.heads import LinearHead
from concerto_ros.heads.linear import save_head
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.methods.train import METHODS, TrainingConfig, train
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.checkpoint import save_encoder
from concerto_ros.ptv3.litept.encoder import LitePT

SCANS = [box_scan(seed, 300) for seed in range(2)]
COLLATE = ScanCollate(INDOOR, 0.1)
WITH_DECODER = replace(SMALL, in_channels=9)
ENCODER_ONLY = replace(WITH_DECODER, enc_mode=True)


@torch.no_grad()
def logits_of(encoder, head):
    batch = COLLATE(SCANS, None)
    pyramid = encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
    return head(pyramid.upcast(head.concat_levels(encoder)))


@pytest.mark.parametrize(
    ("method", "config"), [(method, ENCODER_ONLY) for method in METHODS] + [("full", WITH_DECODER)]
)
def test_what_was_trained_is_saved_and_loads_again(tmp_path, method, config):
    encoder = encoder_of(config)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    recipe = TrainingConfig(
        folder=tmp_path, steps=3, validate_every=3, views=1, learning_rate=1e-2, progress=False
    )
    trained, head, outcome = train(method, encoder, SCANS[:1], SCANS[1:], 3, COLLATE, recipe)
    assert isinstance(trained, LitePT) and outcome.steps == 3
    assert trained.config.enc_mode is (method in ("head", "lora"))
    save_encoder(tmp_path / "encoder.pth", trained)
    save_head(tmp_path / "head.pth", head)
    loaded = load_encoder(tmp_path / "encoder.pth")
    loaded_head = LinearHead.load(tmp_path / "head.pth", loaded)
    assert torch.equal(logits_of(loaded, loaded_head), logits_of(trained, head))

    after = trained.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    statistics = {name for name in before if "running_" in name or "num_batches" in name}
    assert not changed & statistics
    if method in ("head", "decoder"):
        assert not changed
    elif method == "lora":
        assert changed == {f"enc.enc2.block{block}.attn.qkv.weight" for block in range(3)}
    else:
        assert changed == before.keys() - statistics
