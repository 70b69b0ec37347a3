# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What objects are, by an object encoder: real encoders with weights made by the recipe."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import paths
import pytest
import torch

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.objects import load_object_encoder
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE
from concerto_ros.objects.finding import naming
from concerto_ros.objects.finding.boxes import upright_box
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.finder import ObjectFinder
from concerto_ros.objects.finding.instances import Instance, LabelledCloud
from concerto_ros.objects.finding.naming import ANSWERS, BATCH, Classification, ObjectClassifier
from concerto_ros.verification.generated_weights import recipe_state

GOLDEN = paths.GOLDEN / "objects"
LABELS = LabelSet.load("demo")
CHAIR = 5


@pytest.fixture
def encoder(tmp_path):
    names = json.loads((GOLDEN / "recon" / "cls_small_keys.json").read_text())
    path = tmp_path / "recon.pth"
    torch.save({"base_model": recipe_state(names, 11)}, path)
    return load_object_encoder(path, heads=2, groups=24, points=256)


def blobs(count: int) -> tuple[LabelledCloud, list[Instance]]:
    """So many chairs far apart, each of other proportions, one voxel for each of their points."""
    random = np.random.default_rng(0)
    index, instances = [], []
    for number in range(count):
        size = random.integers(3, 9, 3)
        solid = np.indices(size).reshape(3, -1).T + [40 * number, 0, 0]
        instances.append(np.arange(len(solid)) + sum(map(len, index)))
        index.append(solid)
    index = np.concatenate(index).astype(np.int32)
    points = ((index + 0.5) * 0.02).astype(np.float32)
    cloud = LabelledCloud(
        index,
        points,
        np.full(len(index), CHAIR, np.uint8),
        np.full(len(index), 0.5, np.float32),
        0.02,
    )
    return cloud, [
        Instance(
            rows, ((CHAIR, 0.5),), points[rows].mean(0), upright_box(points[rows], 0.02), False
        )
        for rows in instances
    ]


def test_the_answer_for_an_object_is_independent_of_the_others(encoder):
    cloud, instances = blobs(BATCH + 3)
    namer = ObjectClassifier(encoder)
    prepared = [namer.prepare(cloud, instance) for instance in instances]
    together = namer.answer(prepared, True)
    for object_, answer in zip(prepared, together, strict=True):
        (alone,) = namer.answer([object_], True)
        assert [name for name, _ in answer.hypotheses] == [name for name, _ in alone.hypotheses]
        np.testing.assert_allclose(answer.embedding, alone.embedding, rtol=1e-4, atol=1e-5)


def test_an_encoder_that_mixes_a_batch_gets_one_object_at_a_time(encoder, monkeypatch):
    sizes = []
    classify = encoder.classify
    monkeypatch.setattr(encoder, "per_object", False)
    monkeypatch.setattr(
        encoder, "classify", lambda batch: (sizes.append(len(batch)), classify(batch))[1]
    )
    cloud, instances = blobs(3)
    namer = ObjectClassifier(encoder)
    assert len(namer.answer([namer.prepare(cloud, one) for one in instances], False)) == 3
    assert sizes == [1, 1, 1]


def test_the_best_answers_come_first_and_are_probabilities(encoder):
    cloud, instances = blobs(1)
    namer = ObjectClassifier(encoder)
    (answer,) = namer.answer([namer.prepare(cloud, instances[0])], False)
    scores = [score for _, score in answer.hypotheses]
    assert len(scores) == min(ANSWERS, encoder.classes) and scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1 + 1e-6 and answer.embedding is None


def test_on_a_gpu_objects_have_a_queue_of_their_own(encoder, monkeypatch):
    """Labels are computed in the queue of the device, and must not wait behind objects there."""
    assert naming._own_stream(torch.device("cpu")) is None
    order = []

    class Stream:
        def __init__(self, device):
            order.append(f"own on {device}")

        def wait_stream(self, other):
            order.append(f"after {other}")

    @contextmanager
    def within(stream):
        assert isinstance(stream, Stream)
        order.append("in")
        yield
        order.append("out")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "the weights")
    monkeypatch.setattr(torch.cuda, "stream", within)
    stream = naming._own_stream(torch.device("cuda", 0))
    assert order == ["own on cuda:0", "after the weights"]
    monkeypatch.setattr(naming, "_own_stream", lambda device: stream)
    namer = ObjectClassifier(encoder)
    classify = encoder.classify
    monkeypatch.setattr(encoder, "classify", lambda b: (order.append("classify"), classify(b))[1])
    cloud, instances = blobs(1)
    namer.answer([namer.prepare(cloud, instances[0])], False)
    assert order[2:] == ["in", "classify", "out"]


