# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How recordings become scenes to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DataOptions:
    """How recordings become scenes.

    Attributes:
        voxel_size: Of the encoder, metres.
        preset: Range limits of the sensor, ``indoor`` or ``outdoor``.
        folder: Where maps and vectors of patches are kept.
        frames_per_scan: Consecutive frames of a bag of clouds that are one scene.
        every: Seconds between these frames.
        max_frames: Images of a scene at most.
        map_frame: Of a bag, the frame of the map; None: the root of the TF tree.
        patches: Patches along an edge of an image at most.
        write_split: Whether maps of posed images are also written in Pointcept's layout.
        fitted_normals: Whether clouds without normals get fitted ones.
        progress: Whether to show progress bars.
    """

    voxel_size: float
    preset: str
    folder: Path
    frames_per_scan: int = 1
    every: float = 1.0
    max_frames: int = 200
    map_frame: str | None = None
    patches: int = 37
    write_split: bool = False
    fitted_normals: bool = True
    progress: bool = True

    def identity(self) -> dict[str, Any]:
        """What of it changes clouds, by name."""
        own: dict[str, Any] = {"voxel size": self.voxel_size}
        return own if self.fitted_normals else own | {"normals": "none are fitted"}
