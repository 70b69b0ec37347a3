# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects from labelled clouds, one after the other: segmented, tracked and classified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.objects.finding.class_roles import LEFTOVERS, ClassRoles
from concerto_ros.objects.finding.instances import Instance, LabelledCloud, find_instances
from concerto_ros.objects.finding.naming import Classification, ObjectClassifier
from concerto_ros.objects.finding.tracking import Track, Tracker
from concerto_ros.stopwatch import Stopwatch

#: From this score on, labels outweigh the encoder.
MAJORITY = 0.5


@dataclass(frozen=True, eq=False)
class FoundObject:
    """One object with its track and class hypotheses.

    Attributes:
        track: Track id, voxels, box and times.
        hypotheses: (class name, score in 0..1), best first; empty where nothing is known.
        embedding: (F,) float32, None without one.
        word_embedding: (D,) float32 of the object encoder, to be compared with words; None
            without one.
        text_vector: (D,) float32 of length one, in the text space of the language head; None
            without one.
    """

    track: Track
    hypotheses: tuple[tuple[str, float], ...]
    embedding: np.ndarray | None
    word_embedding: np.ndarray | None = None
    text_vector: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """The objects of one cloud.

    Attributes:
        objects: In the order of their first voxels.
        stamp: Of the cloud, nanoseconds.
        not_encoded: How many objects are named by their labels because the encoder rejected them.
        encoder_error: The error that the encoder raised, with which all objects are named by their
            labels, or that some of its answers were not finite; empty without either.
        stage_ms: Milliseconds of each stage.
    """

    objects: list[FoundObject]
    stamp: int
    not_encoded: int
    encoder_error: str
    stage_ms: dict[str, float]


class ObjectFinder:
    """Segments the objects of each cloud, tracks and classifies them.

    Args:
        labels: The label set of the clouds.
        roles: Roles of its classes.
        namer: Classifies objects; None to name them by their labels alone.
        memory_seconds: How long an object that is not seen keeps its track.
    """

    def __init__(
        self,
        labels: LabelSet,
        roles: ClassRoles,
        namer: ObjectClassifier | None = None,
        memory_seconds: float = 30.0,
    ):
        self._labels = labels
        self._roles = roles
        self._namer = namer
        self._tracker = Tracker(memory_seconds)

    def use(self, labels: LabelSet, roles: ClassRoles) -> None:
        """Replace the label set and the roles for later clouds."""
        self._labels, self._roles = labels, roles

    def forget(self) -> None:
        """Forget the tracks: the next cloud is of another map."""
        self._tracker.forget()

    def find(
        self, cloud: LabelledCloud, min_voxels: int, *, embeddings: bool = False
    ) -> FoundObjects:
        """Find the objects of a cloud.

        Args:
            cloud: Labelled voxels.
            min_voxels: Fewest voxels of an object.
            embeddings: Whether to return embeddings of the objects, too.
        """
        watch = Stopwatch()
        with watch("instances"):
            instances = find_instances(cloud, self._roles, min_voxels)
            tracks = self._tracker.update(instances, cloud.index, cloud.stamp)
        answers: list[Classification | None] = [None] * len(instances)
        encoder_error = ""
        if self._namer is not None and instances:
            with watch("object_encoder"):
                try:
                    answers, encoder_error = _classify(self._namer, cloud, instances, embeddings)
                except Exception as error:
                    # Whatever the model raises, the objects' places are known: report them.
                    encoder_error = f"{type(error).__name__}: {error}"
        return FoundObjects(
            objects=[
                self._named(track, answer) for track, answer in zip(tracks, answers, strict=True)
            ],
            stamp=cloud.stamp,
            not_encoded=0 if self._namer is None else answers.count(None),
            encoder_error=encoder_error,
            stage_ms=watch.milliseconds,
        )

    def _named(self, track: Track, answer: Classification | None) -> FoundObject:
        if answer is None:
            answer = Classification((), None)
        votes = [
            (self._labels.classes[label].name, score) for label, score in track.instance.votes
        ]
        return FoundObject(
            track, _ranked(votes, answer.hypotheses), answer.embedding, answer.word_embedding
        )


def _classify(
    namer: ObjectClassifier,
    cloud: LabelledCloud,
    instances: Sequence[Instance],
    embeddings: bool,
) -> tuple[list[Classification | None], str]:
    """Classify the instances; None for those with too few points, or an answer not finite."""
    prepared: dict[int, torch.Tensor] = {}
    for number, instance in enumerate(instances):
        try:
            prepared[number] = namer.prepare(cloud, instance)
        except ValueError:
            continue
    answers = dict(zip(prepared, namer.answer(list(prepared.values()), embeddings), strict=True))
    bad = sum(answer is None for answer in answers.values())
    encoder_error = (
        f"its scores or embeddings of {bad} of {len(answers)} objects are not finite (NaN or"
        " infinity)"
        if bad
        else ""
    )
    return [answers.get(number) for number in range(len(instances))], encoder_error


def _ranked(
    votes: Sequence[tuple[str, float]], answers: Sequence[tuple[str, float]]
) -> tuple[tuple[str, float], ...]:
    """Merge labels and encoder: a majority of labels first, then by descending score.

    Labels know furniture and people, and their size, which an encoder does not see; an encoder
    knows what labels call other. A class of leftovers is no name where the encoder has one.
    """
    if not answers:
        return tuple(votes)
    scores = dict(answers)
    for name, score in votes:
        if name not in LEFTOVERS:
            scores[name] = max(score, scores.get(name, 0.0))
    ranked = sorted(scores.items(), key=lambda hypothesis: -hypothesis[1])
    major = {name for name, score in votes if score >= MAJORITY and name not in LEFTOVERS}
    return tuple(sorted(ranked, key=lambda hypothesis: hypothesis[0] not in major))
