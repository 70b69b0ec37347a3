# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Semantic pipeline: frames in, labels and feature colours out. No ROS needed.

:meth:`SemanticPipeline.insert` is the intake stage and :meth:`SemanticPipeline.infer` the
inference stage; two threads may run them concurrently.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.pca import PcaColors
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.labels.prediction import NOT_FINITE, Prediction
from concerto_ros.mapping.map_file import StoredMap
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_map import Insertion, VoxelMap
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.hierarchy import LARGEST_INDEX
from concerto_ros.ptv3.kernels.usable_device import why_unusable
from concerto_ros.segmentation.carried_state import CarriedState
from concerto_ros.segmentation.feature_encoder import FeatureEncoder
from concerto_ros.segmentation.fixed_origin import FixedOrigin
from concerto_ros.segmentation.labeller import Labeller, labelling, unlabelled
from concerto_ros.segmentation.level import find_level
from concerto_ros.segmentation.loading import load_models
from concerto_ros.segmentation.model_input import build_model_input
from concerto_ros.segmentation.model_options import convention_of, grid_size_for
from concerto_ros.sensors.array_frame import checked_points, single_frame
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch

_log = logging.getLogger(__name__)

#: What :meth:`SemanticPipeline.infer` can compute, beside the answer to a feature query.
OUTPUTS = ("labels", "pca")


class SemanticPipeline:
    """Accumulates frames in a voxel map and labels its voxels with an encoder and a linear head.

    Attributes:
        settings: the parameters, with the values of the preset and the voxel size of the encoder.
        encoder: the backbone that computes the features.
        convention: scale and centre of the coordinates that the encoder takes.
        taught: the head and its classes, with those that were taught since it was loaded.
    """

    def __init__(
        self, settings: Settings, encoder: Encoder, head: LinearHead | None, labels: LabelSet
    ):
        grid_size = grid_size_for(encoder, settings.preset)
        self.settings = settings.with_preset().with_voxel_size(grid_size)
        self.encoder = encoder
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
            The prediction for the V voxels, row by row; what was not asked for is empty in it.

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

        Returns:
            The prediction for the N points, row by row, with ``unlabelled`` by reason.

        Raises:
            ValueError: no point is finite, or an array has the wrong shape, type or unit.
        """
        largest = (LARGEST_INDEX - 1) * self.settings.voxel_size
        frame, kept, strays, offset = single_frame(points, colors, normals, origin, largest)
        vehicle, tilt = np.zeros(3) if origin is None else frame.origin, 0.0
        turn = find_level(frame.points, self.settings.voxel_size) if level else None
        if turn is not None:
            frame, tilt = frame.transformed(turn.rotation, turn.translation, ""), turn.tilt
            vehicle = turn.rotation @ vehicle + turn.translation
        voxels = self._new_map(len(frame), radius=0.0)
        voxels.insert(frame, vehicle)
        snapshot = voxels.snapshot()
        by_voxel = self._predict(snapshot, _nothing(), self._labeller, above=float(offset[2]))

        given = checked_points(points)
        row = np.full(len(given), -1)
        row[kept] = snapshot.rows_of(frame.points)
        with np.errstate(over="ignore"):
            own = given if offset.any() else given.astype(np.float32)
        prediction = by_voxel.at(own, row)
        bad, below = prediction.not_finite, prediction.count_below_floor
        if bad:
            _log.warning("%d of %d points are unlabelled: %s", bad, len(given), NOT_FINITE)
        unlabelled_there = int(np.count_nonzero(prediction.label[kept] == UNLABELLED))
        kept_labels = self.settings.unfamiliar == "keep"
        unfamiliar = 0 if kept_labels else prediction.count_unfamiliar
        reasons = {
            "not_finite": len(given) - len(kept) - strays,
            "stray": strays,
            "below_floor": below,
            "output_not_finite": bad,
            "unfamiliar": unfamiliar,
            "no_score": unlabelled_there - bad - below - unfamiliar,
        }
        return replace(prediction, tilt=tilt, unlabelled={r: n for r, n in reasons.items() if n})

    @torch.inference_mode()
    def _predict(
        self,
        snapshot: MapSnapshot,
        carried: CarriedState,
        labeller: Labeller,
        outputs: Collection[str] = OUTPUTS,
        question: FeatureQuery | None = None,
        above: float = 0.0,
    ) -> Prediction:
        """Label a snapshot whose heights count from ``above``, metres, where they were moved."""
        stopwatch = Stopwatch()
        if self.settings.estimate_normals:
            with stopwatch("voxel_normals"):
                snapshot = snapshot.with_normals()
        with stopwatch("geometry"):
            model_input = build_model_input(
                snapshot,
                self.convention,
                carried.held,
                floor_height=self.settings.floor_height - above,
            )
        encoded = self._feature_encoder.encode(model_input, outputs, labeller, question, stopwatch)

        size = len(snapshot)
        labelled, pca_rgb = unlabelled(size), np.zeros((size, 3), np.uint8)
        unusable = ~encoded.finite.cpu().numpy()
        strays = np.zeros(size, bool) if model_input.strays is None else model_input.strays.numpy()
        if encoded.scores is not None:
            with stopwatch("labels"):
                temperature = labeller.temperature
                labelled = labelling(snapshot, encoded.scores, carried.fusion, temperature)
            unusable |= labelled.label == UNLABELLED
        unfamiliar = None
        if encoded.unfamiliar is not None:
            unfamiliar = encoded.unfamiliar.cpu().numpy() & ~unusable
            if self.settings.unfamiliar == "unlabel":
                labelled = labelled.without(unfamiliar)
        if encoded.coarse is not None:
            with stopwatch("pca"):
                pca_rgb = carried.colors.colors(encoded.coarse, snapshot.keys, encoded.coarse_rows)
        return Prediction(
            points=snapshot.points,
            **labelled._asdict(),
            pca_rgb=pca_rgb,
            classes=labeller.labels.classes,
            model=self.model,
            stamp=snapshot.stamp,
            stage_ms=stopwatch.milliseconds,
            similarity=encoded.similarity,
            features=encoded.features,
            floor_height=model_input.floor_height + above,
            unusable=unusable & ~strays,
            below_floor=strays,
            unfamiliar=unfamiliar,
        )

    # The models --------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Load libraries and compile kernels now, so that the first real cloud does not wait."""
        self.segment(np.random.default_rng(0).random((64, 3)))
        self.encoder.warm_up()

    def use(self, taught: TaughtClasses) -> None:
        """Label with ``taught`` from the next prediction on; the fusion of labels restarts."""
        self.taught = taught
        seconds = self.settings.fusion.seconds
        self._labeller = Labeller(taught.head, taught.labels, self.encoder, seconds)

    @property
    def head(self) -> LinearHead | None:
        """The head that computes the labels, as it was loaded or taught; None: no labels."""
        return self._labeller.head

    @property
    def labels(self) -> LabelSet:
        """The classes, in label order."""
        return self._labeller.labels

    @property
    def model(self) -> str:
        """Names of encoder and head, for messages and logs."""
        if self.head is None:
            return f"{self.encoder.name}, no head"
        if self.head.name == self.encoder.name:
            return self.encoder.name
        return f"{self.encoder.name} + {self.head.name}"

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
        """Continue from the state that :meth:`state_dict` of another run returned."""
        self._carried(self._labeller).restore(state_dict)

    def _carried(self, labeller: Labeller) -> CarriedState:
        return CarriedState(self._origin, self._pca, labeller.fusion)

    def _forget(self) -> None:
        self._origin = FixedOrigin()
        self._pca = PcaColors()
        self._labeller.forget()

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
