# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames in, semantic labels and feature colours out. No ROS needed.

:meth:`SemanticPipeline.insert` is the intake stage and :meth:`SemanticPipeline.infer` the
inference stage; two threads may run them side by side.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.pca import PcaColors
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_file import StoredMap
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_map import Insertion, VoxelMap
from concerto_ros.ptv3 import Encoder
from concerto_ros.segmentation.carried_state import CarriedState
from concerto_ros.segmentation.feature_encoder import FeatureEncoder
from concerto_ros.segmentation.fixed_origin import FixedOrigin
from concerto_ros.segmentation.labeller import Labeller, labelling, unlabelled
from concerto_ros.segmentation.loading import load_models
from concerto_ros.segmentation.model_input import build_model_input
from concerto_ros.segmentation.model_options import convention_of
from concerto_ros.sensors.array_frame import single_frame
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch

#: What :meth:`SemanticPipeline.infer` can be asked for, beside a question about features.
OUTPUTS = ("labels", "pca")


class SemanticPipeline:
    """Accumulates frames in a voxel map and lets an encoder and a linear head label its voxels."""

    def __init__(
        self, settings: Settings, encoder: Encoder, head: LinearHead | None, labels: LabelSet
    ):
        self.settings = settings.with_preset().with_voxel_size(encoder.grid_size)
        self.encoder = encoder
        self.use(TaughtClasses(head, labels))
        self.convention = convention_of(encoder, self.settings.preset, head)
        self._feature_encoder = FeatureEncoder(
            encoder, precision=settings.precision, cpu_fallback=settings.cpu_fallback
        )
        self._map = self._new_map(self.settings.max_voxels)
        self._map_lock = threading.Lock()
        self._held = FixedOrigin()
        self._pca = PcaColors()

    @classmethod
    def from_config(cls, path: str | Path) -> SemanticPipeline:
        """The pipeline of a ROS parameter file, e.g. ``config/perception.yaml``."""
        return cls.from_settings(Settings.from_config(path))

    @classmethod
    def from_settings(cls, settings: Settings, *, download: bool = True) -> SemanticPipeline:
        """The pipeline of these settings.

        Models that are not on this machine are fetched unless ``download`` is False; then a
        missing file is a ``ValueError`` that says where to get it.
        """
        return cls(settings, *load_models(settings, download=download))

    # Intake ------------------------------------------------------------------------------------

    def insert(self, frame: Frame, robot: np.ndarray | None = None) -> Insertion:
        """Fuse ``frame``, whose points are in the fixed frame, into the map.

        ``robot`` is the (3,) position of the robot in the fixed frame, the sensor's if None.
        """
        with self._map_lock:
            return self._map.insert(frame, frame.origin if robot is None else robot)

    def snapshot(self) -> MapSnapshot:
        """The map as it is now; later frames do not change it."""
        with self._map_lock:
            return self._map.snapshot()

    # Inference ---------------------------------------------------------------------------------

    def infer(
        self,
        snapshot: MapSnapshot,
        outputs: Collection[str] = OUTPUTS,
        question: FeatureQuery | None = None,
    ) -> Prediction:
        """Label the voxels of a non-empty ``snapshot``; ``outputs`` names what is wanted.

        Labels are fused with those of earlier snapshots (parameter ``fusion.seconds``).
        """
        labeller = self._labeller
        return self._predict(snapshot, self._carried(labeller), labeller, outputs, question)

    def segment(
        self,
        points: np.ndarray,
        colors: np.ndarray | None = None,
        normals: np.ndarray | None = None,
        *,
        origin: np.ndarray | None = None,
    ) -> Prediction:
        """Label one cloud by itself, each input point with the answer of its voxel.

        ``points`` (N, 3) in metres with z up, ``colors`` (N, 3) in 0..255, ``normals`` (N, 3)
        unit, ``origin`` (3,) where the sensor was. Normals that are not given are fitted and
        turned to the sensor, or to the middle of the cloud where that is not known; the vehicle
        is then at zero, as for training. Points that are not finite are unlabelled. Raises
        ``ValueError`` where no point is finite.
        """
        frame, finite = single_frame(points, colors, normals, origin)
        voxels = self._new_map(len(frame), radius=0.0)
        voxels.insert(frame, np.zeros(3) if origin is None else frame.origin)
        snapshot = voxels.snapshot()
        alone = CarriedState(held=None, colors=PcaColors(), fusion=None)
        by_voxel = self._predict(snapshot, alone, self._labeller)

        row = np.full(len(points), -1)
        row[finite] = snapshot.rows_of(frame.points)
        return by_voxel.at(np.asarray(points, np.float32), row)

    @torch.inference_mode()
    def _predict(
        self,
        snapshot: MapSnapshot,
        carried: CarriedState,
        labeller: Labeller,
        outputs: Collection[str] = OUTPUTS,
        question: FeatureQuery | None = None,
    ) -> Prediction:
        watch = Stopwatch()
        if self.settings.estimate_normals:
            with watch("voxel_normals"):
                snapshot = snapshot.with_normals()
        with watch("geometry"):
            given = build_model_input(snapshot, self.convention, carried.held)
        encoded = self._feature_encoder.encode(given, outputs, labeller, question, watch)

        size = len(snapshot)
        said, pca_rgb = unlabelled(size), np.zeros((size, 3), np.uint8)
        if encoded.scores is not None:
            with watch("labels"):
                said = labelling(snapshot, encoded.scores, carried.fusion)
        if encoded.coarse is not None:
            with watch("pca"):
                pca_rgb = carried.colors.colors(encoded.coarse, snapshot.keys, encoded.coarse_rows)
        return Prediction(
            points=snapshot.points,
            **said._asdict(),
            pca_rgb=pca_rgb,
            classes=labeller.labels.classes,
            model=self.model,
            stamp=snapshot.stamp,
            stage_ms=watch.milliseconds,
            similarity=encoded.similarity,
            features=encoded.features,
        )

    # The models --------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Do what the first real cloud would wait for: load libraries, compile kernels."""
        self.segment(np.random.default_rng(0).random((64, 3)))
        self.encoder.warm_up()

    def use(self, taught: TaughtClasses) -> None:
        """Label by what was ``taught`` from the next prediction on; the fusion starts afresh."""
        self.taught = taught
        seconds = self.settings.fusion.seconds
        self._labeller = Labeller(taught.head, taught.labels, self.encoder, seconds)

    @property
    def head(self) -> LinearHead | None:
        """What the labels are made by, as it was loaded or taught."""
        return self._labeller.head

    @property
    def labels(self) -> LabelSet:
        """The classes, in label order."""
        return self._labeller.labels

    @property
    def model(self) -> str:
        """Encoder and head in words."""
        if self.head is None:
            return f"{self.encoder.name}, no head"
        if self.head.name == self.encoder.name:
            return self.encoder.name
        return f"{self.encoder.name} + {self.head.name}"

    @property
    def trained(self) -> bool:
        """Whether the labels mean anything."""
        return self.encoder.trained and (self.head is None or self.head.trained)

    @property
    def device(self) -> torch.device:
        """Where the models compute; the CPU once another device's memory was not enough."""
        return self._feature_encoder.device

    @property
    def dtype(self) -> torch.dtype:
        """How precisely they compute."""
        return self._feature_encoder.dtype

    @property
    def backend(self) -> str:
        """The kernels they compute by."""
        return self._feature_encoder.backend

    @property
    def trouble(self) -> str:
        """What the models do without for want of memory; empty while all is well."""
        return self._feature_encoder.trouble

    # The map and what is carried on ------------------------------------------------------------

    def clear(self) -> None:
        """Forget every frame, the held origin, the colours and the labels."""
        with self._map_lock:
            self._map.clear()
            self._held = FixedOrigin()
            self._pca = PcaColors()
            self._labeller.forget()

    def replace_map(self, stored: StoredMap) -> None:
        """Hold the voxels of ``stored`` and no others; their labels are made from nothing.

        Raises SettingsError where it has another voxel size or fixed frame.
        """
        other = {"voxel_size": stored.snapshot.voxel_size, "fixed_frame": stored.fixed_frame}
        for name, value in other.items():
            own = getattr(self.settings, name)
            if own != value:
                raise SettingsError(f"{name}: the map has {value!r}, expected {own!r} as here")
        with self._map_lock:
            self._map.put(stored.snapshot)
            self._held = FixedOrigin()
            self._labeller.forget()

    def memory(self) -> dict[str, torch.Tensor]:
        """What :meth:`infer` carries from one map to the next, beside the map itself.

        A pipeline that was told to :meth:`remember` it goes on with the same origin, colours and
        fused labels.
        """
        return self._carried(self._labeller).state()

    def remember(self, memory: Mapping[str, torch.Tensor]) -> None:
        """Go on from the :meth:`memory` of another run."""
        self._carried(self._labeller).restore(memory)

    def _carried(self, labeller: Labeller) -> CarriedState:
        return CarriedState(self._held, self._pca, labeller.fusion)

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
