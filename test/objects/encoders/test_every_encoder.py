# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every object encoder: reference outputs, independence of a batch, bad objects.

A row in ``MODELS``, a module of that name in ``concerto_ros.verification`` and a folder of small
reference cases are all that a new encoder needs to be tested here.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from concerto_ros.learning.objects.training.recipes import METHODS, recipe_for
from concerto_ros.objects import ObjectEncoder
from concerto_ros.objects.encoders.loading import MODELS
from concerto_ros.verification.cases import Case, verify_case

GOLDEN = Path(__file__).parents[2] / "golden" / "objects"
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def cases_of(model: str, device: str = "cpu") -> list[Case]:
    entries = json.loads((GOLDEN / model / "meta.json").read_text())["cases"]
    place = torch.device(device)
    return [Case(GOLDEN / model, model, name, entry, place) for name, entry in entries.items()]


def embeds(case: Case) -> bool:
    """Whether the reference gave the vector of whole objects, by a model that is quick."""
    outputs = {"feature", "embedding"} & case.arrays.keys()
    return bool(outputs) and not case.name.startswith("official")


CASES = [
    pytest.param(case, id=f"{model}-{case.name}") for model in MODELS for case in cases_of(model)
]
EMBEDDING = [
    pytest.param(case, id=f"{model}-{case.name}")
    for model in MODELS
    for case in cases_of(model)
    if embeds(case)
]


def loaded(case: Case) -> tuple[ObjectEncoder, torch.Tensor]:
    """The model of a case, as a robot takes it, and its clouds."""
    family = importlib.import_module(f"concerto_ros.verification.{case.model}")
    model = family.load_case(case).requires_grad_(False)
    model.per_object = True
    return model, family.batch_of(case)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES)
def test_every_case_equals_the_reference(case, device):
    here = Case(case.folder, case.model, case.name, case.meta, torch.device(device))
    results = verify_case(here)
    assert results and [result for result in results if not result.passed] == []


@pytest.mark.parametrize("model", MODELS)
def test_every_encoder_has_a_case_of_its_vector(model):
    assert any(embeds(case) for case in cases_of(model))


@pytest.mark.parametrize("case", EMBEDDING)
def test_an_object_does_not_depend_on_its_batch(case):
    model, clouds = loaded(case)
    assert model.name == case.model
    answer = model.embed if model.classes is None else model.classify
    together, backwards = answer(clouds), answer(clouds.flip(0)).flip(0)
    for row, cloud in enumerate(clouds):
        alone = answer(cloud.unsqueeze(0))[0]
        torch.testing.assert_close(together[row], alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(backwards[row], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", EMBEDDING)
def test_coincident_and_flat_clouds_have_a_finite_answer(case):
    model, clouds = loaded(case)
    flat = clouds[0].clone()
    flat[:, 1] = 0.2
    point = clouds[0].clone()
    point[:, :3] = 0.7
    batch = torch.stack([torch.zeros_like(flat), torch.full_like(flat, 0.7), flat, point])
    assert model.embed(batch).isfinite().all()


@pytest.mark.parametrize("case", EMBEDDING)
def test_a_robots_object_is_taken_and_hopeless_ones_are_refused_with_a_reason(case):
    model, _ = loaded(case)
    rng = np.random.default_rng(0)
    mug = rng.normal(size=(90, 3)) * [0.04, 0.04, 0.06] + [12.0, -3.0, 0.8]
    batch = model.prepare(mug).unsqueeze(0)
    assert batch.shape == (1, model.points, 6 if model.form.color else 3)
    assert model.embed(batch).shape == (1, model.feature_channels)
    if model.classes is not None:
        assert model.classify(batch).shape == (1, model.classes)
    with pytest.raises(ValueError, match="3 distinct"):
        model.prepare(mug[:3])
    with pytest.raises(ValueError, match="coincide"):
        model.prepare(np.repeat(mug[:1], 50, 0))
    with pytest.raises(ValueError, match="1 of 90 are not finite"):
        model.prepare(np.concatenate([mug[:89], [[0.0, np.nan, 0.0]]]))


@pytest.mark.parametrize("case", EMBEDDING)
def test_every_method_that_it_states_has_a_recipe_and_something_to_train(case):
    model, _ = loaded(case)
    assert {*model.training_methods} <= {*METHODS}
    for method in model.training_methods:
        assert recipe_for(model, method, "modelnet40_h5").learning_rate > 0
        model.reset_head(model.classes or 4, method)
        named = model.trained_parameters(method)
        assert any(name.startswith(f"{model.head_name}.") for name in named)
        assert {*named} <= {name for name, _ in model.named_parameters()}
