# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Any2Point: six variants against reference outputs, one object at a time, and fine-tuning."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import paths
import pytest
import torch

from concerto_ros.learning.objects.training.models import trained_sizes
from concerto_ros.objects.encoders.any2point.blocks import CellNorm
from concerto_ros.objects.encoders.any2point.encoder import Any2Point
from concerto_ros.objects.encoders.any2point.projection import Cells
from concerto_ros.objects.encoders.any2point.tokens import by_extent
from concerto_ros.objects.encoders.any2point.variants import VARIANTS
from concerto_ros.verification import any2point as verify_any2point
from concerto_ros.verification.any2point import load_case
from concerto_ros.verification.cases import Case, verify
from concerto_ros.verification.generated_weights import recipe_state

GOLDEN = paths.GOLDEN / "objects" / "any2point"
CASES = json.loads((GOLDEN / "meta.json").read_text())["cases"]
COUPLED = {"clip_scan", "clip_mn", "dino_mn", "ib_mn"}

#: Numbers that published files train beside the head and in it, from their lists of names.
TRAINED = {
    "clip_scan": (948_312, 463_631),
    "clip_mn": (948_312, 470_568),
    "dino_scan": (800_760, 463_631),
    "dino_mn": (800_760, 470_568),
    "ib_scan": (874_536, 463_631),
    "ib_mn": (800_760, 470_568),
}


def a_case(name: str) -> Case:
    return Case(GOLDEN, "any2point", name, CASES[name], torch.device("cpu"))


@cache
def small(variant: str) -> tuple[Any2Point, torch.Tensor]:
    """The small reference model of a variant and its two clouds."""
    case = a_case(f"{variant}_small")
    return load_case(case), case.tensor("points")


def tiny(variant: str, **shape) -> Any2Point:
    sizes = dict(width=24, depth=1, heads=2, point_width=3, adapter_width=2, neighbours=4)
    torch.manual_seed(0)
    return Any2Point(VARIANTS[variant], **sizes | shape).eval()


@torch.inference_mode()
def answer(model: Any2Point, batch: torch.Tensor, *, per_object: bool) -> torch.Tensor:
    model.per_object = per_object
    return model.classify(batch)


def test_every_probe_equals_the_reference(monkeypatch):
    # Weights scaled so that the eps of the normalisations and the scale of the attention within
    # cells show in the output.
    probes = json.loads((GOLDEN / "probes" / "meta.json").read_text())["cases"]
    (factors,) = {json.dumps(case["probe"]) for case in probes.values()}

    def scaled_state(shapes, seed):
        state = recipe_state(shapes, seed)
        for pattern, factor in json.loads(factors):
            state |= {
                name: value * factor for name, value in state.items() if re.search(pattern, name)
            }
        return state

    monkeypatch.setattr(verify_any2point, "recipe_state", scaled_state)
    results = list(verify(GOLDEN / "probes"))
    tested = {result.case.rpartition("_")[0] for result in results} | {"clip_scan"}
    assert tested == {*VARIANTS} and "clip_scan_probe" in CASES
    assert [result for result in results if not result.passed] == []


def test_every_variant_has_reference_cases():
    assert {name.rpartition("_")[0] for name in CASES} == {*VARIANTS}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_constants_of_the_reference_are_in_the_table(name):
    config, variant = CASES[f"{name}_small"]["config"], VARIANTS[name]
    assert variant.guidance == config["coef_pro"]
    assert variant.voxel == config["grid3d"]
    assert variant.cell == config["grid_src"]
    assert variant.adapter_scale == config["scale_factor"]
    assert variant.benchmark.classes == config["classes"]
    assert variant.shift == config.get("trans", 0)
    assert (variant.direction and [*variant.direction]) == config.get("pos_cor")


