# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Semantic pipeline: frames in, labels and feature colours out. No ROS needed.

:meth:`SemanticPipeline.insert` is the intake stage and :meth:`SemanticPipeline.infer` the
inference stage; two threads may run them concurrently.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from concerto_ros.files.cache_folder import cache_folder
from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.pca import PcaColors
from concerto_ros.heads.projection import FeatureProjection
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import NOT_FINITE, Prediction
from concerto_ros.mapping.map_file import StoredMap
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_map import Insertion, VoxelMap
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.kernels.usable_device import why_unusable
from concerto_ros.segmentation.carried_state import CarriedState
from concerto_ros.segmentation.feature_encoder import FeatureEncoder
from concerto_ros.segmentation.fixed_origin import FixedOrigin
from concerto_ros.segmentation.inference import Inference
from concerto_ros.segmentation.label_fusion import LabelFusion
from concerto_ros.segmentation.label_source import WordSource
from concerto_ros.segmentation.labeller import Labeller
from concerto_ros.segmentation.loading import load_models, load_words
from concerto_ros.segmentation.model_options import convention_of, grid_size_for, naming
from concerto_ros.segmentation.point_words import PointWords
from concerto_ros.segmentation.regions.memory import PredictionMemory
from concerto_ros.segmentation.single_cloud import SingleCloud
from concerto_ros.sensors.array_frame import checked_points
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings

if TYPE_CHECKING:
    from concerto_ros.objects.finding.text_matches import TextMatches

_log = logging.getLogger(__name__)

#: What :meth:`SemanticPipeline.infer` can compute, beside the answer to a feature query.
OUTPUTS = ("labels", "pca")

#: Points and frames of a warm-up, on a CPU and on a GPU.
_WARM_UP = (64, 1), (20_000, 3)

#: Metres within which :meth:`SemanticPipeline.similar` takes the nearest voxel for the point.
REACH = 0.5


