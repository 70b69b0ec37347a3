# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A map with its labels as a safetensors file, written so that a crash leaves the old file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.confined_path import file_below
from concerto_ros.files.safetensors_file import read_tensors, write_tensors
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import LATTICE_LIMIT, pack

SUFFIX = ".safetensors"
FORMAT = "concerto_ros map 1"

#: More than a voxel, and the header, take in a file.
_BYTES_PER_VOXEL, _HEADER_BYTES = 128, 1 << 20


class MapFileError(ValueError):
    """A map that cannot be read or written; the text names the file and what is wrong."""


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map and the labels of its V voxels.

    Attributes
    ----------
    snapshot: the voxels. A file keeps the newest stamp alone and not where the robot was: read
        back, every voxel was seen and came then, and there are no frames.
    label: (V,) uint8, position in ``classes``; 255 where unlabelled.
    confidence, entropy: (V,) float32 in [0, 1].
    fixed_frame: the frame of everything.
    classes: names in label order.
    """

    snapshot: MapSnapshot
    label: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    fixed_frame: str
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.snapshot)


#: Name of an array in a file: its type and what follows V in its shape.
_OF_SNAPSHOT = {
    "index": (np.int32, (3,)),
    "points": (np.float32, (3,)),
    "colors": (np.float32, (3,)),
    "has_color": (np.uint8, ()),
    "normals": (np.float32, (3,)),
    "toward": (np.float32, (3,)),
}
_OF_LABELS = {
    "label": (np.uint8, ()),
    "confidence": (np.float32, ()),
    "entropy": (np.float32, ()),
}


def stored_map(snapshot: MapSnapshot, prediction: Prediction, fixed_frame: str) -> StoredMap:
    """The map of ``snapshot`` with the labels that ``prediction`` gave it."""
    return StoredMap(
        snapshot=snapshot,
        label=prediction.label,
        confidence=prediction.confidence,
        entropy=prediction.entropy,
        fixed_frame=fixed_frame,
        classes=tuple(entry.name for entry in prediction.classes),
    )


def map_path(directory: str, name: str) -> Path:
    """The file ``name`` below ``directory``.

    Raises MapFileError for a name that leads elsewhere, by links as well, or is none of a map.
    """
    try:
        return file_below(directory, name, "map_directory", SUFFIX)
    except ValueError as error:
        raise MapFileError(str(error)) from error


def write_map(path: Path, stored: StoredMap) -> None:
    """Write and flush beside ``path``, then rename: whatever happens, one whole file is there."""
    snapshot = stored.snapshot
    arrays = {name: getattr(snapshot, name) for name in _OF_SNAPSHOT}
    arrays |= {name: getattr(stored, name) for name in _OF_LABELS}
    arrays["has_color"] = snapshot.has_color.astype(np.uint8)
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    metadata = {
        "format": FORMAT,
        "voxel_size": repr(snapshot.voxel_size),
        "fixed_frame": stored.fixed_frame,
        "stamp": str(snapshot.stamp),
        "classes": json.dumps(stored.classes),
    }
    try:
        with replacing(path) as partial:
            write_tensors(partial, tensors, metadata)
    except OSError as error:
        raise MapFileError(f"{path}: cannot be written: {error.strerror}") from error


def read_map(path: Path, max_voxels: int) -> StoredMap:
    """A map of at most ``max_voxels``; MapFileError where the file is none, or damaged."""
    try:
        size = path.stat().st_size
        if size > max_voxels * _BYTES_PER_VOXEL + _HEADER_BYTES:
            raise MapFileError(f"{path}: {size} bytes, too many for {max_voxels} voxels")
        tensors, metadata = read_tensors(path)
        return _checked(path, tensors, metadata, max_voxels)
    except OSError as error:
        raise MapFileError(f"{path}: cannot be read: {error.strerror}") from error
    except MapFileError:
        raise
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise MapFileError(f"{path}: is not a map: {error}") from error


def _checked(path: Path, tensors: dict, metadata: dict, max_voxels: int) -> StoredMap:
    kinds = _OF_SNAPSHOT | _OF_LABELS
    if metadata.get("format") != FORMAT or set(tensors) != set(kinds):
        raise MapFileError(f"{path}: is not a map; its format is {metadata.get('format')!r}")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    count = len(arrays["index"])
    for name, (kind, shape) in kinds.items():
        array = arrays[name]
        if array.dtype != kind or array.shape != (count, *shape):
            raise MapFileError(f"{path}: {name} is {array.dtype} {array.shape}")
        if not np.isfinite(array).all():
            raise MapFileError(f"{path}: {name} holds values that are not finite")
    index = arrays["index"]
    inside = (index >= -LATTICE_LIMIT) & (index < LATTICE_LIMIT)
    keys = pack(index)
    order = np.argsort(keys)  # ours are sorted, but the format does not ask for it
    keys = keys[order]
    if not inside.all() or (keys[1:] == keys[:-1]).any():
        raise MapFileError(f"{path}: index leaves the lattice or repeats itself")
    if count > max_voxels:
        raise MapFileError(f"{path}: {count} voxels, expected at most max_voxels, {max_voxels}")
    arrays = {name: array[order] for name, array in arrays.items()}
    return StoredMap(
        _snapshot(keys, arrays, float(metadata["voxel_size"]), int(metadata["stamp"])),
        **{name: arrays[name] for name in _OF_LABELS},
        fixed_frame=str(metadata["fixed_frame"]),
        classes=_names(json.loads(metadata["classes"])),
    )


def _snapshot(
    keys: np.ndarray, arrays: dict[str, np.ndarray], voxel_size: float, stamp: int
) -> MapSnapshot:
    arrays = {name: arrays[name] for name in _OF_SNAPSHOT}
    arrays["has_color"] = arrays["has_color"].astype(bool)
    stamps = np.full(len(keys), stamp, np.int64)
    return MapSnapshot(
        keys=keys,
        **arrays,
        stamps=stamps,
        since=stamps,
        stamp=stamp,
        robot=np.zeros(3),
        voxel_size=voxel_size,
        frames=0,
    )


def _names(value: Sequence) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("classes is not a list of names")
    return tuple(value)