@pytest.mark.parametrize("name", VARIANTS)
def test_by_itself_means_as_published_in_a_batch_of_one(name):
    model, clouds = small(name)
    published = answer(model, clouds[:1], per_object=False)
    torch.testing.assert_close(
        answer(model, clouds, per_object=True)[:1], published, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_as_published_four_variants_couple_the_clouds_of_a_batch(name):
    model, clouds = small(name)
    change = answer(model, clouds, per_object=False)[:1] - answer(
        model, clouds[:1], per_object=False
    )
    assert (change.abs().max() > 1e-3) == (name in COUPLED)
    assert VARIANTS[name].couples_batch == (name in COUPLED)
    assert tiny(name).per_object == (name not in COUPLED)


@pytest.mark.parametrize("name", CASES)
def test_what_a_robot_is_told_differs_from_the_published_only_where_clouds_are_coupled(name):
    case = a_case(name)
    model, clouds = load_case(case), case.tensor("points")
    assert len(clouds) == case.meta["batch"]
    published, alone = (answer(model, clouds, per_object=each) for each in (False, True))
    coupled = name.rpartition("_")[0] in COUPLED
    assert ((published - alone).abs().max() > 1e-3) == coupled
    assert coupled or torch.equal(published.argmax(1), alone.argmax(1))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("per_object", [False, True])
def test_what_has_no_extent_gets_a_finite_answer(name, per_object):
    model, clouds = small(name)
    flat = clouds[0].clone()
    flat[:, 2] = 0.25
    line = flat.clone()
    line[:, 1] = -0.5
    batch = torch.stack([flat, line, torch.full_like(flat, 0.5), torch.zeros_like(flat)])
    assert answer(model, batch, per_object=per_object).isfinite().all()
    beside = answer(model, torch.stack([flat, clouds[1]]), per_object=True)[1]
    torch.testing.assert_close(
        beside, answer(model, clouds[1:], per_object=True)[0], rtol=0, atol=1e-5
    )


def test_a_flat_axis_counts_as_no_displacement():
    relative = torch.tensor([[0.2, 0.0, -0.1], [-0.4, 0.0, 0.05]])
    expected = torch.tensor([[0.5, 0.0, -1.0], [-1.0, 0.0, 0.5]])
    torch.testing.assert_close(by_extent(relative.view(1, 1, 2, 3)), expected.view(1, 1, 2, 3))


def test_an_object_of_few_points_in_metres_is_prepared_and_told():
    model = small("clip_scan")[0]
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (20, 3)) + [5.0, 2.0, 0.8]
    batch = model.prepare(points).unsqueeze(0)
    assert batch.shape == (1, model.points, 3)
    assert answer(model, batch, per_object=True).shape == (1, model.classes)
    assert answer(model, batch, per_object=True).isfinite().all()
    assert model.embed(batch).shape == (1, model.feature_channels)


def test_too_few_points_or_channels_are_refused():
    model = tiny("ib_scan")
    for shape in [(1, 511, 3), (1, 512, 2), (512, 3)]:
        with pytest.raises(ValueError, match=r"expected \(B, 512 or more, 3\)"):
            model.embed(torch.zeros(shape))


@pytest.mark.parametrize("name", VARIANTS)
def test_fine_tuning_trains_less_than_a_million_numbers_beside_the_head(name):
    with torch.device("meta"):
        model = Any2Point(VARIANTS[name])
    assert trained_sizes(model, "adapters") == TRAINED[name]
    assert trained_sizes(model, "adapters")[0] < 1_000_000
    everything = sum(value.numel() for value in model.parameters())
    assert 85e6 < everything - sum(TRAINED[name]) < 86e6


@pytest.mark.parametrize("name", VARIANTS)
def test_a_training_step_reaches_all_that_is_trained_and_nothing_else(name):
    model = tiny(name).train().requires_grad_(False)
    trained = model.trainable_parameters()
    for parameter in trained.values():
        parameter.requires_grad_(True)
    points = torch.randn(3, 512, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    loss = torch.nn.functional.cross_entropy(model.classify(points), torch.tensor([0, 1, 2]))
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (parameter_name in trained), parameter_name
        assert parameter.grad is None or parameter.grad.isfinite().all(), parameter_name
    parts = {part for part in trained if part.startswith("blocks.0.")}
    assert {part.split(".")[2] for part in parts} == {
        *("adapter", "out_transform_3d", "out_transform_views"),
    }


@pytest.mark.parametrize("count", [None, 7])
def test_in_training_cells_count_once_and_empty_ones_as_zeros(count):
    generator = torch.Generator().manual_seed(2)
    cell = torch.tensor([[0, 3, 0, 3, 6], [1, 1, 1, 1, 2]])
    tokens = torch.randn(2, 5, 4, generator=generator)
    norm = CellNorm(4).train()
    cells = Cells.of(cell, count)
    found = norm(cells.mean(tokens) + cells.maximum(tokens), cells)

    rows, places = [], {}
    for cloud in range(2):
        for number in sorted({*cell[cloud].tolist()}) if count is None else range(count):
            members = tokens[cloud][cell[cloud] == number]
            places[cloud, number] = len(rows)
            empty = not len(members)
            rows.append(torch.zeros(4) if empty else members.mean(0) + members.amax(0))
    table = torch.stack(rows).double()
    spread = table.var(0, unbiased=False) + norm.eps
    expected = torch.nn.functional.gelu((table - table.mean(0)) / spread.sqrt())
    for cloud in range(2):
        for token in range(5):
            row = expected[places[cloud, int(cell[cloud, token])]]
            torch.testing.assert_close(found[cloud, token].double(), row, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_mean.double(), table.mean(0) * 0.1)


def test_other_constants_than_the_published_can_be_given():
    case, (model, clouds) = a_case("ib_mn_small"), small("ib_mn")
    case.meta = case.meta | {"config": case.config | {"coef_pro": 0.9}}
    other = load_case(case)
    assert other.variant == replace(model.variant, guidance=0.9)
    expected = answer(model, clouds, per_object=False)
    assert (answer(other, clouds, per_object=False) - expected).abs().max() > 1e-3
