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

from concerto_ros.cloud.frame import Frame
from concerto_ros.cloud.grid_sampling import pack
from concerto_ros.cloud.label_fusion import LabelFusion, normalised_entropy
from concerto_ros.cloud.model_input import (
    HeldOrigin,
    ModelInput,
    build_model_input,
    convention_for,
)
from concerto_ros.cloud.snapshot import Snapshot
from concerto_ros.cloud.voxel_map import Insertion, VoxelMap
from concerto_ros.halving import Halving, Values, is_out_of_memory
from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.pca import PcaColors
from concerto_ros.labels import UNLABELLED, LabelSet
from concerto_ros.map_file import StoredMap
from concerto_ros.models import device_named, dtype_named, label_set_for, naming
from concerto_ros.prediction import Prediction
from concerto_ros.ptv3 import Encoder, load_encoder
from concerto_ros.ptv3.backends import BackendError, choose_backend
from concerto_ros.ptv3.checkpoint import DEMO
from concerto_ros.ptv3.graphs import GraphedFeatures
from concerto_ros.ptv3.precision import automatic_precision
from concerto_ros.settings import Settings, SettingsError
from concerto_ros.stopwatch import Stopwatch

#: What :meth:`SemanticPipeline.infer` can be asked for.
OUTPUTS = ("labels", "pca")

#: Coarsest skips whose features the colours show, as in the Sonata and Concerto papers.
PCA_CONCAT_LEVELS = 2

_log = logging.getLogger(__name__)


