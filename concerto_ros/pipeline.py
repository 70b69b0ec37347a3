# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames in, semantic labels and feature colours out. No ROS needed.

:meth:`SemanticPipeline.insert` is the intake stage and :meth:`SemanticPipeline.infer` the
inference stage; two threads may run them side by side.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.pca import CoarseFeatures, PcaColors
from concerto_ros.heads.similarity import Answers, Question
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_file import StoredMap
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_map import Insertion, VoxelMap
from concerto_ros.ptv3 import Encoder, load_encoder
from concerto_ros.ptv3.checkpoint import DEMO
from concerto_ros.ptv3.cuda_graphs.graphs import GraphedFeatures
from concerto_ros.ptv3.encoder import Pyramid
from concerto_ros.ptv3.kernels.backends import BackendError, choose_backend
from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory
from concerto_ros.ptv3.precision import automatic_precision
from concerto_ros.segmentation.fixed_origin import HeldOrigin
from concerto_ros.segmentation.label_fusion import LabelFusion
from concerto_ros.segmentation.labeller import Labeller, labelling, unlabelled
from concerto_ros.segmentation.model_input import ModelInput, build_model_input
from concerto_ros.segmentation.model_options import (
    convention_of,
    device_named,
    dtype_named,
    label_set_for,
    naming,
)
from concerto_ros.segmentation.out_of_memory_split import Halving, Values
from concerto_ros.sensors.array_frame import single_frame
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch

#: What :meth:`SemanticPipeline.infer` can be asked for, beside a question about features.
OUTPUTS = ("labels", "pca")

_log = logging.getLogger(__name__)


