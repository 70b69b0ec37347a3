# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From labelled clouds, one after the other, to objects that keep their numbers and have names."""

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

#: From this score on, labels outweigh what an encoder says.
MAJORITY = 0.5


@dataclass(frozen=True, eq=False)
class FoundObject:
    """One object, its number and its names.

    Attributes
    ----------
    track: number, voxels, box and times.
    hypotheses: (class name, score in 0..1), best first; empty where nothing is known.
    embedding: (F,) float32, None without one.
    word_embedding: (D,) float32, to be compared with words; None without one.
    """

    track: Track
    hypotheses: tuple[tuple[str, float], ...]
    embedding: np.ndarray | None
    word_embedding: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """The objects of one cloud.

    Attributes
    ----------
    objects: in the order of their first voxels.
    stamp: nanoseconds, of the cloud.
    not_encoded: objects named by their labels because the encoder did not take them.
    trouble: what the encoder raised, else empty; all objects are then named by their labels.
    stage_ms: milliseconds of each stage.
    """

    objects: list[FoundObject]
    stamp: int
    not_encoded: int
    trouble: str
    stage_ms: dict[str, float]


class ObjectFinder:
    """Cuts objects out of each cloud, follows them, and says what they are."""

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
        """Take the labels of later clouds for those of ``labels``."""
        self._labels, self._roles = labels, roles

    def find(
        self, cloud: LabelledCloud, min_voxels: int, *, embeddings: bool = False
    ) -> FoundObjects:
        """The objects of ``cloud``, of at least ``min_voxels`` voxels each."""
        watch = Stopwatch()
        with watch("instances"):
            instances = find_instances(cloud, self._roles, min_voxels)
            tracks = self._tracker.update(instances, cloud.index, cloud.stamp)
        answers: list[Classification | None] = [None] * len(instances)
        trouble = ""
        if self._namer is not None and instances:
            with watch("object_encoder"):
                try:
                    answers = self._answers(cloud, instances, embeddings)
                except Exception as error:
                    # Whatever a model raises, where the objects are is known.
                    trouble = f"{type(error).__name__}: {error}"
        return FoundObjects(
            objects=[
                self._named(track, answer) for track, answer in zip(tracks, answers, strict=True)
            ],
            stamp=cloud.stamp,
            not_encoded=0 if self._namer is None else answers.count(None),
            trouble=trouble,
            stage_ms=watch.milliseconds,
        )

    def _answers(
        self, cloud: LabelledCloud, instances: Sequence[Instance], embeddings: bool
    ) -> list[Classification | None]:
        """None for those that the encoder refuses: too few points to say anything."""
        prepared: dict[int, torch.Tensor] = {}
        for number, instance in enumerate(instances):
            try:
                prepared[number] = self._namer.prepare(cloud, instance)
            except ValueError:
                continue
        answers = dict(
            zip(prepared, self._namer.answer(list(prepared.values()), embeddings), strict=True)
        )
        return [answers.get(number) for number in range(len(instances))]

    def _named(self, track: Track, answer: Classification | None) -> FoundObject:
        if answer is None:
            answer = Classification((), None)
        votes = [
            (self._labels.classes[label].name, score) for label, score in track.instance.votes
        ]
        return FoundObject(
            track, _ranked(votes, answer.hypotheses), answer.embedding, answer.word_embedding
        )


def _ranked(
    votes: Sequence[tuple[str, float]], answers: Sequence[tuple[str, float]]
) -> tuple[tuple[str, float], ...]:
    """What the labels and the encoder say: a majority of labels, then the surest first.

    Labels know furniture and people, and how large they are, which an encoder is not told; an
    encoder knows what they call other. A class of leftovers is no name where there is an answer.
    """
    if not answers:
        return tuple(votes)
    scores = dict(answers)
    for name, score in votes:
        if name not in LEFTOVERS:
            scores[name] = max(score, scores.get(name, 0.0))
    surest = sorted(scores.items(), key=lambda entry: -entry[1])
    major = {name for name, score in votes if score >= MAJORITY and name not in LEFTOVERS}
    return tuple(sorted(surest, key=lambda entry: entry[0] not in major))
