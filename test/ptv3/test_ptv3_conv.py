# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Submanifold convolution against dense float64 convolution and against spconv."""

from __future__ import annotations

import os
import subprocess
import sys

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ptv3_inputs import convolution, voxels
from spconv_build import spconv_device

from concerto_ros.ptv3 import PTv3Config, build_hierarchy
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv

ONE_LEVEL = PTv3Config(
    order="z",
    stride=(),
    enc_depths=(1,),
    enc_channels=(8,),
    enc_num_head=(1,),
    enc_patch_size=(16,),
    enc_mode=True,
)


def neighbours_of(grid_coord: torch.Tensor, offset: torch.Tensor):
    return build_hierarchy(grid_coord, grid_coord.float(), offset, ONE_LEVEL).levels[0].neighbours


def dense_reference(conv: SubmanifoldConv, feat: torch.Tensor, grid_coord: torch.Tensor):
    """The same by a convolution over the whole box in float64."""
    x, y, z = grid_coord.unbind(1)
    box = torch.zeros(1, feat.shape[1], *(grid_coord.amax(0) + 1).tolist(), dtype=torch.float64)
    box[0, :, x, y, z] = feat.double().T
    weight = conv.weight.double().permute(0, 4, 1, 2, 3)
    out = torch.nn.functional.conv3d(box, weight, conv.bias.double(), padding=1)
    return out[0, :, x, y, z].T


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.floats(0.05, 1.0), st.integers(0, 1000))
@torch.no_grad()
def test_equals_a_dense_convolution(side, share, seed):
    grid_coord = voxels(max(1, int(share * side**3)), side, seed)
    feat = torch.randn(len(grid_coord), 5, generator=torch.Generator().manual_seed(seed))
    conv = convolution(5, seed)
    out = conv(feat, neighbours_of(grid_coord, torch.tensor([len(grid_coord)])))
    expected = dense_reference(conv, feat, grid_coord)
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_clouds_of_a_batch_do_not_touch():
    parts = [voxels(60, 5, seed) for seed in range(3)]
    conv, feat = convolution(4, 0), torch.randn(180, 4)
    together = conv(feat, neighbours_of(torch.cat(parts), torch.tensor([60, 120, 180])))
    for cloud, part in enumerate(parts):
        rows = slice(60 * cloud, 60 * cloud + 60)
        expected = dense_reference(conv, feat[rows], part)
        torch.testing.assert_close(together[rows].double(), expected, rtol=1e-5, atol=1e-5)


def test_gradients_equal_those_of_a_dense_convolution():
    grid_coord = voxels(40, 4, 0)
    conv = convolution(3, 1).double()
    feat = torch.randn(40, 3, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(40, 3, dtype=torch.float64)
    leaves = [feat, conv.weight, conv.bias]
    table = neighbours_of(grid_coord, torch.tensor([40]))
    ours = torch.autograd.grad((conv(feat, table) * wanted).sum(), leaves)
    x, y, z = grid_coord.unbind(1)
    box = torch.zeros(1, 3, *(grid_coord.amax(0) + 1).tolist(), dtype=torch.float64)
    box = box.index_put((torch.tensor(0), torch.arange(3)[:, None], x, y, z), feat.T)
    out = torch.nn.functional.conv3d(box, conv.weight.permute(0, 4, 1, 2, 3), conv.bias, padding=1)
    theirs = torch.autograd.grad((out[0, :, x, y, z].T * wanted).sum(), leaves)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_weight_keeps_the_official_shape_and_survives_a_state_dict():
    conv = convolution(4, 0)
    assert conv.weight.shape == (4, 3, 3, 3, 4)
    again = SubmanifoldConv(4)
    again.load_state_dict({name: value.clone() for name, value in conv.state_dict().items()})
    assert torch.equal(again.weight, conv.weight)


WITNESS = """
import sys, torch
import spconv.pytorch as spconv
case = torch.load(sys.argv[1], weights_only=True, map_location=sys.argv[2])
conv = spconv.SubMConv3d(6, 6, 3, bias=True).to(sys.argv[2])
conv.load_state_dict({"weight": case["weight"], "bias": case["bias"]})
indices = torch.cat([case["batch"][:, None], case["grid_coord"]], 1).int().contiguous()
sparse = spconv.SparseConvTensor(case["feat"], indices, [12, 12, 12], 2)
torch.save(conv(sparse).features.detach().cpu(), sys.argv[1])
"""


@torch.no_grad()
def test_equals_spconv(tmp_path):
    device = spconv_device()
    grid_coord = torch.cat([voxels(300, 10, 0), voxels(200, 10, 1)])
    conv, feat = convolution(6, 2), torch.randn(500, 6)
    case = {
        "weight": conv.weight.contiguous(),
        "bias": conv.bias.clone(),
        "batch": torch.repeat_interleave(torch.arange(2), torch.tensor([300, 200])),
        "grid_coord": grid_coord,
        "feat": feat,
    }
    path = tmp_path / "case.pt"
    torch.save(case, path)
    # With more than one thread spconv 2.3.8 races with itself on the CPU.
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", WITNESS, str(path), device], check=True, env=alone)
    ours = conv(feat, neighbours_of(grid_coord, torch.tensor([300, 500])))
    torch.testing.assert_close(ours, torch.load(path, weights_only=True), rtol=1e-4, atol=1e-5)