class Sure(torch.nn.Module):
    """An encoder of five classes that says the same of everything."""

    classes, class_names, per_object = 5, (), True

    def __init__(self, *shares: float):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(shares).log())

    def classify(self, batch):
        return self.logits.expand(len(batch), -1)


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ((0.5, 0.2, 0.15, 0.05, 0.1), ["mug", "bowl"]),  # told: what is likelier than none
        ((0.3, 0.15, 0.45, 0.05, 0.05), []),
        ((0.23, 0.21, 0.15, 0.2, 0.21), []),  # nothing is likely
        ((0.05, 0.5, 0.1, 0.2, 0.15), ["bowl", "shoe", "lamp"]),
    ],
)
def test_an_encoder_may_say_that_it_is_none_of_these(shares, told):
    namer = ObjectClassifier(Sure(*shares), ["mug", "bowl", NONE_OF_THESE, "shoe", "lamp"])
    (answer,) = namer.answer([torch.zeros(8, 3)], False)
    assert [name for name, _ in answer.hypotheses] == told
    plain = ObjectClassifier(Sure(*shares), ["mug", "bowl", "bin", "shoe", "lamp"])
    (answer,) = plain.answer([torch.zeros(8, 3)], False)
    assert len(answer.hypotheses) == 5


def test_names_are_those_given_or_told_else_numbers(encoder):
    encoder.add_head(15)
    names = ObjectClassifier(encoder).names
    assert (names[:2], names[-1]) == (("bag", "bin"), "toilet")  # not as ReCon's prompts spell it
    encoder.add_head(3)
    assert ObjectClassifier(encoder).names == ("class_0", "class_1", "class_2")
    encoder.class_names = ("mug", "plate", "spoon")
    assert ObjectClassifier(encoder).names == ("mug", "plate", "spoon")
    assert ObjectClassifier(encoder, ["a", "b", "c"]).names == ("a", "b", "c")
    with pytest.raises(ValueError, match="objects.encoder_classes: got 2 names, expected 3"):
        ObjectClassifier(encoder, ["a", "b"])


def test_an_encoder_without_head_gives_features_and_leaves_the_names_to_the_labels(encoder):
    encoder.cls_head_finetune = None
    cloud, _ = blobs(2)
    finder = ObjectFinder(LABELS, ClassRoles.of(LABELS), ObjectClassifier(encoder))
    findings = finder.find(cloud, 20, embeddings=True)
    assert [found.hypotheses for found in findings.objects] == [(("chair", 0.5),)] * 2
    assert findings.objects[0].embedding.shape == (encoder.feature_channels,)
    assert findings.not_encoded == 0 and not findings.encoder_error


def test_a_file_that_is_not_there_is_named_with_its_parameter():
    with pytest.raises(ValueError, match=r"^objects.encoder: .*no/such\.pth' is not a file"):
        ObjectClassifier.load("no/such.pth", (), torch.device("cpu"))


class Guess(ObjectClassifier):
    """Says the same of every object."""

    def __init__(self, *hypotheses):
        self.hypotheses = hypotheses

    def prepare(self, cloud, instance):
        return torch.zeros(1)

    def answer(self, objects, embeddings):
        return [Classification(self.hypotheses, None) for _ in objects]


@pytest.mark.parametrize(
    ("label", "confidence", "guess", "wanted"),
    [
        ("chair", 0.6, (("stool", 0.9),), ["chair", "stool"]),  # most voxels are surely a chair
        ("chair", 0.4, (("stool", 0.9),), ["stool", "chair"]),
        ("chair", 0.4, (("stool", 0.3),), ["chair", "stool"]),
        ("chair", 0.4, (("chair", 0.9), ("stool", 0.1)), ["chair", "stool"]),
        ("other", 0.9, (("mug", 0.1),), ["mug"]),  # leftovers are no name
        ("other", 0.9, (), ["other"]),
    ],
)
def test_a_majority_of_labels_comes_first_then_the_surest(label, confidence, guess, wanted):
    cloud, _ = blobs(1)
    number = [entry.name for entry in LABELS.classes].index(label)
    count = len(cloud.index)
    cloud = replace(
        cloud,
        label=np.full(count, number, np.uint8),
        confidence=np.full(count, confidence, np.float32),
    )
    finder = ObjectFinder(LABELS, ClassRoles.of(LABELS), Guess(*guess))
    (found,) = finder.find(cloud, 1).objects
    assert [name for name, _ in found.hypotheses] == wanted


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_answer_that_is_not_finite_is_none(value):
    """Of that object alone; it is named by its labels, and the reason is said."""
    encoder = Sure(0.2, 0.2, 0.2, 0.2, 0.2)
    classify = encoder.classify

    def spoilt(batch):
        scores = classify(batch).clone()
        scores[1, 3] = value
        return scores

    encoder.classify = spoilt
    namer = ObjectClassifier(encoder, ["mug", "bowl", "bin", "shoe", "lamp"])
    first, second, third = namer.answer([torch.zeros(8, 3)] * 3, False)
    assert second is None and first is not None and third is not None
