# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""I2P-MAE: reference outputs, who is visible, files of weights, hopeless objects."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import paths
import pytest
import torch

from concerto_ros.cli import main
from concerto_ros.learning.objects.training.models import load_for
from concerto_ros.objects import load_object_encoder
from concerto_ros.objects.encoders.i2p_mae.encoder import GROUPINGS, I2PMAE, from_state
from concerto_ros.objects.encoders.i2p_mae.network import (
    Grouping,
    Widths,
    attention_mask,
    members_of_visible,
)
from concerto_ros.ptv3.checkpoint import CheckpointError
from concerto_ros.verification.cases import Case
from concerto_ros.verification.i2p_mae import load_case

GOLDEN = paths.GOLDEN / "objects" / "i2p_mae"
CASES = json.loads((GOLDEN / "meta.json").read_text())["cases"]
SMALL = Grouping((48, 24, 10), (12, 6, 4), (0.4, 0.7, 1.2))
SMALL_SVM = Grouping((48, 24, 10), (8, 3, 3), (0.0, 0.0, 0.0))


def tiny() -> I2PMAE:
    """As after pre-training, in a few numbers."""
    return I2PMAE(Widths((8, 8, 8), (1, 1, 1), 2), GROUPINGS["svm"], 1024)


def a_case(name: str) -> Case:
    return Case(GOLDEN, "i2p_mae", name, CASES[name], torch.device("cpu"))


@cache
def small(name: str) -> tuple[I2PMAE, torch.Tensor]:
    """A reference model and its clouds."""
    case = a_case(name)
    return load_case(case).requires_grad_(False), case.tensor("points")


def save(folder: Path, state: dict, prefix: str = "") -> Path:
    """A file as the authors write it."""
    content = {"base_model": {f"{prefix}{name}": value for name, value in state.items()}}
    scores = {"metrics": {"acc": torch.tensor(91.0)}, "best_metrics": {"acc": np.float64(0.93)}}
    path = folder / "checkpoint.pth"
    torch.save(content | scores | {"optimizer": {}, "epoch": 3}, path)
    return path


def test_invisible_tokens_have_no_part():
    """Against float64 with loops, where each level holds nothing but its visible tokens."""
    model, clouds = small("svm_small")
    exact = load_case(a_case("svm_small")).double().requires_grad_(False)
    dropped = 0
    for cloud, feature in zip(clouds, model.embed(clouds), strict=True):
        expected, visible = visible_tokens_alone(exact, cloud.double())
        torch.testing.assert_close(feature.double(), expected, rtol=0, atol=1e-5)
        dropped += sum(level.count(False) for level in visible)
    assert dropped > 5


def test_hiding_tokens_changes_the_feature():
    model, clouds = small("svm_small")
    hidden = model.embed(clouds)
    shown = load_case(a_case("svm_small"))
    norm, shown.h_encoder.encoder_norms = shown.h_encoder.encoder_norms[-1], None
    everything = norm(shown.h_encoder(clouds)).amax(1)
    assert (everything - hidden).abs().max() > 1e-2


def visible_tokens_alone(model: I2PMAE, cloud: torch.Tensor) -> tuple[torch.Tensor, list]:
    """The feature (C,) of one cloud (N, 3) by plain loops, and who is visible on each level."""
    encoder, grouping = model.h_encoder, model.h_encoder.grouping
    levels, points = [], cloud
    for groups, neighbours in zip(grouping.groups, grouping.neighbours, strict=True):
        chosen = farthest(points, groups)
        centres = points[chosen]
        members = [
            ((points - centre) ** 2).sum(1).argsort()[:neighbours].tolist() for centre in centres
        ]
        levels.append((points, centres, members))
        points = centres
    visible = [[True] * grouping.groups[-1]]
    for (_, _, members), groups in zip(levels[:0:-1], grouping.groups[-2::-1], strict=True):
        seen = {row for group, ok in zip(members, visible[0], strict=True) if ok for row in group}
        visible.insert(0, [row in seen for row in range(groups)])

    finer: dict[int, torch.Tensor] = {}
    for level, (points, centres, members) in enumerate(levels):
        rows = [row for row, ok in enumerate(visible[level]) if ok]
        around = [
            points[members[row]] - centres[row]
            if level == 0
            else torch.stack([finer[member] for member in members[row]])
            for row in rows
        ]
        tokens = encoder.token_embed[level](torch.stack(around).unsqueeze(0))
        code = encoder.encoder_pos_embeds[level](centres[rows])
        for block in encoder.encoder_blocks[level]["blocks"]:
            tokens = block(tokens + code)
        finer = dict(zip(rows, tokens[0], strict=True))
    return encoder.encoder_norms[-1](tokens[0]).amax(0), visible


