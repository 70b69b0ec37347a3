# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encoder as a whole: batches, corner clouds, the pyramid, gradients, the one in the box."""

from __future__ import annotations

import dataclasses

import litept_models
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from concerto_ros.ptv3 import PTv3Config, build_hierarchy, load_encoder
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.kernels.backends import PAIRS

WITH_DECODER = PTv3Config(
    in_channels=9,
    order=("z", "z-trans", "hilbert", "hilbert-trans"),
    stride=(2, 2),
    enc_depths=(2, 1, 2),
    enc_channels=(12, 24, 36),
    enc_num_head=(1, 2, 3),
    enc_patch_size=(32, 32, 32),
    dec_depths=(1, 1),
    dec_channels=(18, 24),
    dec_num_head=(3, 2),
    dec_patch_size=(48, 32),
)
CONFIG = dataclasses.replace(WITH_DECODER, enc_mode=True)
VARIANTS = {
    "encoder": CONFIG,
    "rotary": dataclasses.replace(CONFIG, rotary=True),
    "decoder": WITH_DECODER,
    "post-norm": dataclasses.replace(CONFIG, pre_norm=False, layer_scale=0.1, qk_scale=0.3),
    "litept": dataclasses.replace(
        litept_models.SMALL,
        in_channels=9,
        enc_mode=True,
        enc_conv=(True, False, True),
        enc_attn=(False, True, True),
        enc_patch_size=(32, 32, 32),
    ),
}


@pytest.fixture(params=VARIANTS)
def encoder(request):
    return untrained_encoder(VARIANTS[request.param], name=request.param)


