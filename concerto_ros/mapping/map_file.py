# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A labelled map as a safetensors file, written atomically."""

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

#: Upper bounds of the size of a voxel and of the header in a file.
_MAX_BYTES_PER_VOXEL, _MAX_HEADER_BYTES = 128, 1 << 20


class MapFileError(ValueError):
    """A map file that cannot be read or written; the text names the file and what is wrong."""


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map and the labels of its V voxels.

    Attributes:
        snapshot: The voxels. A file stores only the newest stamp and no robot position: read back,
            every voxel was first and last seen then, and there are no frames.
        label: (V,) uint8, index into ``classes``; 255 where unlabelled.
        confidence: (V,) float32 in [0, 1].
        entropy: (V,) float32 in [0, 1].
        fixed_frame: The frame of the map.
        classes: Names in label order.
    """

    snapshot: MapSnapshot
    label: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    fixed_frame: str
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.snapshot)


#: Arrays in a file by name: type, and the shape of a voxel.
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
    """Combine a snapshot with its predicted labels."""
    return StoredMap(
        snapshot=snapshot,
        label=prediction.label,
        confidence=prediction.confidence,
        entropy=prediction.entropy,
        fixed_frame=fixed_frame,
        classes=tuple(label_class.name for label_class in prediction.classes),
    )


def map_path(directory: str, name: str) -> Path:
    """Resolve the name of a map file below ``directory``, the parameter ``map_directory``.

    Raises:
        MapFileError: ``name`` leads out of the directory, by links as well, or is not the name of
            a map file.
    """
    try:
        return file_below(directory, name, "map_directory", SUFFIX)
    except ValueError as error:
        raise MapFileError(str(error)) from error


def write_map(path: Path, stored: StoredMap) -> None:
    """Write a map atomically.

    Raises:
        MapFileError: The file cannot be written.
    """
    snapshot = stored.snapshot
    arrays = {
        "index": snapshot.index,
        "points": snapshot.points,
        "colors": snapshot.colors,
        "has_color": snapshot.has_color.astype(np.uint8),
        "normals": snapshot.normals,
        "toward": snapshot.sensor_directions,
    }
    arrays |= {name: getattr(stored, name) for name in _OF_LABELS}
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
        raise MapFileError(f"{path} cannot be written: {error.strerror}") from error


def read_map(path: Path, max_voxels: int) -> StoredMap:
    """Read a map of at most ``max_voxels`` voxels.

    Raises:
        MapFileError: The file cannot be read, is damaged or not a map, or has more voxels.
    """
    try:
        size = path.stat().st_size
        if size > max_voxels * _MAX_BYTES_PER_VOXEL + _MAX_HEADER_BYTES:
            raise MapFileError(
                f"{path}: got {size} bytes, expected at most those of {max_voxels} voxels"
            )
        tensors, metadata = read_tensors(path)
        return _checked(path, tensors, metadata, max_voxels)
    except OSError as error:
        raise MapFileError(f"{path} cannot be read: {error.strerror}") from error
    except MapFileError:
        raise
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise MapFileError(f"{path} is not a map: {error}") from error


def _checked(path: Path, tensors: dict, metadata: dict, max_voxels: int) -> StoredMap:
    expected = _OF_SNAPSHOT | _OF_LABELS
    if metadata.get("format") != FORMAT or set(tensors) != set(expected):
        raise MapFileError(f"{path} is not a map: got the format {metadata.get('format')!r}")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    count = len(arrays["index"])
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        if array.dtype != dtype or array.shape != (count, *shape):
            raise MapFileError(
                f"{path}: {name}: got {array.dtype} {array.shape}, expected"
                f" {np.dtype(dtype)} {(count, *shape)}"
            )
        if not np.isfinite(array).all():
            raise MapFileError(f"{path}: {name}: got NaN or infinity, expected finite values")
    index = arrays["index"]
    inside = (index >= -LATTICE_LIMIT) & (index < LATTICE_LIMIT)
    keys = pack(index)
    order = np.argsort(keys)  # sorted as written here, but the format does not require it
    keys = keys[order]
    if not inside.all() or (keys[1:] == keys[:-1]).any():
        raise MapFileError(
            f"{path}: index: got duplicate or out-of-range voxels, expected each once"
        )
    if count > max_voxels:
        raise MapFileError(
            f"{path}: got {count} voxels, expected at most max_voxels, {max_voxels}"
        )
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
    stamps = np.full(len(keys), stamp, np.int64)
    return MapSnapshot(
        keys=keys,
        index=arrays["index"],
        points=arrays["points"],
        colors=arrays["colors"],
        has_color=arrays["has_color"].astype(bool),
        normals=arrays["normals"],
        sensor_directions=arrays["toward"],
        stamps=stamps,
        first_seen=stamps,
        stamp=stamp,
        robot=np.zeros(3),
        voxel_size=voxel_size,
        frames=0,
    )


def _names(value: Sequence) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"classes: got {value!r}, expected a list of names")
    return tuple(value)
