# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Semantic pipeline: frames in, labels and feature colours out. No ROS needed.

:meth:`SemanticPipeline.insert` is the intake stage and :meth:`SemanticPipeline.infer` the
inference stage; two threads may run them concurrently. Single clouds and questions about the map
are here; the map and what its predictions carry on are in
:mod:`concerto_ros.segmentation.labelling.map_labelling`, encoder, head and words in
:mod:`concerto_ros.segmentation.labelling.models`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from concerto_ros.files.cache_folder import cache_folder
from concerto_ros.heads.pca import PcaColors
from concerto_ros.heads.projection import FeatureProjection
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.labels.prediction import NOT_FINITE, Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.segmentation.carried_state import CarriedState
from concerto_ros.segmentation.label_fusion import LabelFusion
from concerto_ros.segmentation.labeller import Labeller
from concerto_ros.segmentation.labelling.map_labelling import OUTPUTS, MapLabelling
from concerto_ros.segmentation.loading import load_models
from concerto_ros.segmentation.single_cloud import SingleCloud
from concerto_ros.sensors.array_frame import checked_points
from concerto_ros.settings.settings import Settings

if TYPE_CHECKING:
    from concerto_ros.objects.finding.text_matches import TextMatches

_log = logging.getLogger(__name__)

#: Points and frames of a warm-up, on a CPU and on a GPU.
_WARM_UP = (64, 1), (20_000, 3)

#: Metres within which :meth:`SemanticPipeline.similar` takes the nearest voxel for the point.
REACH = 0.5


