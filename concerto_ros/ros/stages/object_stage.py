# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The object stage: one thread finds objects in the newest labelled map, at its own rate."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger

from concerto_ros.labels.label_set import LabelSet, SemanticClass
from concerto_ros.labels.packed_cloud import LARGEST_PANOPTIC_ID
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.generation import Generation
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.finder import FoundObjects, ObjectFinder
from concerto_ros.objects.finding.instances import LabelledCloud
from concerto_ros.objects.finding.naming import ObjectClassifier
from concerto_ros.objects.finding.object_voxels import ObjectVoxels
from concerto_ros.objects.words.word_search import WordSearch
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.outputs.objects import ObjectOutputs
from concerto_ros.ros.parameters import Parameters
from concerto_ros.ros.stages.stage import StageThread
from concerto_ros.settings.objects import ObjectSettings


class _Search(NamedTuple):
    """A labelled map to be searched.

    Attributes:
        cloud: Its voxels.
        classes: What their labels mean.
        generation: Of the map.
    """

    cloud: LabelledCloud
    classes: tuple[SemanticClass, ...]
    generation: Generation


#: Labels come before objects: their thread is nicer than that of the predictions by so much.
NICER = 5


class ObjectStage(StageThread):
    """Finds objects in the newest labelled map, at most ``objects.rate`` times per second.

    It has a thread of its own: labels never wait for it, and its exceptions do not affect them.

    Args:
        finder: Finds them.
        describe: Adds their vectors in the text space to objects; it may raise ValueError.
        parameters: The current settings.
        statistics: Counts them.
        outputs: Publishes them.
        logger: Of the node.
    """

    def __init__(
        self,
        finder: ObjectFinder,
        describe: Callable[[FoundObjects], FoundObjects],
        parameters: Parameters,
        statistics: Statistics,
        outputs: ObjectOutputs,
        logger: RcutilsLogger,
    ):
        super().__init__("objects")
        self._finder = finder
        self._describe = describe
        self._parameters = parameters
        self._statistics = statistics
        self._outputs = outputs
        self._log = logger
        self._lock = threading.Lock()
        self._newest: _Search | None = None
        self._classes: tuple[SemanticClass, ...] | None = None
        self._generation: Generation | None = None
        self._findings: FoundObjects | None = None
        self._voxels: ObjectVoxels | None = None
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether a map that came now would be searched at once."""
        with self._lock:
            return self._newest is None and time.monotonic() >= self._next

    @property
    def findings(self) -> FoundObjects | None:
        """The objects of the newest search; None before the first in this map."""
        with self._lock:
            of_map = self._generation is not None and self._generation.current
            return self._findings if of_map else None

    def ids_in(self, snapshot: MapSnapshot, prediction: Prediction) -> np.ndarray:
        """The ids (V,) of the objects of a labelled map, as far as the newest search is current.

        Returns:
            uint32; 0: none, see :meth:`ObjectVoxels.ids_in`.
        """
        with self._lock:
            same_map = snapshot.generation is self._generation
            same_classes = prediction.classes is self._classes
            voxels = self._voxels if same_map and same_classes else None
        if voxels is None:
            return np.zeros(len(snapshot), np.uint32)
        labels = self._parameters.settings.labels
        ids = voxels.ids_in(snapshot, prediction.label, labels.instance_age)
        largest = int(ids.max(initial=0))
        if labels.layout == "panoptic" and largest > LARGEST_PANOPTIC_ID:
            self._log.warning(
                f"labels.layout panoptic has no room for the object {largest}: ids above"
                f" {LARGEST_PANOPTIC_ID} are 0 there; set labels.instances, or clean up and"
                " configure the node, which then counts from 1 again",
                once=True,
            )
        return ids

    def offer(self, snapshot: MapSnapshot, prediction: Prediction) -> None:
        """Pass a newly labelled map; it replaces one that was not searched yet."""
        cloud = LabelledCloud.of(snapshot, prediction)
        with self._lock:
            self._newest = _Search(cloud, prediction.classes, snapshot.generation)
            self._wake.set()

    def _live(self) -> None:
        os.nice(self._parameters.settings.inference.nice + NICER)
        super()._live()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            start = time.monotonic()
            with self._lock:
                newest, self._newest = self._newest, None
                self._wake.clear()
                if newest is not None:
                    self._next = start + 1.0 / self._parameters.settings.objects.rate
            # Checked after clearing _wake: stop() sets _stop first, so no stop is missed.
            if self._stop.is_set():
                return
            if newest is None:
                continue
            self._find(newest)
            self._stop.wait(self._next - time.monotonic())

    def _find(self, search: _Search) -> None:
        settings = self._parameters.settings.objects
        try:
            if not search.generation.current:
                self._statistics.outdated()
                return
            if search.generation is not self._generation:
                self._finder.forget()
                with self._lock:
                    self._generation = search.generation
                    self._findings = self._voxels = None
            if search.classes is not self._classes:  # at first, and after they changed
                labels = LabelSet("", "", search.classes)
                self._finder.use(labels, self._roles(labels, settings))
                with self._lock:
                    self._classes, self._voxels = search.classes, None
            findings = self._finder.find(
                search.cloud, settings.min_voxels, embeddings=settings.embeddings
            )
            if settings.text_vectors:
                findings = self._described(findings)
            if self._stop.is_set():
                return
            with search.generation.held() as current:
                if current:
                    self._publish(findings, search.cloud)
                else:
                    self._statistics.outdated()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if self._statistics.objects_failed(text):
                self._log.error(f"the search for objects failed: {text}\n{traceback.format_exc()}")

    def _described(self, findings: FoundObjects) -> FoundObjects:
        """The findings with text vectors; without, where there is no language head for them."""
        try:
            return self._describe(findings)
        except (ValueError, OSError) as error:
            text = f"objects have no text vectors: {error}"
            if self._statistics.objects_failed(text):
                self._log.error(text)
            return findings

    def _roles(self, labels: LabelSet, settings: ObjectSettings) -> ClassRoles:
        """The roles by the parameters, as far as they name classes of now, such as words."""
        names = {entry.name for entry in labels.classes}
        known = [[n for n in own if n in names] for own in (settings.classes, settings.supports)]
        if gone := {*settings.classes, *settings.supports} - names:
            self._log.info(
                f"objects.classes and objects.supports: {', '.join(sorted(gone))} are no classes"
                " now; the others of them count, or the defaults where none is left"
            )
        return ClassRoles.of(labels, *known)

    def _publish(self, findings: FoundObjects, cloud: LabelledCloud) -> None:
        self._statistics.objects_found(
            len(findings.objects), findings.not_encoded, findings.stage_ms
        )
        if findings.encoder_error and self._statistics.objects_failed(findings.encoder_error):
            self._log.error(
                "the object encoder failed, so objects are named by their labels:"
                f" {findings.encoder_error}"
            )
        voxels = ObjectVoxels.of([found.track for found in findings.objects], cloud)
        with self._lock:
            self._findings, self._voxels = findings, voxels
        self._outputs.publish(findings)


def make_finder(
    pipeline: SemanticPipeline, settings: ObjectSettings
) -> tuple[ObjectFinder, str, WordSearch | None]:
    """Load the object finder that the parameters ``objects.*`` describe.

    Returns:
        The finder for the labels of ``pipeline``; the name of what classifies the objects; and the
        search by words, None unless ``objects.words`` is set.

    Raises:
        ValueError: Naming the parameter that is wrong.
    """
    roles = ClassRoles.of(pipeline.labels, settings.classes, settings.supports)
    namer, model, search = None, pipeline.model, None
    if settings.encoder:
        namer = ObjectClassifier.load(settings.encoder, settings.encoder_classes, pipeline.device)
        model = f"{namer.encoder.name} ({settings.encoder})"
    if settings.words:
        if namer is None:
            raise ValueError(
                f"objects.words: got {settings.words!r}, but objects.encoder is empty; expected"
                " objects.encoder as well, a model whose features can be compared with text"
            )
        search = WordSearch.load(settings.words, namer.encoder)
        namer.words = True
    return ObjectFinder(pipeline.labels, roles, namer, settings.memory), model, search