class SemanticPipeline:
    """Accumulates frames in a voxel map and labels its voxels with an encoder and a linear head.

    Attributes:
        settings: the parameters, with the values of the preset and the voxel size of the encoder.
        encoder: the backbone that computes the features.
        convention: scale and centre of the coordinates that the encoder takes.
        taught: the head or the words that label, and the classes, with those that were taught.
    """

    def __init__(
        self, settings: Settings, encoder: Encoder, head: LinearHead | None, labels: LabelSet
    ):
        grid_size = grid_size_for(encoder, settings.preset)
        self.settings = settings.with_preset().with_voxel_size(grid_size)
        self.encoder = encoder
        self._loaded = head, labels
        self.use(TaughtClasses(head, labels))
        self.convention = convention_of(encoder, self.settings.preset, head)
        self._feature_encoder = FeatureEncoder(
            encoder, precision=settings.precision, cpu_fallback=settings.cpu_fallback
        )
        automatic = settings.device == "auto" and self.device.type == "cpu"
        self._why_cpu = why_unusable(torch.device("cuda")) if automatic else ""
        self._map = self._new_map(self.settings.max_voxels)
        self._map_lock = threading.Lock()
        self._origin = FixedOrigin()
        self._pca = PcaColors()
        self._memory = self._new_memory()
        if self.settings.words.names:
            with naming("words.names"):
                self.set_words(self.settings.words.names)

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

    # Intake ------------------------------------------------------------------------------------

    def insert(self, frame: Frame, robot: np.ndarray | None = None) -> Insertion:
        """Fuse ``frame`` into the map.

        Args:
            frame: a frame whose points are in the fixed frame.
            robot: (3,) position of the robot in the fixed frame, metres; None: that of the sensor.

        Returns:
            What the map took of the frame, or why it took nothing.
        """
        with self._map_lock:
            return self._map.insert(frame, frame.origin if robot is None else robot)

    def snapshot(self) -> MapSnapshot:
        """Return the map as it is now; later frames do not change it."""
        with self._map_lock:
            return self._map.snapshot()

    # Inference ---------------------------------------------------------------------------------

    def infer(
        self,
        snapshot: MapSnapshot,
        outputs: Collection[str] = OUTPUTS,
        question: FeatureQuery | None = None,
    ) -> Prediction:
        """Label the voxels of a snapshot.

        Labels are fused with those of earlier snapshots (parameter ``fusion.seconds``). A snapshot
        whose generation has ended is labelled by itself, and later ones learn nothing from it.

        Args:
            snapshot: a snapshot of the map with at least one voxel.
            outputs: what to compute, of :data:`OUTPUTS`.
            question: a query about the features of the voxels; None: no query.

        Returns:
            The prediction for the V voxels, row by row; what was not asked for is empty in it, or
                remembered (parameter ``inference.region``).

        Raises:
            ValueError: the snapshot has no voxel.
        """
        labeller = self._labeller
        with self._map_lock:  # clear() replaces what is carried together with the map
            carried = self._carried(labeller) if snapshot.generation.current else _nothing()
        return self._predict(snapshot, carried, labeller, outputs, question)

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

        A point matches where the text is more probable than the contrast words, and at least as
        probable as the threshold. Matching voxels that touch are one match if they are as many as
        the parameter ``objects.min_voxels``.

        Args:
            text: what is looked for, possibly with synonyms (``sofa|couch``).
            points: (N, 3) metres, as for :meth:`segment`, as all that follow; None: the map.
            colors: likewise.
            normals: likewise.
            origin: likewise.
            level: likewise.
            threshold: the probability that a point must have; None: the parameter
                ``words.threshold``.

        Returns:
            The matches, best first, and for each point its cosine with the text (``similarity``)
                and its probability (``match``).

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

    def text_query(self, text: str, threshold: float | None = None) -> FeatureQuery:
        """Return the query with which :meth:`infer` compares the voxels with a text.

        Raises:
            ValueError: the text is not accepted or has no vector.
        """
        return FeatureQuery(match=self._words_source([text], threshold, None, "text").match)

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
        return self._predict(cloud.voxels, _nothing(), labeller, outputs, question, above)

    def _of_points(self, cloud: SingleCloud, by_voxel: Prediction) -> Prediction:
        kept = self.settings.unfamiliar == "keep"
        prediction = cloud.of_points(by_voxel, unfamiliar_labelled=kept)
        if bad := prediction.not_finite:
            total = len(prediction.label)
            _log.warning("%d of %d points are unlabelled: %s", bad, total, NOT_FINITE)
        return prediction

    def _predict(
        self,
        snapshot: MapSnapshot,
        carried: CarriedState,
        labeller: Labeller,
        outputs: Collection[str],
        question: FeatureQuery | None,
        above: float = 0.0,
    ) -> Prediction:
        inference = Inference(self.settings, self.convention, self._feature_encoder)
        prediction = inference(snapshot, carried, labeller, outputs, question, above)
        return replace(prediction, model=self._model(labeller))

    # The models --------------------------------------------------------------------------------

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

    def capture_graphs(self) -> bool:
        """Prepare the GPU for clouds like the newest ones; returns whether that was due.

        A CUDA graph launches all kernels of a cloud at once. To capture one takes as long as
        several clouds, so :meth:`infer` and :meth:`segment` never do it: whoever calls them for
        cloud after cloud calls this in between, in the same thread, while nobody waits. Without a
        GPU it does nothing.
        """
        return self._feature_encoder.capture_graphs()

    def use(self, taught: TaughtClasses) -> None:
        """Label with ``taught`` from the next prediction on; the fusion of labels restarts."""
        self.taught = taught
        self._labeller = self._labeller_of(taught)

    def set_words(
        self,
        names: Sequence[str] | None,
        threshold: float | None = None,
        colors: Sequence[tuple[int, int, int]] | None = None,
    ) -> None:
        """Label with words from the next prediction on; the fusion of labels restarts.

        Classes that were taught stay: those of the words are refined, others are added to them.

        Args:
            names: the words, each possibly with synonyms (``sofa|couch``), of which the first is
                the name of the class; None: label with the head again.
            threshold: the probability that a word must have to be the label of a point; None: the
                parameter ``words.threshold``.
            colors: (red, green, blue), 0..255, of each class; None: chosen.

        Raises:
            ValueError: a word is not accepted or has no vector, or the language head or the table
                cannot be loaded; the labels stay as they are.
        """
        self.use(self.classes_of(names, threshold, colors))

    def classes_of(
        self,
        names: Sequence[str] | None,
        threshold: float | None = None,
        colors: Sequence[tuple[int, int, int]] | None = None,
    ) -> TaughtClasses:
        """Return what :meth:`set_words` with the same arguments uses, for :meth:`use`."""
        if names is None:
            return self.taught.on(*self._loaded)
        words = self._words_source(names, threshold, colors)
        return self.taught.on(words, words.labels)

    @cached_property
    def words(self) -> PointWords:
        """The language head and the vectors of words, loaded at first use.

        Raises:
            SettingsError: (a ValueError) they cannot be loaded, or do not fit the encoder.
        """
        return load_words(self.settings, self.encoder)

    def text_vector(self, text: str) -> torch.Tensor:
        """Return the unit vector (D,) of a text in the text space of the language head.

        Raises:
            ValueError: the text is not accepted or has no vector, or the language head or the
                table cannot be loaded.
        """
        return self.words.vector(text)

    def _words_source(
        self,
        names: Sequence[str],
        threshold: float | None,
        colors: Sequence[tuple[int, int, int]] | None,
        field: str = "words",
    ) -> WordSource:
        if threshold is None:
            threshold = self.settings.words.threshold
        return self.words.source(names, field=field, threshold=threshold, colors=colors)

    def _labeller_of(self, taught: TaughtClasses) -> Labeller:
        words = taught.head if isinstance(taught.head, WordSource) else None
        head = taught.head if isinstance(taught.head, LinearHead) else self._loaded[0]
        return Labeller(head, taught.labels, self.encoder, self.settings.fusion.seconds, words)

    @property
    def head(self) -> LinearHead | None:
        """The linear head as it was loaded or taught, which :meth:`set_words` sets aside."""
        return self._labeller.head

    @property
    def labels(self) -> LabelSet:
        """The classes, in label order."""
        return self._labeller.labels

    @property
    def labels_are_words(self) -> bool:
        """Whether the classes are those of :meth:`set_words`."""
        return isinstance(self.taught.head, WordSource)

    @property
    def model(self) -> str:
        """Names of encoder and head, for messages and logs."""
        return self._model(self._labeller)

    def _model(self, labeller: Labeller) -> str:
        if labeller.source is None:
            return f"{self.encoder.name}, no head"
        if labeller.source.name == self.encoder.name:
            return self.encoder.name
        return f"{self.encoder.name} + {labeller.source.name}"

    @property
    def trained(self) -> bool:
        """Whether encoder and head have trained weights, so that the labels are meaningful."""
        return self.encoder.trained and (self.head is None or self.head.trained)

    @property
    def device(self) -> torch.device:
        """The device that computes; the CPU after another device's memory was not enough."""
        return self._feature_encoder.device

    @property
    def why_cpu(self) -> str:
        """Why ``device: auto`` is no GPU, in PyTorch's words; empty where it is one or not set."""
        return self._why_cpu

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the models' weights."""
        return self._feature_encoder.dtype

    @property
    def backend(self) -> str:
        """Name of the kernels that compute: ``torch``, ``triton`` or ``spconv``."""
        return self._feature_encoder.backend

    @property
    def degraded_reason(self) -> str:
        """Why the models run degraded because memory ran out; empty while they do not."""
        return self._feature_encoder.degraded_reason

    # The map and the carried state -------------------------------------------------------------

    def clear(self) -> None:
        """Remove every frame from the map, and forget the fixed origin, colours and labels.

        The generation of the map ends: this waits for the results of it that are being published.
        """
        with self._map_lock:
            self._map.clear()
            self._forget()

    def expire(self) -> None:
        """Declare the results of the map out of date until it is cleared; this does not wait."""
        self._map.generation.expire()

    def replace_map(self, stored: StoredMap) -> None:
        """Replace the content of the map by that of ``stored``, as a new generation.

        Labels and colours start from scratch.

        Raises:
            SettingsError: the stored map has another voxel size or fixed frame than the settings.
        """
        other = {"voxel_size": stored.snapshot.voxel_size, "fixed_frame": stored.fixed_frame}
        for name, value in other.items():
            expected = getattr(self.settings, name)
            if expected != value:
                raise SettingsError(
                    f"{name}: the map has {value!r}, expected {expected!r} as in the settings"
                )
        with self._map_lock:
            self._map.put(stored.snapshot)
            self._forget()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what :meth:`infer` carries from one snapshot to the next, without the map itself.

        A pipeline that loads it with :meth:`load_state_dict` continues with the same origin,
        colours and fused labels.
        """
        return self._carried(self._labeller).state()

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        """Continue from the state that :meth:`state_dict` of another run returned.

        The next prediction covers the whole map.
        """
        self._memory = self._new_memory()
        self._carried(self._labeller).restore(state_dict)

    def _carried(self, labeller: Labeller) -> CarriedState:
        return CarriedState(self._origin, self._pca, labeller.fusion, self._memory)

    def _forget(self) -> None:
        self._origin = FixedOrigin()
        self._pca = PcaColors()
        self._memory = self._new_memory()
        self._labeller.forget()

    def _new_memory(self) -> PredictionMemory | None:
        return PredictionMemory() if self.settings.inference.region == "changed" else None

    def _new_map(self, max_voxels: int, radius: float | None = None) -> VoxelMap:
        settings = self.settings
        return VoxelMap(
            settings.voxel_size,
            window_seconds=settings.window_seconds,
            window_frames=settings.window_frames,
            radius=settings.window_radius if radius is None else radius,
            max_voxels=max_voxels,
            clear_after=settings.clear_after,
        )


def _nothing() -> CarriedState:
    """Return the state of a snapshot that is labelled by itself."""
    return CarriedState(held=None, colors=PcaColors(), fusion=None)