class SemanticPipeline(MapLabelling):
    """Accumulates frames in a voxel map and labels its voxels with an encoder and a linear head.

    Attributes:
        settings: the parameters, with the values of the preset and the voxel size of the encoder.
        encoder: the backbone that computes the features.
        convention: scale and centre of the coordinates that the encoder takes.
        taught: the head or the words that label, and the classes, with those that were taught.
    """

    @classmethod
    def from_config(cls, path: str | Path) -> SemanticPipeline:
        """Build the pipeline of a ROS parameter file, e.g. ``config/perception.yaml``.

        Raises:
            SettingsError: a parameter is invalid or a model cannot be loaded.
        """
        return cls.from_settings(Settings.from_config(path))

    @classmethod
    def from_settings(cls, settings: Settings, *, download: bool = True) -> SemanticPipeline:
        """Build the pipeline of ``settings``.

        Args:
            settings: the parameters; they name the encoder, the head and the label set.
            download: whether models that are not on this machine may be downloaded.

        Raises:
            SettingsError: (a ``ValueError``) a parameter is invalid or a model cannot be loaded;
                for a missing file the text says where to get it.
        """
        return cls(settings, *load_models(settings, download=download))

    def segment(
        self,
        points: npt.ArrayLike,
        colors: npt.ArrayLike | None = None,
        normals: npt.ArrayLike | None = None,
        *,
        origin: npt.ArrayLike | None = None,
        level: bool = True,
        words: Sequence[str] | None = None,
        question: FeatureQuery | None = None,
        instances: bool = False,
    ) -> Prediction:
        """Label a single cloud, independent of the map; each point gets the label of its voxel.

        The vehicle is at the origin of the points, as for training; georeferenced points are
        moved to it first.

        Args:
            points: (N, 3) metres, z up, at least roughly (see ``level``). Points that are not
                finite, and those far from the others
                (:func:`~concerto_ros.sensors.strays.near_others`), stay unlabelled, as do those
                for which the model's output is not finite, which is logged.
            colors: (N, 3) RGB as fractions, 8 or 16 bits, see
                :func:`~concerto_ros.sensors.colors.rgb_bytes`; None: the model sees none.
            normals: (N, 3) of any length; None: normals are fitted and turned towards the sensor
                or, where its position is not known, towards the middle of the cloud.
            origin: (3,) position of the sensor, metres; None: not known.
            level: whether the model sees a cloud that is tilted by 1 to 20 degrees turned level
                by its ground (:func:`~concerto_ros.segmentation.level.find_level`); the
                prediction says by how much, and stays in the coordinates of ``points``.
            words: words that label the points of this cloud, as for :meth:`set_words`; None: the
                labels are those of all other predictions.
            question: a query about the features, whose answers are for the N points as well, but
                for ``rows``, which are voxels; None: no query.
            instances: whether the points get the numbers of their objects, from 1; objects are
                found as for ``~/objects``, by the parameters ``objects.*``.

        Returns:
            The prediction for the N points, row by row, with ``unlabelled`` by reason.

        Raises:
            ValueError: no point is finite, an array has the wrong shape, type or unit, or a word
                is not accepted or has no vector.
        """
        labeller = self._labeller
        if words is not None:
            source = self._words_source(words, None, None)
            labeller = self._labeller_of(TaughtClasses(source, source.labels))
        cloud = self._single(points, colors, normals, origin, level)
        by_voxel = self._predict_single(cloud, labeller, OUTPUTS, question)
        if instances:
            from concerto_ros.objects.finding.map_objects import MapObjects

            objects = MapObjects(labeller.labels, self.settings.objects)
            by_voxel = objects.numbered(cloud.voxels, by_voxel)
        return self._of_points(cloud, by_voxel)

    def find(
        self,
        text: str,
        points: npt.ArrayLike | None = None,
        colors: npt.ArrayLike | None = None,
        normals: npt.ArrayLike | None = None,
        *,
        origin: npt.ArrayLike | None = None,
        level: bool = True,
        threshold: float | None = None,
    ) -> TextMatches:
        """Find what a text names, in a single cloud or in the map.

        A point matches where the text is at least as probable as the threshold, against the names
        of all other things that the language head was trained with. Matching voxels that touch
        and are at least half as probable as the best of them are one match if they are as many as
        the parameter ``objects.min_voxels``.

        Args:
            text: what is looked for, possibly with synonyms (``sofa|couch``).
            points: (N, 3) metres, as for :meth:`segment`, as all that follow; None: the map.
            colors: likewise.
            normals: likewise.
            origin: likewise.
            level: likewise.
            threshold: the probability that a point must have; None: the parameter
                ``words.find_threshold``.

        Returns:
            The matches, best first, and for each point its probability where that is high enough
                (``match``), and from 0 to 1 how well the text fits (``similarity``).

        Raises:
            ValueError: the text is not accepted or has no vector, the map is empty, or as
                :meth:`segment`.
        """
        question = self.text_query(text, threshold)
        if points is None:
            snapshot = self.snapshot()
            by_voxel = self.infer(snapshot, (), question)
            return self.matches(text, by_voxel, snapshot, snapshot.points)
        cloud = self._single(points, colors, normals, origin, level)
        by_voxel = self._predict_single(cloud, self._labeller, ("pca",), question)
        matches = self.matches(text, by_voxel, cloud.voxels, cloud.places)
        return matches.at(self._of_points(cloud, by_voxel), cloud.row)

    def similar(
        self,
        point: npt.ArrayLike,
        points: npt.ArrayLike | None = None,
        colors: npt.ArrayLike | None = None,
        normals: npt.ArrayLike | None = None,
        *,
        origin: npt.ArrayLike | None = None,
        level: bool = True,
    ) -> Prediction:
        """Compare a single cloud, or the map, with the voxel nearest to a point.

        Args:
            point: (3,) metres, among the points; the nearest voxel is within :data:`REACH`.
            points: (N, 3) metres, as for :meth:`segment`, as all that follow; None: the map.
            colors: likewise.
            normals: likewise.
            origin: likewise.
            level: likewise.

        Returns:
            The prediction, as of :meth:`segment` or of the map, with its ``similarity``.

        Raises:
            ValueError: no voxel is near the point, its feature is not finite, the map is empty, or
                as :meth:`segment`.
        """
        place = np.asarray(point, np.float64)
        if place.shape != (3,) or not np.isfinite(place).all():
            raise ValueError(f"point: got {point!r}, expected three finite numbers")
        if points is None:
            snapshot = self.snapshot()
            like = self._feature_at(place, snapshot.points, partial(self.infer, snapshot))
            return self.infer(snapshot, OUTPUTS, like)
        cloud = self._single(points, colors, normals, origin, level)
        predict = partial(self._predict_single, cloud, self._labeller)
        like = self._feature_at(place, cloud.places, predict)
        return self._of_points(cloud, predict(OUTPUTS, like))

    def features_at(self, points: npt.ArrayLike) -> np.ndarray:
        """Return the full features of the voxels of the map that points lie in.

        Those of a single cloud are :meth:`segment` with ``FeatureQuery(every=True)``.

        Args:
            points: (N, 3) metres, in the fixed frame.

        Returns:
            (N, C) float32, the features of all levels of the encoder, finest first; NaN for a
                point that lies in no voxel, and where the feature is not finite.

        Raises:
            ValueError: the map is empty, or ``points`` has another shape or is no numbers.
        """
        places, snapshot = checked_points(points), self.snapshot()
        if not len(snapshot):
            raise ValueError("the map is empty, so there are no features")
        rows = snapshot.rows_of(places)
        features = self.infer(snapshot, (), FeatureQuery(rows=rows)).features
        assert features is not None  # the query has rows
        return features.numpy()

    def matches(
        self, text: str, prediction: Prediction, snapshot: MapSnapshot, places: np.ndarray
    ) -> TextMatches:
        """Divide what matches the text of a :meth:`text_query` into objects.

        Args:
            text: what was asked.
            prediction: the answer of :meth:`infer` to the query.
            snapshot: the V voxels that it was asked about.
            places: (V, 3) metres, where they are.
        """
        from concerto_ros.objects.finding.text_matches import find_matches

        min_voxels = self.settings.objects.min_voxels
        size = snapshot.voxel_size
        return find_matches(text, prediction, snapshot.index, places, size, min_voxels)

    @cached_property
    def projection(self) -> FeatureProjection:
        """The strongest directions of the encoder's features, the same at every run.

        They are fitted to the features of a fixed simulated scene of the preset, once for each
        model, and kept in the cache folder, under ``projections``.
        """
        from concerto_ros.sim.reference_scene import reference_scene

        def fit() -> FeatureProjection:
            points, colors = reference_scene(self.settings.preset)
            cloud = self._single(points, colors, None, None, False)
            every = FeatureQuery(every=True)
            prediction = self._predict_single(cloud, self._labeller, (), every)
            assert prediction.components is not None
            return FeatureProjection.fit(torch.from_numpy(prediction.components))

        digest, path = self.encoder.digest, None
        if digest:  # an encoder of no file cannot be recognised again
            name = f"{digest}-{self.settings.preset}.safetensors"
            path = cache_folder() / "projections" / name
        return FeatureProjection.stored(path, fit)

    def warm_up(self) -> None:
        """Load libraries and compile kernels now, so that the first real cloud does not wait.

        A GPU gets clouds as large as a map, with what a frame carries to the next one.
        """
        count, frames = _WARM_UP[self.device.type == "cuda"]
        points = np.random.default_rng(0).random((count, 3))
        points *= self.settings.voxel_size * count**0.5  # about one on a voxel of the floor
        points[:, 2] *= 0.01
        cloud = self._single(points, None, None, None, False)
        carried = CarriedState(held=None, colors=PcaColors(), fusion=LabelFusion(1.0))
        for _ in range(frames):
            self._predict(cloud.voxels, carried, self._labeller, OUTPUTS, None)
            self.capture_graphs()
        self.encoder.warm_up()

    def _single(
        self,
        points: npt.ArrayLike,
        colors: npt.ArrayLike | None,
        normals: npt.ArrayLike | None,
        origin: npt.ArrayLike | None,
        level: bool,
    ) -> SingleCloud:
        room = self._new_map(max(1, np.size(points) // 3), radius=0.0)
        return SingleCloud.of(points, colors, normals, origin, level=level, into=room)

    def _predict_single(
        self,
        cloud: SingleCloud,
        labeller: Labeller,
        outputs: Collection[str] = OUTPUTS,
        question: FeatureQuery | None = None,
    ) -> Prediction:
        above = float(cloud.offset[2])
        return self._predict(cloud.voxels, CarriedState.none(), labeller, outputs, question, above)

    def _of_points(self, cloud: SingleCloud, by_voxel: Prediction) -> Prediction:
        kept = self.settings.unfamiliar == "keep"
        prediction = cloud.of_points(by_voxel, unfamiliar_labelled=kept)
        if bad := prediction.not_finite:
            total = len(prediction.label)
            _log.warning("%d of %d points are unlabelled: %s", bad, total, NOT_FINITE)
        return prediction

    def _feature_at(
        self, place: np.ndarray, places: np.ndarray, predict: Callable[..., Prediction]
    ) -> FeatureQuery:
        """Return the query with the feature of the voxel, of those at ``places``, at a place."""
        if not len(places):
            raise ValueError("the map is empty, so nothing in it can be compared")
        distance = np.linalg.norm(places - place, axis=1)
        nearest = int(distance.argmin())
        if distance[nearest] > REACH:
            where = ", ".join(f"{value:.2f}" for value in place)
            raise ValueError(
                f"there is no point at ({where}), the nearest is {distance[nearest]:.2f} m away;"
                f" expected one within {REACH} m"
            )
        features = predict((), FeatureQuery(rows=np.array([nearest]))).features
        if features is None or not features[0].isfinite().all():
            raise ValueError("the feature at that point is not finite (NaN or infinity)")
        return FeatureQuery(like=features[0])
