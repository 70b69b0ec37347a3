# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the arrays of a cloud to the tensors that the model takes, step by step.

A cloud is a dict: ``coord`` (N, 3) metres, ``color`` (N, 3) in 0..255, ``normal`` (N, 3) unit, and
whatever else belongs to it. A step returns a changed copy and leaves the dict that it was given as
it is. The steps are those that prepare a cloud for inference; augmentations are not among them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

#: Entries with a value for each point, which grid sampling thins out together.
PER_POINT = ("coord", "color", "normal", "strength", "segment", "instance")

Cloud = dict[str, Any]


class Step:
    """A step that changes or adds some entries."""

    def __call__(self, data: Mapping[str, Any]) -> Cloud:
        """Return a changed copy.

        Raises:
            ValueError: an entry is missing, or not as expected; the text names it.
        """
        return {**data, **self._changes(data)}

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        """Return the entries that change."""
        raise NotImplementedError


@dataclass(frozen=True)
class CenterShift(Step):
    """Move the middle of the bounding box to zero in x and y, and its lower side in z.

    Attributes:
        apply_z: whether heights are moved.
    """

    apply_z: bool = True

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        coord = _coord(data)
        low, high = coord.min(axis=0), coord.max(axis=0)
        shift = (low + high) / 2
        shift[2] = low[2] if self.apply_z else 0
        return {"coord": coord - shift}


@dataclass(frozen=True)
class PositiveShift(Step):
    """Move the lowest corner of the bounding box to zero."""

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        coord = _coord(data)
        return {"coord": coord - coord.min(axis=0)}


@dataclass(frozen=True)
class NormalizeCoord(Step):
    """Move the mean to zero and scale the farthest point to a distance of one."""

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        coord = _coord(data)
        coord = coord - coord.mean(axis=0)
        farthest = np.linalg.norm(coord, axis=1).max()
        return {"coord": coord / farthest if farthest else coord}


@dataclass(frozen=True)
class RandomScale(Step):
    """Scale the coordinates by a factor from NumPy's random numbers.

    Attributes:
        scale: its lowest and highest value; the outdoor model takes (0.2, 0.2).
        anisotropic: whether each axis has its own factor.
    """

    scale: Sequence[float] = (0.95, 1.05)
    anisotropic: bool = False

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        coord = _coord(data)
        low, high = self.scale
        factor = np.random.uniform(low, high, 3 if self.anisotropic else 1)
        return {"coord": coord * factor.astype(coord.dtype)}


@dataclass(frozen=True)
class GridSample(Step):
    """Keep one point of each voxel, chosen by NumPy's random numbers.

    The lattice goes through the origin. ``grid_coord`` (V, 3) are the indices of the voxels, at
    least 0, ``inverse`` (N,) the voxel of each point.

    Attributes:
        grid_size: edge of a voxel, in the unit of ``coord``.
        hash_type: the order of the voxels: ``fnv``, that of the hash FNV-1a of their indices, or
            ``ravel``, by x, y and z.
        mode: ``train``, one point of each voxel; nothing else is supported.
        return_inverse: whether ``inverse`` is added.
        return_grid_coord: whether ``grid_coord`` is added.

    Raises:
        ValueError: a value out of these ranges.
    """

    grid_size: float = 0.05
    hash_type: str = "fnv"
    mode: str = "train"
    return_inverse: bool = False
    return_grid_coord: bool = False

    def __post_init__(self):
        if not self.grid_size > 0:
            raise ValueError(f"grid_size is {self.grid_size}, expected a number above 0")
        if self.hash_type not in ("fnv", "ravel"):
            raise ValueError(f"hash_type is {self.hash_type!r}, expected fnv or ravel")
        if self.mode != "train":
            raise ValueError(f"mode is {self.mode!r}, expected train (one point of each voxel)")

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        coord = _coord(data)
        voxel = np.floor(coord.astype(np.float64) / self.grid_size).astype(np.int64)
        voxel -= voxel.min(axis=0)
        key = _fnv(voxel) if self.hash_type == "fnv" else _ravel(voxel)
        _, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
        member = np.random.randint(0, count.max(), count.size) % count
        members = np.argsort(inverse, kind="stable")
        chosen = members[np.cumsum(count) - count + member]

        per_point = data.get("index_valid_keys", PER_POINT)
        result = {name: data[name][chosen] for name in per_point if name in data}
        if self.return_inverse:
            result["inverse"] = inverse
        if self.return_grid_coord:
            result["grid_coord"] = voxel[chosen]
            result["index_valid_keys"] = [*per_point, "grid_coord"]
        return result


@dataclass(frozen=True)
class NormalizeColor(Step):
    """Scale colours from 0..255 to 0..1."""

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        return {"color": data["color"] / 255} if "color" in data else {}


@dataclass(frozen=True)
class ToTensor:
    """Turn arrays and numbers into tensors: float32, int64 and bool. Texts stay texts."""

    def __call__(self, data: Any) -> Any:
        """Return the tensors, in the dicts and lists in which they were given.

        Raises:
            TypeError: something is neither an array, a number nor a text.
        """
        if isinstance(data, (torch.Tensor, str)):
            return data
        if isinstance(data, Mapping):
            return {name: self(value) for name, value in data.items()}
        if isinstance(data, Sequence):
            return [self(value) for value in data]
        array = np.atleast_1d(data)
        for kind, dtype in (
            (np.bool_, np.bool_),
            (np.integer, np.int64),
            (np.floating, np.float32),
        ):
            if np.issubdtype(array.dtype, kind):
                return torch.from_numpy(np.require(array, dtype, ["C", "W"]))
        raise TypeError(f"a {type(data).__name__} of type {array.dtype} is no tensor")