def farthest(points: torch.Tensor, count: int) -> list[int]:
    chosen, distance = [0], torch.full((len(points),), 1e10, dtype=torch.float64)
    while len(chosen) < count:
        distance = distance.minimum(((points - points[chosen[-1]]) ** 2).sum(1))
        distance[(points**2).sum(1) <= 1e-3] = -1
        chosen.append(int(distance.argmax()))
    return chosen


def test_members_of_visible_groups_are_visible():
    generator = torch.Generator().manual_seed(1)
    members = torch.randint(30, (3, 7, 4), generator=generator)
    visible = torch.rand(3, 7, generator=generator) < 0.5
    found = members_of_visible(members, visible, 30)
    assert found.shape == (3, 30)
    for batch in range(3):
        wanted = {row for group in members[batch][visible[batch]].tolist() for row in group}
        assert set(found[batch].nonzero().flatten().tolist()) == wanted
    assert not members_of_visible(members, torch.zeros_like(visible), 30).any()


@pytest.mark.parametrize("radius", [0.0, 0.6])
@pytest.mark.parametrize("hidden", [False, True])
def test_attention_looks_at_what_is_visible_and_near(radius, hidden):
    model, clouds = small("cls_modelnet_small")
    geometry = model.h_encoder.geometry(clouds)[1]
    visible = torch.rand(2, 24, generator=torch.Generator().manual_seed(2)) < 0.7
    geometry = replace(geometry, visible=visible if hidden else None)
    mask = attention_mask(geometry, radius)
    if not hidden and not radius:
        assert mask is None
        return
    centres = geometry.centres.double()
    for batch, at, other in itertools.product(range(2), range(24), range(24)):
        near = not radius or (centres[batch, at] - centres[batch, other]).norm() < radius
        wanted = bool(near) and (not hidden or bool(visible[batch, other]))
        assert bool(mask.expand(2, 1, 24, 24)[batch, 0, at, other]) == wanted
    assert 0 < mask.sum() < mask.numel()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", ["cls_scan_small", "svm_small"])
def test_published_files_load_as_they_are(tmp_path, name, prefix):
    model, clouds = small(name)
    state = a_case(name).state()
    if name == "svm_small":
        # The teacher is in the file too, in half precision.
        state["clip_model.visual.conv1.weight"] = torch.zeros(4, 3, 2, 2, dtype=torch.float16)
        assert "rec_head_3d.weight" in state and "mask_token" in state
    grouping = SMALL_SVM if name == "svm_small" else SMALL
    loaded = load_object_encoder(save(tmp_path, state, prefix), grouping=grouping)
    assert isinstance(loaded, I2PMAE) and loaded.name == "i2p_mae"
    assert torch.equal(loaded.embed(clouds), model.embed(clouds))
    assert loaded.feature_channels == model.embed(clouds).shape[1]
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())


def test_sizes_of_the_published_models():
    def of(name):
        case = a_case(name)
        return from_state(case.state(), case.weights)

    fine_tuned, pretrained = of("official_modelnet"), of("official_svm")
    parameters = sum(value.numel() for value in fine_tuned.parameters())
    assert parameters / 1e6 == pytest.approx(12.83, abs=0.005)
    assert fine_tuned.classes == 40 and fine_tuned.feature_channels == 384
    assert fine_tuned.h_encoder.grouping == GROUPINGS["modelnet40"]
    assert pretrained.classes is None and pretrained.feature_channels == 384
    assert pretrained.h_encoder.grouping == GROUPINGS["svm"]
    assert fine_tuned.points == pretrained.points == 1024


def test_the_benchmark_decides_what_the_file_does_not_tell():
    case = a_case("cls_scan_small")
    hardest = from_state(case.state(), case.weights)
    objects = from_state(case.state(), case.weights, benchmark="objects")
    assert hardest.h_encoder.grouping == GROUPINGS["hardest"]
    assert objects.h_encoder.grouping == GROUPINGS["objects"]
    assert hardest.points == objects.points == 2048
    with pytest.raises(
        ValueError, match="benchmark is 'kitchen', expected one of svm, modelnet40"
    ):
        from_state(case.state(), case.weights, benchmark="kitchen")


