# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demos of the Concerto package do, through its calls, against outputs of that package.

Each flow is written as a program for that package is: nothing but its names and entries is used.
"""

from __future__ import annotations

import json

import numpy as np
import paths
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from concerto_ros.compat import concerto

GOLDEN = paths.GOLDEN / "ptv3"
POOLED = ["batch_uneven", "layer_scale_postnorm", "single_room", "tiny_cloud", "utonia_rope"]


class Case:
    """A case of the reference: a transformed cloud, and what the reference computed from it."""

    def __init__(self, name: str):
        self.folder = GOLDEN / name
        self.arrays = dict(np.load(self.folder / "case.npz"))
        self.tolerance = json.loads((self.folder / "meta.json").read_text())["tolerance"]
        self.rows = self.arrays["rows"]
        self.model = concerto.model.load(self.folder / "encoder.pth")

    def point(self) -> dict[str, torch.Tensor]:
        names = ("coord", "grid_coord", "offset", "feat", "inverse")
        point = {name: torch.from_numpy(self.arrays[name]) for name in names}
        return {**point, "color": point["feat"][:, 3:6], "inverse": point["inverse"].long()}

    def assert_equal(self, name: str, value: torch.Tensor) -> None:
        value = value.numpy()
        np.testing.assert_allclose(value, self.arrays[name], **self.tolerance, err_msg=name)


def upcast(point, joined: int):
    """Pass features down the levels by hand; those of the ``joined`` coarsest are concatenated."""
    while "pooling_parent" in point:
        assert "pooling_inverse" in point
        parent, inverse = point.pop("pooling_parent"), point.pop("pooling_inverse")
        feat = point.feat[inverse]
        parent.feat = torch.cat([parent.feat, feat], dim=-1) if joined > 0 else feat
        point, joined = parent, joined - 1
    return point


@pytest.mark.parametrize("name", POOLED)
@torch.inference_mode()
def test_pca_of_features_that_are_upcast_by_hand(name):
    case = Case(name)
    point = case.model(case.point())
    case.assert_equal("out_top_feat", point.feat)
    case.assert_equal("out_top_coord", point.coord)
    np.testing.assert_array_equal(point.grid_coord, case.arrays["out_top_grid"])

    point = upcast(point, joined=2)
    case.assert_equal("out_point_feat", point.feat[case.rows])

    concerto.utils.set_seed(5)
    _, _, axes = torch.pca_lowrank(point.feat, center=True, q=6, niter=5)
    color = (point.feat @ axes)[point.inverse]
    assert color.shape == (len(case.arrays["inverse"]), 6)
    concerto.utils.set_seed(5)
    again = torch.pca_lowrank(point.feat, center=True, q=6, niter=5)[2]
    assert torch.equal(again, axes)


@torch.inference_mode()
def test_similarity_of_one_point_to_all():
    case = Case("single_room")
    unit = F.normalize(upcast(case.model(case.point()), joined=2).feat, p=2, dim=-1)
    chosen = case.rows[7]
    ours = unit[chosen] @ unit[case.rows].t()

    reference = case.arrays["out_point_feat"].astype(np.float64)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    np.testing.assert_allclose(ours, reference @ reference[7], atol=1e-4)
    assert torch.argmax(unit[chosen] @ unit.t()) == chosen


@torch.inference_mode()
def test_similarity_between_a_part_of_a_cloud_and_the_whole():
    arrays = Case("single_room").arrays
    whole = {name: arrays[f"raw_{name}"] for name in ("coord", "color", "normal")}
    near = np.argsort(np.square(whole["coord"] - [0.5, 0.5, 1.0]).sum(axis=1))[:1000]
    part = {name: array[near] for name, array in whole.items()}
    transform, model = (
        concerto.transform.default(),
        concerto.load(GOLDEN / "single_room/encoder.pth"),
    )
    feats = []
    for cloud in (part, whole):
        point = upcast(model(transform(cloud)), joined=2)
        feats.append(F.normalize(point.feat[point.inverse], dim=-1))
    similarity = feats[0][3] @ feats[1].t()
    assert feats[0].shape == (1000, 96) and similarity.shape == (4000,)
    assert similarity.isfinite().all() and similarity.max() <= 1 + 1e-5


@pytest.mark.parametrize("name", ["single_room", "utonia_rope"])
@torch.inference_mode()
def test_semantic_segmentation_with_a_linear_head(name):
    class SegHead(nn.Module):
        def __init__(self, backbone_out_channels, num_classes):
            super().__init__()
            self.seg_head = nn.Linear(backbone_out_channels, num_classes)

    case = Case(name)
    checkpoint = concerto.model.load(case.folder / "head.pth", ckpt_only=True)
    head = SegHead(**checkpoint["config"])
    head.load_state_dict(checkpoint["state_dict"])

    feat = upcast(case.model(case.point()), joined=9).feat
    case.assert_equal("out_full_concat", feat[case.rows])
    logits = head.seg_head(feat)
    case.assert_equal("out_logits", logits[case.rows])
    best, second = logits.topk(2, dim=1).values.unbind(1)
    sure = best - second > 2 * (case.tolerance["atol"] + case.tolerance["rtol"] * best.abs())
    assert sure.float().mean() > 0.9
    labels = torch.from_numpy(case.arrays["out_labels"]).long()
    assert torch.equal(logits.argmax(1)[sure], labels[sure])


@torch.inference_mode()
def test_a_batch_of_clouds_of_different_sizes():
    case = Case("batch_uneven")
    whole = case.point()
    sizes = torch.diff(whole["offset"], prepend=torch.tensor([0])).tolist()
    parts = {name: whole[name].split(sizes) for name in ("coord", "grid_coord", "feat", "color")}
    clouds = [
        {**{name: part[i] for name, part in parts.items()}, "offset": torch.tensor([size])}
        for i, size in enumerate(sizes)
    ]
    batch = concerto.data.collate_fn(clouds)
    assert batch["offset"].tolist() == whole["offset"].tolist()
    point = upcast(case.model(batch), joined=2)
    case.assert_equal("out_point_feat", point.feat[case.rows])
    assert point.batch.bincount().tolist() == sizes


@torch.inference_mode()
def test_a_model_with_a_decoder_returns_the_finest_level():
    case = Case("decoder")
    point = case.model(case.point())
    assert "pooling_parent" not in point
    case.assert_equal("out_point_feat", point.feat[case.rows])


@torch.inference_mode()
def test_pooled_levels_have_the_mean_of_colours_and_what_belongs_to_all():
    case = Case("tiny_cloud")
    given = {**case.point(), "name": "scene", "grid_size": 0.05}
    point = case.model(given)
    assert point.name == "scene" and point.grid_size == pytest.approx(0.05 * 16)
    finest = point
    rows = torch.arange(len(given["coord"]))
    chain = []
    while "pooling_parent" in finest:
        chain.append(finest.pooling_inverse)
        finest = finest.pooling_parent
    for inverse in reversed(chain):
        rows = inverse[rows]
    alone = (rows.bincount() == 1)[rows]
    assert alone.any()
    np.testing.assert_allclose(point.color[rows[alone]], given["color"][alone], atol=1e-6)
    assert torch.equal(finest.coord, given["coord"]) and finest.feat is not given["feat"]
    assert set(given) == {*case.point(), "name", "grid_size"}
    assert point.idx_ptr[-1] == len(point.pooling_parent.feat)