@dataclass(frozen=True)
class Copy(Step):
    """Copy entries.

    Attributes:
        keys_dict: the new name, or the new value's name, by that of the entry.
    """

    keys_dict: Mapping[str, str] = field(
        default_factory=lambda: dict(coord="origin_coord", segment="origin_segment")
    )

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        return {to: copy.deepcopy(data[name]) for name, to in self.keys_dict.items()}


@dataclass(frozen=True)
class Update(Step):
    """Set entries.

    Attributes:
        keys_dict: the values by name.
    """

    keys_dict: Mapping[str, Any] = field(default_factory=dict)

    def _changes(self, data: Mapping[str, Any]) -> Cloud:
        return dict(self.keys_dict)


class Collect:
    """Select what the model takes, the last step.

    Args:
        keys: the entries that are kept.
        offset_keys_dict: for each new entry with the size of the cloud, the entry whose rows are
            counted; None: ``offset``, from ``coord``.
        joined: ``feat_keys``: entries that are joined to ``feat``, (N, C) float32; and likewise
            for every other name that ends in ``_keys``.
    """

    def __init__(
        self,
        keys: str | Sequence[str],
        offset_keys_dict: Mapping[str, str] | None = None,
        **joined: Sequence[str],
    ):
        self.keys = [keys] if isinstance(keys, str) else list(keys)
        self.offsets = {"offset": "coord"} if offset_keys_dict is None else offset_keys_dict
        self.joined = {name.replace("_keys", ""): list(parts) for name, parts in joined.items()}

    def __call__(self, data: Mapping[str, Any]) -> Cloud:
        """Return the selection.

        Raises:
            ValueError: the cloud lacks an entry; the text names it.
        """
        parts = [part for names in self.joined.values() for part in names]
        for name in (*self.keys, *self.offsets.values(), *parts):
            if name not in data:
                raise ValueError(
                    f"the cloud has no {name!r}, expected it among {', '.join(map(repr, data))};"
                    " where it is not known, zeros take its place"
                )
        result = {name: data[name] for name in self.keys}
        for name, counted in self.offsets.items():
            result[name] = torch.tensor([len(data[counted])])
        for name, names in self.joined.items():
            result[name] = torch.cat([data[part].float() for part in names], dim=1)
        return result


#: The steps by the name that a configuration has for them.
STEPS: dict[str, Callable[..., Callable[[Any], Any]]] = {
    step.__name__: step
    for step in (
        *(CenterShift, PositiveShift, NormalizeCoord, RandomScale, GridSample),
        *(NormalizeColor, ToTensor, Copy, Update, Collect),
    )
}


class Compose:
    """Steps one after the other.

    Args:
        cfg: each step as a dict: ``type``, its name, and its arguments.

    Raises:
        ValueError: a step does not exist, or does not take an argument.
    """

    def __init__(self, cfg: Sequence[Mapping[str, Any]] | None = None):
        self.transforms = [_step(dict(step)) for step in cfg or ()]

    def __call__(self, data_dict: Any) -> Any:
        """Return what the last step returns."""
        for step in self.transforms:
            data_dict = step(data_dict)
        return data_dict


def default() -> Compose:
    """Return the steps that the indoor models take: centred, a grid of 0.02 m, colours 0..1."""
    return Compose(
        [
            dict(type="CenterShift", apply_z=True),
            dict(type="GridSample", grid_size=0.02, return_inverse=True, return_grid_coord=True),
            dict(type="NormalizeColor"),
            dict(type="ToTensor"),
            dict(
                type="Collect",
                keys=("coord", "grid_coord", "color", "inverse"),
                feat_keys=("coord", "color", "normal"),
            ),
        ]
    )


def _step(config: dict[str, Any]) -> Callable[[Any], Any]:
    name = config.pop("type", None)
    if name not in STEPS:
        raise ValueError(f"step {name!r} does not exist; expected one of {', '.join(STEPS)}")
    try:
        return STEPS[name](**config)
    except TypeError as error:
        raise ValueError(f"step {name}: {error}") from None


def _coord(data: Mapping[str, Any]) -> np.ndarray:
    coord: np.ndarray = np.asarray(data["coord"]) if "coord" in data else np.zeros(0)
    if coord.ndim != 2 or coord.shape[1] != 3 or not len(coord):
        got = f"shape {coord.shape}" if "coord" in data else f"{', '.join(map(repr, data))} only"
        raise ValueError(f"coord: got {got}, expected (N, 3) metres with N >= 1")
    if bad := int((~np.isfinite(coord)).any(axis=1).sum()):
        raise ValueError(f"coord: got {bad} points that are not finite, expected none; drop them")
    return coord if np.issubdtype(coord.dtype, np.floating) else coord.astype(np.float32)


def _fnv(voxel: np.ndarray) -> np.ndarray:
    """Return the 64-bit hash FNV-1a of each row, (N,) uint64, an index taken as one letter."""
    key = np.full(len(voxel), 0xCBF29CE484222325, np.uint64)
    for axis in voxel.T.astype(np.uint64):
        key = (key * np.uint64(0x100000001B3)) ^ axis
    return key


def _ravel(voxel: np.ndarray) -> np.ndarray:
    """Return keys (N,) int64 that sort by x, y and z."""
    _, wide, high = voxel.max(axis=0) + 1
    x, y, z = voxel.T
    return (x * wide + y) * high + z