class SemanticPipeline:
    """Accumulates frames in a voxel map and lets an encoder and a linear head label its voxels."""

    def __init__(
        self, settings: Settings, encoder: Encoder, head: LinearHead | None, labels: LabelSet
    ):
        self.settings = settings.with_preset().with_voxel_size(encoder.grid_size)
        self.encoder = encoder
        self.head = head
        self.labels = labels
        weights = next(encoder.parameters())
        self.device, self.dtype = weights.device, weights.dtype
        self.backend = choose_backend(encoder.backend, self.device).name
        # A model that names its own grid learned from metres indoors, whatever the preset is.
        preset = "indoor" if encoder.grid_size else self.settings.preset
        self.convention = convention_for(preset, rotary=encoder.rotary)
        self._head_levels = None if head is None else head.concat_levels(encoder)
        self._map = self._new_map(self.settings.max_voxels)
        self._map_lock = threading.Lock()
        self._held = HeldOrigin()
        self._pca = PcaColors()
        self._fusion = self._new_fusion()
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
                head = LinearHead.load(name, encoder, download=download)
        with naming("label_set"):
            labels = label_set_for(settings.label_set, head)
        return cls(settings, encoder, head, labels)

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
        """Label a small cloud, so that the first real one does not wait for libraries to load."""
        self.segment(np.random.default_rng(0).random((64, 3)))

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
            self._fusion = self._new_fusion()

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
        parts = {"held": self._held, "colors": self._pca, "fusion": self._fusion}
        return {name: part for name, part in parts.items() if part is not None}

    def snapshot(self) -> Snapshot:
        """The map as it is now; later frames do not change it."""
        with self._map_lock:
            return self._map.snapshot()

    def replace_map(self, stored: StoredMap) -> None:
        """Hold the voxels of ``stored`` and no others; their labels are made anew.

        Raises SettingsError where it has another voxel size or fixed frame.
        """
        for name in ("voxel_size", "fixed_frame"):
            own, other = getattr(self.settings, name), getattr(stored, name)
            if own != other:
                raise SettingsError(f"{name}: the map has {other!r}, wanted {own!r} as here")
        with self._map_lock:
            self._map.put(
                stored.index,
                stored.points,
                stored.colors,
                stored.has_color,
                stored.normals,
                stored.toward,
            )
            self._held = HeldOrigin()
            self._fusion = self._new_fusion()

    # Inference ---------------------------------------------------------------------------------

    def infer(self, snapshot: Snapshot, outputs: Collection[str] = OUTPUTS) -> Prediction:
        """Label the voxels of a non-empty ``snapshot``; ``outputs`` names what is wanted.

        Labels are fused with those of earlier snapshots (parameter ``fusion.seconds``).
        """
        return self._predict(snapshot, self._held, self._pca, outputs, self._fusion)

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
        turned to the sensor, or to the middle of the cloud where that is not known. Points that
        are not finite are unlabelled. Raises ``ValueError`` where no point is finite.
        """
        points, colors, normals = _checked_cloud(points, colors, normals)
        finite = np.flatnonzero(np.isfinite(points).all(axis=1))
        if len(finite) == 0:
            raise ValueError(
                f"points: got {len(points)} points, none of them finite, wanted at least one"
            )
        seen = points[finite]
        if origin is None:
            origin = (seen.min(axis=0) + seen.max(axis=0)) / 2
        origin = np.asarray(origin, np.float64)
        frame = Frame(
            points=seen,
            stamp=0,
            frame_id="",
            colors=None if colors is None else colors[finite],
            normals=None if normals is None else normals[finite],
            origin=origin,
        )
        voxels = self._new_map(len(seen), radius=0.0)
        voxels.insert(frame, origin)
        snapshot = voxels.snapshot()
        by_voxel = self._predict(snapshot, None, PcaColors(), OUTPUTS)

        row = np.full(len(points), -1)
        row[finite] = snapshot.rows_of(seen)
        return by_voxel.at(points, row)

    @torch.inference_mode()
    def _predict(
        self,
        snapshot: Snapshot,
        held: HeldOrigin | None,
        pca: PcaColors,
        outputs: Collection[str],
        fusion: LabelFusion | None = None,
    ) -> Prediction:
        watch = Stopwatch()
        if self.settings.estimate_normals:
            with watch("voxel_normals"):
                snapshot = snapshot.with_normals()
        with watch("geometry"):
            given = build_model_input(snapshot, self.convention, held)
        values = self._compute(given, outputs, watch)

        size = len(snapshot.points)
        label = np.full(size, UNLABELLED, np.uint8)
        confidence = np.zeros(size, np.float32)
        entropy = np.ones(size, np.float32)
        pca_rgb = np.zeros((size, 3), np.uint8)
        if "scores" in values:
            with watch("labels"):
                scores = values["scores"].float()
                chance = fusion(snapshot, scores) if fusion else scores.log_softmax(dim=1)
                best = chance.max(dim=1)
                label = best.indices.to(torch.uint8).cpu().numpy()
                confidence = best.values.exp().cpu().numpy()
                entropy = normalised_entropy(chance).cpu().numpy()
        if "pca" in values:
            with watch("pca"):
                pca_rgb = pca.colors(values["pca"], pack(snapshot.index))
        return Prediction(
            points=snapshot.points,
            label=label,
            confidence=confidence,
            entropy=entropy,
            pca_rgb=pca_rgb,
            classes=self.labels.classes,
            model=self.model,
            stamp=snapshot.stamp,
            stage_ms=watch.milliseconds,
        )

    def _compute(self, given: ModelInput, outputs: Collection[str], watch: Stopwatch) -> Values:
        """:meth:`_encode` of the whole cloud, of its parts, and then on the CPU if allowed."""

        def encode(rows: torch.Tensor | None) -> Values:
            return self._encode(given.part(rows), outputs, watch)

        try:
            return self._halving(encode, given.coord)
        except Exception as error:
            allowed = self.settings.cpu_fallback and self.device.type != "cpu"
            if not (allowed and is_out_of_memory(error)):
                raise
        # Only here has the exception let go of what the computation held.
        self._move_to_cpu()
        return self._halving(encode, given.coord)

    def _move_to_cpu(self) -> None:
        """Compute on the CPU from now on: a device that is too small will be so again."""
        _log.error("%s has not enough memory: the models move to the CPU", self.device)
        self.device = torch.device("cpu")
        auto = self.settings.precision == "auto"
        self.dtype = automatic_precision(self.device) if auto else torch.float32
        for model in (self.encoder, self.head):
            if model is not None:
                model.to(self.device, self.dtype)
        self.encoder.backend = "auto"
        self.backend = choose_backend("auto", self.device).name
        self._features = GraphedFeatures(self.encoder)
        self._halving = Halving()
        self._moved = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _encode(self, given: ModelInput, outputs: Collection[str], watch: Stopwatch) -> Values:
        """What the outputs are made of, one row for each voxel of ``given``."""
        with watch("geometry"):
            hierarchy = self.encoder.hierarchy(
                given.grid_coord.to(self.device),
                given.coord.to(self.device),
                given.offset.to(self.device),
            )
        with watch("features", self.device):
            pyramid = self._features(given.feat.to(self.device), hierarchy)
        values = {}
        if self.head is not None and "labels" in outputs:
            with watch("labels"):
                values["scores"] = self.head.scores(pyramid, self._head_levels)
        if "pca" in outputs:
            with watch("pca"):
                values["pca"] = pyramid.upcast(PCA_CONCAT_LEVELS)
        return values

    def _new_fusion(self) -> LabelFusion | None:
        seconds = self.settings.fusion.seconds
        return LabelFusion(seconds) if seconds else None

    def _new_map(self, max_voxels: int, radius: float | None = None) -> VoxelMap:
        settings = self.settings
        return VoxelMap(
            settings.voxel_size,
            window_seconds=settings.window_seconds,
            window_frames=settings.window_frames,
            radius=settings.window_radius if radius is None else radius,
            max_voxels=max_voxels,
        )


def _checked_cloud(points, colors, normals):
    """The arrays of :meth:`SemanticPipeline.segment` as float32 and uint8, or ``ValueError``."""
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise ValueError(f"points: got shape {points.shape}, wanted (N, 3) with N > 0")
    for name, value in (("colors", colors), ("normals", normals)):
        if value is not None and np.shape(value) != points.shape:
            raise ValueError(
                f"{name}: got shape {np.shape(value)}, wanted {points.shape} as points"
            )
    return (
        points.astype(np.float32),
        None if colors is None else np.clip(np.nan_to_num(colors), 0, 255).astype(np.uint8),
        None if normals is None else np.nan_to_num(np.asarray(normals, np.float32)),
    )
