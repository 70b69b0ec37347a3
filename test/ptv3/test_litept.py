# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LitePT against its published formulas in float64, its published layout, and its use."""

from __future__ import annotations

import dataclasses

import litept_reference
import pytest
import torch
from litept_models import SMALL, encoder_of, published_file, random_state

from concerto_ros.heads import LinearHead
from concerto_ros.ptv3 import CheckpointError, ConfigError, Encoder, load_encoder
from concerto_ros.ptv3.architectures import new_encoder
from concerto_ros.ptv3.checkpoint import save_encoder
from concerto_ros.ptv3.litept.config import LitePTConfig
from concerto_ros.ptv3.litept.encoder import LitePT

VARIANTS = {
    "semantic segmentation": SMALL,
    "instance segmentation": dataclasses.replace(
        SMALL,
        dec_depths=(1, 2),
        dec_conv=(True, False),
        dec_attn=(False, True),
        dec_rope_freq=(100.0, 50.0),
    ),
    "without a decoder": dataclasses.replace(SMALL, enc_mode=True),
    "both in a stage, other strides": dataclasses.replace(
        SMALL, enc_attn=(True, False, True), enc_conv=(True, False, True), stride=(3, 2),
        enc_num_head=(3, 2, 6), qkv_bias=False, qk_scale=0.3, mlp_ratio=2.0,
    ),
    "post-normalisation": dataclasses.replace(SMALL, pre_norm=False),
}  # fmt: skip

#: Depths, channels and heads of the published shapes, and millions of parameters they state.
PUBLISHED = {
    "LitePT-S": ((2, 2, 2, 6, 2), (36, 72, 144, 252, 504), (72, 72, 144, 252), 0, 12.7),
    "LitePT-S*": ((2, 2, 2, 6, 2), (36, 72, 144, 252, 504), (72, 72, 144, 252), 2, 16.0),
    "LitePT-B": ((3, 3, 3, 12, 3), (54, 108, 216, 432, 576), (72, 108, 216, 432), 0, 45.1),
    "LitePT-L": ((3, 3, 3, 12, 3), (72, 144, 288, 576, 864), (72, 144, 288, 576), 0, 85.9),
}


