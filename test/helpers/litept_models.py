# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small LitePTs with random weights, and files of them as their training writes them."""

from __future__ import annotations

import numpy as np
import torch

from concerto_ros.ptv3.architectures import new_encoder
from concerto_ros.ptv3.litept.config import LitePTConfig

#: In small what the published configs are: convolutions early, attention late.
SMALL = LitePTConfig(
    in_channels=6,
    stride=(2, 2),
    enc_depths=(1, 1, 3),
    enc_channels=(18, 36, 36),
    enc_num_head=(1, 2, 2),
    enc_patch_size=(32, 32, 16),
    enc_conv=(True, True, False),
    enc_attn=(False, False, True),
    enc_rope_freq=(100.0,) * 3,
    dec_depths=(0, 0),
    dec_channels=(18, 36),
    dec_num_head=(1, 2),
    dec_patch_size=(32, 32),
    dec_conv=(False, False),
    dec_attn=(False, False),
    dec_rope_freq=(100.0,) * 2,
)


def random_state(encoder, seed=0):
    """Weights and statistics of random numbers, none of them trivial."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in encoder.state_dict().items():
        drawn = torch.randn(value.shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = drawn.square() + 0.1
        elif value.ndim > 1:
            state[name] = drawn * (2 / value[0].numel()) ** 0.5
        else:
            state[name] = drawn * 0.3 + float(name.endswith("weight"))
    return state


def encoder_of(config, seed=0):
    encoder = new_encoder(config).eval().requires_grad_(False)
    encoder.load_state_dict(random_state(encoder, seed))
    return encoder


def published_file(tmp_path, config, *, classes=None, seed=0, **more):
    """A checkpoint of the published training: no config, the optimizer's state beside."""
    encoder = encoder_of(config, seed)
    state = {f"module.backbone.{name}": value for name, value in encoder.state_dict().items()}
    if classes:
        generator = torch.Generator().manual_seed(seed)
        width = sum(encoder.channels)
        weight = torch.randn(classes, width, generator=generator) / width**0.5
        state |= {"module.seg_head.weight": weight, "module.seg_head.bias": torch.zeros(classes)}
    path = tmp_path / "model_best.pth"
    optimizer = {"state": {0: {"step": torch.ones(())}}, "param_groups": [{"lr": 0.1}]}
    content = {"epoch": 100, "state_dict": state, "optimizer": optimizer, "scaler": {}}
    torch.save({**content, "best_metric_value": np.float64(0.7), **more}, path)
    return path, encoder