def test_what_does_not_fit_is_named(tmp_path):
    def refusal(change, **options) -> str:
        state = a_case("cls_scan_small").state()
        change(state)
        with pytest.raises(CheckpointError) as error:
            load_object_encoder(save(tmp_path, state), **options)
        return str(error.value)

    name = "h_encoder.encoder_pos_embeds.1.2.bias"
    assert f"missing: {name}" in refusal(lambda state: state.pop(name))
    sizing = "h_encoder.token_embed.1.second_conv.3.weight"
    assert f"missing: '{sizing}'" in refusal(lambda state: state.pop(sizing))
    assert "unexpected: surplus.weight" in refusal(
        lambda state: state.update({"surplus.weight": torch.zeros(2)})
    )
    shape = refusal(lambda state: state.update({name: torch.zeros(5)}))
    assert f"wrong shape: {name} (5,) instead of (18,)" in shape
    other = refusal(lambda state: None, model="mixcon3d")
    assert "is a checkpoint of i2p_mae, expected one of mixcon3d" in other


def test_a_checkpoint_of_another_model_is_named(tmp_path):
    recon = GOLDEN.parent / "recon"
    meta = json.loads((recon / "meta.json").read_text())["cases"]["cls_small"]
    state = Case(recon, "recon", "cls_small", meta, torch.device("cpu")).state()
    with pytest.raises(CheckpointError, match="is a checkpoint of recon, expected one of i2p_mae"):
        load_object_encoder(save(tmp_path, state), "i2p_mae")


def test_a_pretrained_model_takes_a_head_and_learns():
    case = a_case("svm_small")
    model = from_state(case.state(), case.weights, grouping=SMALL, points=256)
    with pytest.raises(ValueError, match="has no head"):
        model.classify(case.tensor("points"))
    for joined in (True, False):
        torch.manual_seed(0)
        model.add_head(5, joined=joined)
        assert model.classes == 5 and model.feature_channels == 36 * (1 + joined)
    logits = model.train().classify(case.tensor("points"))
    assert logits.shape == (2, 5)
    torch.nn.functional.cross_entropy(logits, torch.tensor([1, 4])).backward()
    assert all(value.grad is not None for value in model.parameters())


@pytest.mark.parametrize(
    ("layout", "points"), [("modelnet40_h5", 1024), ("scanobjectnn_obj_bg", 2048)]
)
@pytest.mark.parametrize("protocol", [["svm"], ["few-shot", "--way", "2", "--shot", "2"]])
def test_a_linear_svm_reads_it_as_published_for_that(
    tmp_path, monkeypatch, protocol, layout, points
):
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("sklearn")
    checkpoint = save(tmp_path, tiny().state_dict())
    clouds = np.random.default_rng(0).normal(size=(40, 2048, 3)).astype(np.float32)
    labels = np.arange(40) % 2
    folder = tmp_path / "main_split"
    folder.mkdir()
    for split, name in (("train", "training"), ("test", "test")):
        path = (folder if "scan" in layout else tmp_path) / f"{name}_objectdataset.h5"
        with h5py.File(path, "w") as file:
            file["data"], file["label"] = clouds, labels
        (tmp_path / f"{split}_files.txt").write_text(path.name)
    (tmp_path / "shape_names.txt").write_text("mug\nbin")
    seen = []

    def embed(model, batch):
        seen.append((model.h_encoder.grouping, batch))
        return batch[:, :8, 0]

    monkeypatch.setattr(I2PMAE, "embed", embed)
    arguments = [str(tmp_path), "--layout", layout, "--checkpoint", str(checkpoint)]
    arguments += ["--keyword", "heads=2", "--device", "cpu"]
    assert main(["objects", "evaluate", *protocol, *arguments]) == 0
    assert {grouping for grouping, _ in seen} == {GROUPINGS["svm"]}
    assert {batch.shape[1] for _, batch in seen} == {points}
    if protocol == ["svm"]:  # the first of ModelNet40's points, all of ScanObjectNN's
        np.testing.assert_array_equal(seen[0][1], clouds[:, :points])


def test_a_fine_tuned_file_keeps_its_grouping_for_a_linear_svm(tmp_path):
    model = tiny()
    model.add_head(15, joined=True)
    path = save(tmp_path, model.state_dict())
    found = load_for(path, "scanobjectnn_obj_bg", "svm", {"heads": 2})
    assert found.h_encoder.grouping == GROUPINGS["objects"] and found.points == 2048


@pytest.mark.parametrize("name", ["cls_scan_small", "svm_small"])
def test_three_points_over_and_over_have_a_finite_answer(name):
    model, clouds = small(name)
    repeated = clouds[:1, :3].repeat(1, 40, 1)
    assert model.embed(repeated).isfinite().all()


def test_fewer_points_than_a_group_has_are_refused():
    model, clouds = small("cls_scan_small")
    with pytest.raises(ValueError, match="count is 12, expected 1 to the number of points, 3"):
        model.embed(clouds[:, :3])
