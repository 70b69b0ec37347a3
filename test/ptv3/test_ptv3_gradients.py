# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What training needs of the encoder: right gradients, and the features that inference gives."""

from __future__ import annotations

import pytest
import torch
from training_data import CONFIG, INDOOR, box_scan, small_encoder

from concerto_ros.learning.data.batch import make_batch
from concerto_ros.learning.methods.decoder import with_decoder
from concerto_ros.ptv3 import build_hierarchy
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv

BATCH = make_batch([box_scan(0, 500), box_scan(1, 150), box_scan(2, 60)], INDOOR, 0.1)


def case(count, extent, seed=0):
    """A convolution of three channels in float64, features, and the neighbours of two clouds."""
    generator = torch.Generator().manual_seed(seed)
    clouds = [
        torch.unique(torch.randint(0, extent, (count, 3), generator=generator), dim=0)
        for _ in range(2)
    ]
    offset = torch.tensor([len(cloud) for cloud in clouds]).cumsum(0)
    grid_coord = torch.cat(clouds)
    hierarchy = build_hierarchy(grid_coord, grid_coord.float(), offset, CONFIG)
    feat = torch.randn(len(grid_coord), 3, generator=generator, dtype=torch.float64)
    return SubmanifoldConv(3).double(), feat, hierarchy.levels[0].neighbours


@pytest.mark.parametrize("feat_learns", [True, False])
@pytest.mark.parametrize("weight_learns", [True, False])
@pytest.mark.parametrize(("count", "extent"), [(20, 3), (1, 1), (3, 200)])
def test_gradients_of_the_convolution_are_those_of_finite_differences(
    count, extent, feat_learns, weight_learns
):
    conv, feat, neighbours = case(count, extent)

    def convolve(feat, weight, bias):
        given = {"weight": weight, "bias": bias}
        return torch.func.functional_call(conv, given, (feat, neighbours))

    feat.requires_grad_(feat_learns)
    weight = conv.weight.detach().clone().requires_grad_(weight_learns)
    assert torch.autograd.gradcheck(convolve, (feat, weight, conv.bias))


@pytest.mark.parametrize("decoder", [False, True])
def test_training_sees_the_features_of_inference(decoder):
    encoder = small_encoder()
    encoder = (with_decoder(encoder) if decoder else encoder).requires_grad_(True).train()
    given = (BATCH.feat, BATCH.grid_coord, BATCH.coord, BATCH.offset)
    learning = encoder(*given).upcast(None)
    assert learning.requires_grad
    with torch.inference_mode():
        inferred = encoder.eval()(*given).upcast(None)
    # Inference may take products that give no gradients, and add up in another order.
    torch.testing.assert_close(inferred, learning.detach(), rtol=1e-5, atol=1e-5)


def test_gradients_are_the_same_on_every_run_and_reach_every_parameter():
    encoder = with_decoder(small_encoder()).requires_grad_(True)
    runs = []
    for _ in range(2):
        encoder.zero_grad()
        given = (BATCH.feat, BATCH.grid_coord, BATCH.coord, BATCH.offset)
        encoder(*given).upcast(None).square().sum().backward()
        runs.append({name: p.grad.clone() for name, p in encoder.named_parameters()})
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert all(torch.isfinite(grad).all() and grad.any() for grad in runs[0].values())


def test_a_cloud_learns_the_same_alone_and_among_others():
    encoder = small_encoder().requires_grad_(True)

    def gradient(batch, rows):
        encoder.zero_grad()
        pyramid = encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
        pyramid.upcast(None)[rows].square().sum().backward()
        return [p.grad.clone() for p in encoder.parameters()]

    first = slice(0, int(BATCH.offset[0]))
    together = gradient(BATCH, first)
    alone = gradient(make_batch([box_scan(0, 500)], INDOOR, 0.1), slice(None))
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