class SemanticPipeline:
    """Accumulates frames in a voxel map and lets an encoder and a linear head label its voxels."""

    def __init__(
        self, settings: Settings, encoder: Encoder, head: LinearHead | None, labels: LabelSet
    ):
        self.settings = settings.with_preset().with_voxel_size(encoder.grid_size)
        self.encoder = encoder
        self.taught = TaughtClasses(head, labels)
        self._labeller = Labeller(head, labels, encoder, settings.fusion.seconds)
        weights = next(encoder.parameters())
        self.device, self.dtype = weights.device, weights.dtype
        self.backend = choose_backend(encoder.backend, self.device).name
        self.convention = convention_of(encoder, self.settings.preset, head)
        self._map = self._new_map(self.settings.max_voxels)
        self._map_lock = threading.Lock()
        self._held = HeldOrigin()
        self._pca = PcaColors()
        self._features = GraphedFeatures(encoder)
        self._halving = Halving()
        self._moved = False

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
        device = device_named(settings.device)
        dtype = dtype_named(settings.precision, device)
        try:
            choose_backend(settings.backend, device)
        except BackendError as error:
            raise SettingsError(str(error)) from error
        with naming("checkpoint"):
            encoder = load_encoder(
                settings.checkpoint, device=device, dtype=dtype, download=download
            )
        encoder.backend = settings.backend
        name = settings.head or (DEMO if settings.checkpoint == DEMO else "")
        head = None
        if name:
            with naming("head"):
                head = LinearHead.load(name, download=download)
                head.concat_levels(encoder)
        with naming("label_set"):
            labels = label_set_for(settings.label_set, head)
        return cls(settings, encoder, head, labels)

    @property
    def head(self) -> LinearHead | None:
        """What the labels are made by, as it was loaded or taught."""
        return self._labeller.head

    @property
    def labels(self) -> LabelSet:
        """The classes, in label order."""
        return self._labeller.labels

    def use(self, taught: TaughtClasses) -> None:
        """Label by what was ``taught`` from the next prediction on; the fusion begins anew."""
        self.taught = taught
        seconds = self.settings.fusion.seconds
        self._labeller = Labeller(taught.head, taught.labels, self.encoder, seconds)
        self._labeller.to(self.device, self.dtype)  # which may have changed meanwhile

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
    def trouble(self) -> str:
        """What the models do without for want of memory; empty while all is well."""
        if self._moved:
            return "the device has not enough memory: the CPU computes; configure anew to go back"
        if self._halving.most_rows is not None:
            return (
                f"the device has not enough memory: clouds are divided into parts of at most"
                f" {self._halving.most_rows} voxels, which costs accuracy where they meet"
            )
        return ""

    def warm_up(self) -> None:
        """Do what the first real cloud would wait for: load libraries, compile kernels."""
        self.segment(np.random.default_rng(0).random((64, 3)))
        self.encoder.warm_up()

    # Intake ------------------------------------------------------------------------------------

    def insert(self, frame: Frame, robot: np.ndarray | None = None) -> Insertion:
        """Fuse ``frame``, whose points are in the fixed frame, into the map.

        ``robot`` is the (3,) position of the robot in the fixed frame, the sensor's if None.
        """
        with self._map_lock:
            return self._map.insert(frame, frame.origin if robot is None else robot)

    def clear(self) -> None:
        """Forget every frame, the held origin, the colours and the labels."""
        with self._map_lock:
            self._map.clear()
            self._held = HeldOrigin()
            self._pca = PcaColors()
            self._labeller.forget()

    def memory(self) -> dict[str, torch.Tensor]:
        """What :meth:`infer` carries from one map to the next, beside the map itself.

        A pipeline that was told to :meth:`remember` it goes on with the same origin, colours and
        fused labels.
        """
        return {
            f"{prefix}.{name}": value
            for prefix, part in self._carried().items()
            for name, value in part.state().items()
        }

    def remember(self, memory: Mapping[str, torch.Tensor]) -> None:
        """Go on from the :meth:`memory` of another run."""
        for prefix, part in self._carried().items():
            part.restore(
                {
                    name.removeprefix(f"{prefix}."): value
                    for name, value in memory.items()
                    if name.startswith(f"{prefix}.")
                }
            )

    def _carried(self) -> dict[str, HeldOrigin | PcaColors | LabelFusion]:
        parts = {"held": self._held, "colors": self._pca, "fusion": self._labeller.fusion}
        return {name: part for name, part in parts.items() if part is not None}

    def snapshot(self) -> MapSnapshot:
        """The map as it is now; later frames do not change it."""
        with self._map_lock:
            return self._map.snapshot()

    def replace_map(self, stored: StoredMap) -> None:
        """Hold the voxels of ``stored`` and no others; their labels are made anew.

        Raises SettingsError where it has another voxel size or fixed frame.
        """
        other = {"voxel_size": stored.snapshot.voxel_size, "fixed_frame": stored.fixed_frame}
        for name, value in other.items():
            own = getattr(self.settings, name)
            if own != value:
                raise SettingsError(f"{name}: the map has {value!r}, wanted {own!r} as here")
        with self._map_lock:
            self._map.put(stored.snapshot)
            self._held = HeldOrigin()
            self._labeller.forget()

    # Inference ---------------------------------------------------------------------------------

    def infer(
        self,
        snapshot: MapSnapshot,
        outputs: Collection[str] = OUTPUTS,
        question: Question | None = None,
    ) -> Prediction:
        """Label the voxels of a non-empty ``snapshot``; ``outputs`` names what is wanted.

        Labels are fused with those of earlier snapshots (parameter ``fusion.seconds``).
        """
        labeller = self._labeller
        return self._predict(
            snapshot, self._held, self._pca, outputs, labeller, labeller.fusion, question
        )

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
        by_voxel = self._predict(snapshot, None, PcaColors(), OUTPUTS, self._labeller)

        row = np.full(len(points), -1)
        row[finite] = snapshot.rows_of(frame.points)
        return by_voxel.at(np.asarray(points, np.float32), row)

    @torch.inference_mode()
    def _predict(
        self,
        snapshot: MapSnapshot,
        held: HeldOrigin | None,
        pca: PcaColors,
        outputs: Collection[str],
        labeller: Labeller,
        fusion: LabelFusion | None = None,
        question: Question | None = None,
    ) -> Prediction:
        watch = Stopwatch()
        answers = Answers(question, labeller.concat_levels)
        if self.settings.estimate_normals:
            with watch("voxel_normals"):
                snapshot = snapshot.with_normals()
        with watch("geometry"):
            given = build_model_input(snapshot, self.convention, held)
        coarse = CoarseFeatures()
        values = self._compute(given, outputs, labeller, coarse, answers, watch)

        size = len(snapshot.points)
        said, pca_rgb = unlabelled(size), np.zeros((size, 3), np.uint8)
        if "scores" in values:
            with watch("labels"):
                said = labelling(snapshot, values["scores"], fusion)
        if "pca" in values:
            with watch("pca"):
                pca_rgb = pca.colors(coarse.joined(), snapshot.keys, values["pca"])
        return Prediction(
            points=snapshot.points,
            **said._asdict(),
            pca_rgb=pca_rgb,
            classes=labeller.labels.classes,
            model=self.model,
            stamp=snapshot.stamp,
            stage_ms=watch.milliseconds,
            similarity=answers.similarity(values),
            features=answers.features,
        )

    def _compute(
        self,
        given: ModelInput,
        outputs: Collection[str],
        labeller: Labeller,
        coarse: CoarseFeatures,
        answers: Answers,
        watch: Stopwatch,
    ) -> Values:
        """:meth:`_encode` of the whole cloud, of its parts, and then on the CPU if allowed."""

        def encode(rows: torch.Tensor | None) -> Values:
            pyramid, values = self._encode(given.part(rows), outputs, labeller, watch)
            values |= answers.of(pyramid, rows)
            if "pca" in outputs:
                with watch("pca"):  # last, so that a pass that fails keeps nothing
                    values["pca"] = coarse.of(pyramid)
            return values

        def attempt(rows: torch.Tensor | None) -> Values:
            try:
                return encode(rows)
            except Exception as error:
                if not (is_out_of_memory(error) and self._features.release()):
                    raise
            # Graphs gave way, and only here has the exception let go of what the attempt held.
            return encode(rows)

        try:
            return self._halving(attempt, given.coord)
        except Exception as error:
            allowed = self.settings.cpu_fallback and self.device.type != "cpu"
            if not (allowed and is_out_of_memory(error)):
                raise
        self._move_to_cpu()  # outside the handler, as above
        return self._halving(attempt, given.coord)

    def _move_to_cpu(self) -> None:
        """Compute on the CPU from now on: a device that is too small will be so again."""
        _log.error("%s has not enough memory: the models move to the CPU", self.device)
        self.device = torch.device("cpu")
        auto = self.settings.precision == "auto"
        self.dtype = automatic_precision(self.device) if auto else torch.float32
        for model in (self.encoder, self._labeller):
            model.to(self.device, self.dtype)
        self.encoder.backend = "auto"
        self.backend = choose_backend("auto", self.device).name
        self._features = GraphedFeatures(self.encoder)
        self._halving = Halving()
        self._moved = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _encode(
        self, given: ModelInput, outputs: Collection[str], labeller: Labeller, watch: Stopwatch
    ) -> tuple[Pyramid, Values]:
        """The features, and what the outputs are made of, a row for each voxel of ``given``."""
        with watch("geometry"):
            hierarchy = self.encoder.hierarchy(
                given.grid_coord.to(self.device),
                given.coord.to(self.device),
                given.offset.to(self.device),
            )
        with watch("features", self.device):
            pyramid = self._features(given.feat.to(self.device), hierarchy)
        values = {}
        if labeller.head is not None and "labels" in outputs:
            with watch("labels"):
                values["scores"] = labeller.scores(pyramid)
        return pyramid, values

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