def cloud(size: int, seed: int, side: int = 16) -> tuple[torch.Tensor, ...]:
    """feat, grid_coord, coord of distinct voxels, one of them in the far corner."""
    generator = torch.Generator().manual_seed(seed)
    flat = torch.randperm(side**3 - 1, generator=generator)[: size - 1]
    flat = torch.cat([flat, torch.tensor([side**3 - 1])])
    grid_coord = torch.stack([flat // side**2, flat // side % side, flat % side], 1)
    coord = grid_coord * 0.02
    return torch.randn(size, 9, generator=generator), grid_coord, coord


def alone(parts: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return *parts, torch.tensor([len(parts[0])])


@torch.no_grad()
@pytest.mark.parametrize("sizes", [(300, 5, 80), (1, 33), (32, 64, 31)])
def test_a_batch_equals_each_cloud_alone(encoder, sizes):
    # Every cloud reaches the same far corner, so that all have the same serialization depth.
    clouds = [cloud(size, seed) for seed, size in enumerate(sizes)]
    offset = torch.tensor(sizes).cumsum(0)
    together = encoder(*(torch.cat(part) for part in zip(*clouds, strict=True)), offset)
    start, top_start = 0, 0
    for size, parts in zip(sizes, clouds, strict=True):
        single = encoder(*alone(parts))
        rows = slice(start, start + size)
        top = slice(top_start, top_start + len(single.top.feat))
        torch.testing.assert_close(together.upcast(None)[rows], single.upcast(None))
        torch.testing.assert_close(together.top.feat[top], single.top.feat)
        assert torch.equal(together.top.grid_coord[top], single.top.grid_coord)
        start, top_start = rows.stop, top.stop


@torch.no_grad()
def test_the_order_of_the_points_does_not_matter(encoder):
    feat, grid_coord, coord = cloud(200, 0)
    turned = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    offset = torch.tensor([200])
    straight = encoder(feat, grid_coord, coord, offset).upcast(None)
    mixed = encoder(feat[turned], grid_coord[turned], coord[turned], offset).upcast(None)
    torch.testing.assert_close(mixed, straight[turned])


@torch.no_grad()
@pytest.mark.parametrize("corner", [0, 40000])
def test_a_cloud_of_one_point(encoder, corner):
    pyramid = encoder(
        torch.ones(1, 9), torch.full((1, 3), corner), torch.zeros(1, 3), torch.tensor([1])
    )
    assert pyramid.upcast(None).shape == (1, sum(encoder.channels))
    assert pyramid.upcast(None).isfinite().all()
    assert len(pyramid.top.grid_coord) == 1


def test_an_empty_cloud_is_refused(encoder):
    nothing = torch.zeros(0, 3)
    with pytest.raises(ValueError, match="empty"):
        encoder(torch.zeros(0, 9), nothing.long(), nothing, torch.tensor([0]))


def test_features_of_the_wrong_shape_or_type_are_refused(encoder):
    feat, *geometry = alone(cloud(20, 0))
    with pytest.raises(ValueError, match=r"feat has shape \(20, 6\), expected \(20, 9\)"):
        encoder(feat[:, :6], *geometry)
    with pytest.raises(ValueError, match="feat has shape"):
        encoder(feat[:19], *geometry)
    with pytest.raises(ValueError, match=r"feat is torch\.int64"):
        encoder(feat.long(), *geometry)


@torch.no_grad()
def test_upcast_joins_the_levels_asked_for():
    encoder = untrained_encoder(CONFIG, name="encoder")
    parts = cloud(200, 0)
    pyramid = encoder(*alone(parts))
    feats = [level.feat for level in pyramid.levels]
    grid_coord = parts[1]
    for joined, first in ((0, 2), (1, 1), (2, 0), (None, 0)):
        expected = []
        for level in range(first, 3):
            voxels = {
                tuple(v): row for row, v in enumerate(pyramid.levels[level].grid_coord.tolist())
            }
            rows = [voxels[tuple(v)] for v in (grid_coord // 2**level).tolist()]
            expected.append(feats[level][rows])
        assert torch.equal(pyramid.upcast(joined), torch.cat(expected, 1))
    for wrong in (-1, 3, 1.5):
        with pytest.raises(ValueError, match=f"concat_levels is {wrong}, expected 0 to 2"):
            pyramid.upcast(wrong)


@torch.no_grad()
def test_a_decoder_leaves_one_level_in_input_order():
    encoder = untrained_encoder(VARIANTS["decoder"], name="decoder")
    parts = cloud(200, 0)
    pyramid = encoder(*alone(parts))
    assert len(pyramid.levels) == 1 and encoder.channels == (18,)
    assert torch.equal(pyramid.top.grid_coord, parts[1])
    for joined in (None, 0, 2, 7):
        assert pyramid.upcast(joined) is pyramid.top.feat


def test_the_float_half_never_looks_at_values(encoder):
    """Features without values pass through, so nothing in it waits for the device."""
    feat, *geometry = alone(cloud(300, 0))
    hierarchy = build_hierarchy(*geometry, encoder.config, PAIRS)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        out = encoder.forward_features(mode.from_tensor(feat), hierarchy).upcast(None)
    assert out.shape == (300, sum(encoder.channels))


def test_gradients_reach_every_parameter_and_change_no_value(encoder):
    parts = alone(cloud(120, 0))
    with torch.no_grad():
        expected = encoder(*parts).upcast(None)
    out = encoder(*parts).upcast(None)
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@torch.no_grad()
def test_nothing_depends_on_the_global_random_state():
    torch.manual_seed(0)
    first = load_encoder("demo")
    torch.manual_seed(1)
    second = load_encoder("demo")
    parts = alone(cloud(200, 0))
    assert torch.equal(first(*parts).upcast(None), second(*parts).upcast(None))
    state = torch.get_rng_state()
    first(*parts)
    assert torch.equal(torch.get_rng_state(), state)


@torch.no_grad()
def test_the_bundled_model_loads():
    encoder = load_encoder("demo")
    assert encoder.trained and encoder.name == "demo" and encoder.grid_size == 0.04
    assert not encoder.training and not encoder.rotary
    pyramid = encoder(*alone(cloud(500, 0)))
    assert pyramid.upcast(None).isfinite().all()
    assert pyramid.levels[0].feat.std(0).min() > 0.1


def test_a_hierarchy_cannot_be_changed():
    hierarchy = untrained_encoder(CONFIG, name="").hierarchy(*alone(cloud(9, 0))[1:])
    with pytest.raises(dataclasses.FrozenInstanceError):
        hierarchy.levels[0].depth = 3
