# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A voxel map of the newest frames, and labels of its voxels that each prediction refines."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import numpy as np
import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.pca import PcaColors
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_file import StoredMap
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_map import Insertion, VoxelMap
from concerto_ros.ptv3 import Encoder
from concerto_ros.segmentation.carried_state import CarriedState
from concerto_ros.segmentation.fixed_origin import FixedOrigin
from concerto_ros.segmentation.labeller import Labeller
from concerto_ros.segmentation.labelling.models import Models
from concerto_ros.segmentation.regions.memory import PredictionMemory
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings

#: What :meth:`MapLabelling.infer` can compute, beside the answer to a feature query.
OUTPUTS = ("labels", "pca")


class MapLabelling(Models):
    """Accumulates frames in a voxel map and labels its voxels.

    :meth:`insert` is the intake stage and :meth:`infer` the inference stage; two threads may run
    them concurrently.
    """

    def __init__(
        self, settings: Settings, encoder: Encoder, head: LinearHead | None, labels: LabelSet
    ):
        super().__init__(settings, encoder, head, labels)
        self._map = self._new_map(self.settings.max_voxels)
        self._map_lock = threading.Lock()
        self._origin = FixedOrigin()
        self._pca = PcaColors()
        self._memory = self._new_memory()

    @property
    def voxel_size(self) -> float:
        """Metres, edge of a voxel of the map."""
        return self._map.voxel_size

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
            carried = (
                self._carried(labeller) if snapshot.generation.current else CarriedState.none()
            )
        return self._predict(snapshot, carried, labeller, outputs, question)

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