def cloud(sizes=(150, 40), side=12, channels=6, seed=0):
    """feat, grid_coord, coord and offset of clouds of distinct voxels on two planes."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for size in sizes:
        flat = torch.randperm(2 * side**2, generator=generator)[:size]
        upright, flat = flat // side**2, flat % side**2
        first, second = flat // side, flat % side
        rest = torch.full_like(flat, 3)
        plane = torch.stack([first, torch.where(upright == 1, rest, second)], 1)
        grid = torch.cat([plane, torch.where(upright == 1, second, rest)[:, None]], 1)
        grid[:, 2] += 2 * (torch.arange(size) % 2)
        parts.append(torch.unique(grid, dim=0))
    grid_coord = torch.cat(parts)
    offset = torch.tensor([len(part) for part in parts]).cumsum(0)
    feat = torch.randn(len(grid_coord), channels, generator=generator)
    return feat, grid_coord, grid_coord * 0.02, offset


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_equals_the_published_formulas_in_float64(name):
    config = VARIANTS[name]
    encoder = encoder_of(config, seed=3)
    feat, grid_coord, coord, offset = cloud()
    expected = litept_reference.features(
        encoder.state_dict(), config.to_official(), feat, grid_coord, offset
    )
    pyramid = encoder(feat, grid_coord, coord, offset)
    assert isinstance(encoder, LitePT) and len(pyramid.feats) == len(expected)
    for ours, theirs in zip(pyramid.feats, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_half_precision_stays_near():
    encoder = encoder_of(SMALL, seed=3)
    arguments = cloud()
    exact = encoder(*arguments).top.feat
    rough = encoder.to(torch.bfloat16)(*arguments).top.feat
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() / exact.norm() < 2e-2


@torch.no_grad()
def test_each_cloud_of_a_batch_is_encoded_alone():
    encoder = encoder_of(SMALL)
    first, second = cloud((60,), seed=1), cloud((90,), seed=2)
    far = torch.tensor([[15, 15, 15]])  # the codes of both have as many bits
    alone, parts = [], []
    for feat, grid, _, _ in (first, second):
        feat, grid = torch.cat([feat, feat[:1]]), torch.cat([grid, far])
        parts.append((feat, grid))
        alone.append(encoder(feat, grid, grid * 0.02, torch.tensor([len(grid)])).top.feat)
    feat, grid = (torch.cat(part) for part in zip(*parts, strict=True))
    offset = torch.tensor([len(part[0]) for part in parts]).cumsum(0)
    together = encoder(feat, grid, grid * 0.02, offset).top.feat
    torch.testing.assert_close(together, torch.cat(alone))


@torch.no_grad()
def test_a_window_does_not_reach_around_the_borders_of_the_grid():
    """Voxels at opposite faces of the box are no neighbours."""
    encoder = encoder_of(dataclasses.replace(SMALL, enc_mode=True))
    side = 6
    axes = torch.arange(side)
    grid = torch.cartesian_prod(axes, axes, axes)
    feat = torch.randn(len(grid), 6, generator=torch.Generator().manual_seed(0))
    hierarchy = encoder.hierarchy(grid, grid * 0.02, torch.tensor([len(grid)]))
    ours = encoder.embedding["stem"]["conv"](feat, hierarchy.levels[0].window)
    weight = encoder.embedding["stem"]["conv"].weight
    box = feat.T.reshape(1, 6, side, side, side).double()
    dense = torch.nn.functional.conv3d(box, weight.permute(0, 4, 1, 2, 3).double(), padding=2)
    torch.testing.assert_close(ours.double(), dense[0].flatten(1).T, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_autograd():
    encoder = new_encoder(VARIANTS["instance segmentation"]).train()
    encoder.load_state_dict(random_state(encoder))
    feat, grid_coord, coord, offset = cloud((60,))
    encoder(feat, grid_coord, coord, offset).top.feat.square().mean().backward()
    state = {
        name: value.double().requires_grad_(value.is_floating_point())
        for name, value in encoder.state_dict().items()
    }
    config = encoder.config.to_official()
    model = litept_reference.features(state, config, feat, grid_coord, offset)
    model[0].square().mean().backward()
    for name, parameter in encoder.named_parameters():
        expected = state[name].grad
        assert (parameter.grad - expected).norm() <= 1e-4 * expected.norm() + 1e-7, name


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_shapes_have_the_stated_parameters(name):
    depths, channels, decoder, blocks, millions = PUBLISHED[name]
    config = LitePTConfig(
        in_channels=6,
        enc_depths=depths,
        enc_channels=channels,
        enc_num_head=tuple(width // 18 for width in channels),
        dec_depths=(blocks,) * 4,
        dec_channels=decoder,
        dec_num_head=tuple(width // 18 for width in decoder),
        dec_conv=(True, True, True, False) if blocks else (False,) * 4,
        dec_attn=(False, False, False, bool(blocks)),
    )
    with torch.device("meta"):
        encoder = new_encoder(config)
    count = sum(parameter.numel() for parameter in encoder.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.06)


def test_names_and_shapes_are_those_of_published_files():
    shapes = {name: tuple(v.shape) for name, v in new_encoder(SMALL).state_dict().items()}

    def normalised(name, width):
        statistics = {f"{name}.{part}": (width,) for part in ("running_mean", "running_var")}
        affine = {f"{name}.weight": (width,), f"{name}.bias": (width,)}
        return affine | statistics | {f"{name}.num_batches_tracked": ()}

    def linear(name, width, out):
        return {f"{name}.weight": (out, width), f"{name}.bias": (out,)}

    def affine(name, width):
        return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

    expected = {"embedding.stem.conv.weight": (18, 5, 5, 5, 6)}
    expected |= normalised("embedding.stem.norm", 18)
    for stage, width in ((0, 18), (1, 36)):
        block = f"enc.enc{stage}.block0"
        expected |= {f"{block}.conv.0.weight": (width, 3, 3, 3, width)}
        expected |= {f"{block}.conv.0.bias": (width,)}
        expected |= linear(f"{block}.conv.1", width, width) | affine(f"{block}.conv.2", width)
    for stage, width, out in ((1, 18, 36), (2, 36, 36)):
        down = f"enc.enc{stage}.down"
        expected |= linear(f"{down}.proj", width, out) | normalised(f"{down}.norm.0", out)
    for number in range(3):
        block = f"enc.enc2.block{number}"
        for norm in ("norm0", "norm1", "norm2"):
            expected |= affine(f"{block}.{norm}.0", 36)
        expected |= linear(f"{block}.attn.qkv", 36, 108) | linear(f"{block}.attn.proj", 36, 36)
        expected |= linear(f"{block}.mlp.0.fc1", 36, 144) | linear(f"{block}.mlp.0.fc2", 144, 36)
    for stage, coarse, skip, out in ((1, 36, 36, 36), (0, 36, 18, 18)):
        for part, width in (("proj", coarse), ("proj_skip", skip)):
            name = f"dec.dec{stage}.up.{part}"
            expected |= linear(f"{name}.0", width, out) | normalised(f"{name}.1", out)
    assert shapes == expected


@torch.no_grad()
def test_a_published_checkpoint_loads_with_its_head_and_says_what_it_assumed(tmp_path, caplog):
    config = dataclasses.replace(SMALL, enc_patch_size=(1024,) * 3, dec_patch_size=(1024,) * 2)
    path, original = published_file(tmp_path, config, classes=5)
    encoder = load_encoder(path)
    assert isinstance(encoder, LitePT) and not encoder.training
    assert "LitePT of depths (1, 1, 3)" in caplog.text and "color and normal" in caplog.text
    assert encoder.config == dataclasses.replace(config, in_channels=9)
    head = LinearHead.load(path, encoder)
    feat, *geometry = cloud((60,))
    whole = torch.cat([torch.randn(len(feat), 3), feat], 1)  # coordinates are not looked at
    pyramid = encoder(whole, *geometry)
    expected = original(feat, *geometry).top.feat
    torch.testing.assert_close(pyramid.top.feat, expected, rtol=1e-4, atol=1e-4)
    assert head(pyramid.upcast(None)).shape == (len(feat), 5)


def test_an_encoder_of_other_channels_is_refused(tmp_path):
    path, _ = published_file(tmp_path, dataclasses.replace(SMALL, in_channels=4))
    with pytest.raises(CheckpointError, match=r"in_channels=4 .* such as strength, cannot"):
        load_encoder(path)


@torch.no_grad()
def test_the_config_tells_the_architecture_and_a_saved_encoder_comes_back(tmp_path):
    config = dataclasses.replace(VARIANTS["instance segmentation"], in_channels=9)
    encoder = encoder_of(config)
    save_encoder(tmp_path / "own.pth", encoder)
    assert torch.load(tmp_path / "own.pth")["config"]["type"] == "LitePT"
    again = load_encoder(tmp_path / "own.pth")
    assert isinstance(again, LitePT) and again.config == config
    arguments = cloud(channels=9)
    assert torch.equal(again(*arguments).top.feat, encoder(*arguments).top.feat)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("enc_conv", [True], r"enc_conv=\[True\]: expected 3 of True or False"),
        ("enc_attn", [0, 0, 1], r"enc_attn=\[0, 0, 1\]: expected 3 of True or False"),
        ("enc_rope_freq", [1.0, 0.0, 1.0], "enc_rope_freq.*: expected 3 numbers above 0"),
        ("dec_conv", [True] * 3, "dec_conv.*: expected 2"),
        ("enc_num_head", [1, 2, 4], r"enc_num_head.*multiple of 6, got 36 / 4 = 9"),
        ("layer_scale", 1.0, "layer_scale=1.0 is not known"),
        ("type", "PT-v3m2", "type='PT-v3m2': expected LitePT"),
    ],
)
def test_fields_that_cannot_be_honoured_are_refused_by_name(field, value, words):
    with pytest.raises(ConfigError, match=words):
        LitePTConfig.from_official({**SMALL.to_official(), field: value})


def test_a_hierarchy_of_another_architecture_is_refused():
    from concerto_ros.ptv3 import PTv3Config

    other = Encoder(
        PTv3Config(
            in_channels=6, stride=(2, 2), enc_depths=(1, 1, 1), enc_channels=(6, 6, 6),
            enc_num_head=(1, 1, 1), enc_patch_size=(16,) * 3, enc_mode=True,
        )
    )  # fmt: skip
    feat, *geometry = cloud()
    with pytest.raises(ValueError, match="has no window of the stem"):
        new_encoder(SMALL).forward_features(feat, other.hierarchy(*geometry))
