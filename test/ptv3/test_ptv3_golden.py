# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encoder and linear heads against outputs of the reference package (test/golden/ptv3)."""

from __future__ import annotations

import copy
import json

import numpy as np
import paths
import pytest
import torch

from concerto_ros.heads import LinearHead
from concerto_ros.ptv3 import load_encoder

GOLDEN = paths.GOLDEN / "ptv3"
CASES = sorted(path.name for path in GOLDEN.iterdir())
WITH_HEAD = [case for case in CASES if (GOLDEN / case / "head.pth").exists()]
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


class Case:
    """One reference case: inputs as tensors, expected outputs as arrays."""

    def __init__(self, name: str, device: str = "cpu"):
        self.folder = GOLDEN / name
        self.arrays = dict(np.load(self.folder / "case.npz"))
        self.meta = json.loads((self.folder / "meta.json").read_text())
        self.encoder = load_encoder(self.folder / "encoder.pth", device=device)
        self.inputs = tuple(
            torch.from_numpy(self.arrays[name]).to(device)
            for name in ("feat", "grid_coord", "coord", "offset")
        )
        self.rows = torch.from_numpy(self.arrays["rows"]).long().to(device)

    def outputs(self, encoder, hierarchy=None) -> dict[str, torch.Tensor]:
        hierarchy = hierarchy or encoder.hierarchy(*self.inputs[1:])
        pyramid = encoder.forward_features(self.inputs[0], hierarchy)
        joined = self.meta["upcast_concat_levels"]
        return {
            "out_top_feat": pyramid.top.feat,
            "out_top_coord": pyramid.top.coord,
            "out_point_feat": pyramid.upcast(joined)[self.rows],
            "out_full_concat": pyramid.upcast(None)[self.rows],
        }

    def assert_close(self, name: str, value: torch.Tensor):
        np.testing.assert_allclose(
            value.cpu().numpy(), self.arrays[name], **self.meta["tolerance"], err_msg=name
        )


def test_every_case_is_here():
    assert CASES == [
        "batch_uneven",
        "decoder",
        "layer_scale_postnorm",
        "single_room",
        "tiny_cloud",
        "utonia_rope",
    ]
    assert WITH_HEAD == ["single_room", "utonia_rope"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_features_equal_the_reference(name, device):
    case = Case(name, device)
    for output, value in case.outputs(case.encoder).items():
        case.assert_close(output, value)


@pytest.mark.parametrize("name", CASES)
def test_top_level_voxels_come_in_the_reference_order(name):
    case = Case(name)
    top = case.encoder(*case.inputs).top
    np.testing.assert_array_equal(top.grid_coord.numpy(), case.arrays["out_top_grid"])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", WITH_HEAD)
def test_logits_and_labels_equal_the_reference(name, device):
    case = Case(name, device)
    head = LinearHead.load(case.folder / "head.pth", case.encoder)
    feat = case.encoder(*case.inputs).upcast(head.concat_levels(case.encoder))
    logits = head(feat)
    case.assert_close("out_logits", logits[case.rows])

    best, second = logits.topk(2, dim=1).values.unbind(1)
    tolerance = case.meta["tolerance"]
    sure = best - second > 2 * (tolerance["atol"] + tolerance["rtol"] * best.abs())
    assert sure.float().mean() > 0.9
    expected = torch.from_numpy(case.arrays["out_labels"]).long().to(device)
    assert torch.equal(logits.argmax(1)[sure], expected[sure])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", CASES)
def test_half_precision_stays_near_float32(name, dtype):
    case = Case(name)
    exact = case.outputs(case.encoder)
    rough = case.outputs(copy.deepcopy(case.encoder).to(dtype))
    for output, value in exact.items():
        off = torch.linalg.norm(rough[output].double() - value.double())
        assert off / torch.linalg.norm(value.double()) < 2e-2, output


def test_rotary_frequencies_stay_float32_in_half_precision():
    encoder = load_encoder(GOLDEN / "utonia_rope" / "encoder.pth", dtype=torch.bfloat16)
    kinds = {name: value.dtype for name, value in encoder.named_buffers()}
    assert encoder.rotary
    assert kinds and set(kinds.values()) == {torch.float32}
    assert {value.dtype for value in encoder.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_the_same_cloud_gives_the_same_bits(name, device):
    case = Case(name, device)
    first = case.outputs(case.encoder)
    torch.manual_seed(1)
    torch.rand(100)
    second = case.outputs(case.encoder)
    for output, value in first.items():
        assert torch.equal(value, second[output]), output


@pytest.mark.parametrize("name", CASES)
def test_one_hierarchy_serves_many_features(name):
    case = Case(name)
    hierarchy = case.encoder.hierarchy(*case.inputs[1:])
    case.encoder.forward_features(torch.zeros_like(case.inputs[0]), hierarchy)
    for output, value in case.outputs(case.encoder, hierarchy).items():
        case.assert_close(output, value)
