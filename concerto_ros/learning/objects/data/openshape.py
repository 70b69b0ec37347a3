# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenShape's data (Liu et al., NeurIPS 2023): coloured shapes with vectors of pictures and texts.

```text
DATA/meta_data/split/train_all.json    list of {dataset, group, id, data_path}
DATA/meta_data/gpt4_filtering.json     {id: {flag}}, "N": the raw text of an Objaverse shape is bad
data_path                              a dict in a .npy file; its "mnt" stands for DATA
```

A dict has ``xyz`` and ``rgb`` (n, 3), y up, colours in 0..1; ``image_feat`` (V, D) of V
renderings, in Objaverse ``thumbnail_feat`` (D,); and texts, with a dict {original, prompt_avg} of
vectors for each: lists ``text`` and ``retrieval_text``, single ``blip_caption`` and
``msft_caption``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from concerto_ros.files.error_text import in_words, one_line
from concerto_ros.files.numpy_pickle import DAMAGE, read_npy_objects

#: The data set whose shapes have thumbnails and filtered texts.
OBJAVERSE = "Objaverse"

#: Folder of the lists, and the file that says which raw texts are bad.
META, FILTER = "meta_data", "gpt4_filtering.json"

#: Fields of a list of shapes that are used.
ENTRY = ("dataset", "id", "data_path")


@dataclass(frozen=True, eq=False)
class TrainingShape:
    """One shape of a split.

    Attributes:
        path: Its file.
        content: The dict in it; fields are checked when they are asked for.
        objaverse: Whether it is of Objaverse.
        good_text: Whether its raw text may be used.
    """

    path: Path
    content: Mapping[str, Any]
    objaverse: bool
    good_text: bool

    def points_and_colors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (n, 3) float32 points, y up, and (n, 3) float32 colours in 0..1."""
        return points_and_colors(self.content, self.path)

    def images(self) -> np.ndarray:
        """Return (V, D) float32 vectors of the renderings."""
        return vectors(self.content, "image_feat", self.path)

    def thumbnail(self) -> np.ndarray:
        """Return the (D,) float32 vector of the thumbnail."""
        return vectors(self.content, "thumbnail_feat", self.path).reshape(-1)

    def listed_text(self, name: str, row: int, kind: str) -> np.ndarray:
        """Return the (D,) vector of one text of a list, ``text`` or ``retrieval_text``.

        Args:
            name: The list.
            row: Which text.
            kind: ``original`` or ``prompt_avg``, the mean over prompts.
        """
        listed = field(self.content, f"{name}_feat", self.path, (list, tuple, np.ndarray))
        if row >= len(listed):
            raise ValueError(
                f"{self.path}: {name}_feat has {len(listed)} entries, expected one for each of"
                f" the {self.count(name)} texts"
            )
        return self._text_vector(listed[row], f"{name}_feat", kind)

    def caption(self, name: str) -> np.ndarray | None:
        """Return the (D,) vector of a caption, averaged over prompts; None if it is empty.

        Args:
            name: ``blip_caption`` or ``msft_caption``.
        """
        if not field(self.content, name, self.path, (str,)):
            return None
        return self._text_vector(self.content.get(f"{name}_feat"), f"{name}_feat", "prompt_avg")

    def count(self, name: str) -> int:
        """Return the number of texts of a list."""
        return len(field(self.content, name, self.path, (list, tuple, np.ndarray)))

    def _text_vector(self, entry: Any, name: str, kind: str) -> np.ndarray:
        if not isinstance(entry, Mapping):
            raise ValueError(
                f"{self.path}: {name} holds {type(entry).__name__}, expected a dict with {kind}"
            )
        return vectors(entry, kind, self.path).reshape(-1)


class TrainingSplit:
    """The shapes of one list; each is read when it is asked for.

    Attributes:
        name: Name of the list.

    Args:
        folder: The data folder.
        split: A list in ``meta_data/split`` without its ending, such as ``train_all``,
            ``train_no_lvis`` or ``ablation/train_shapenet_only``.

    Raises:
        ValueError: If a list is missing or wrong; the message names file and field.
    """

    def __init__(self, folder: Path, split: str):
        self.name, self._folder = split, Path(folder).resolve()
        self._entries = read_entries(self._folder / META / "split" / f"{split}.json", ENTRY)
        self._flags: Mapping[str, Any] = {}
        if any(entry["dataset"] == OBJAVERSE for entry in self._entries):
            path = self._folder / META / FILTER
            flags = read_json(path)
            if not isinstance(flags, dict):
                raise ValueError(f"{path} holds {type(flags).__name__}, expected a dict by id")
            self._flags = flags

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, row: int) -> TrainingShape:
        entry = self._entries[row]
        path = stored_path(self._folder, entry["data_path"])
        objaverse = entry["dataset"] == OBJAVERSE
        flag = self._flags.get(entry["id"], {})
        bad = isinstance(flag, Mapping) and flag.get("flag") == "N"
        return TrainingShape(path, read_dict(path), objaverse, not (objaverse and bad))

    @property
    def ids(self) -> list[str]:
        """The shapes in order, for the identity of a run."""
        return [f"{entry['dataset']}/{entry['id']}" for entry in self._entries]


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: If it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(in_words(error)) from error
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as JSON: {one_line(error)}") from error


def read_entries(path: Path, fields: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a list of dicts of texts with these fields.

    Raises:
        ValueError: If it is missing, empty or wrong; the message names the entry and the field.
    """
    entries = read_json(path)
    if not isinstance(entries, list) or not entries:
        what = "an empty list" if entries == [] else type(entries).__name__
        raise ValueError(f"{path} holds {what}, expected a list of dicts with {', '.join(fields)}")
    for row, entry in enumerate(entries):
        for name in fields:
            if not isinstance(entry, dict) or not isinstance(entry.get(name), str):
                raise ValueError(
                    f"{path}: entry {row} has no text {name!r}, expected {', '.join(fields)}"
                )
    return entries


def stored_path(folder: Path, text: str) -> Path:
    """Return the file of a ``data_path``, in which "mnt" stands for the data folder."""
    parts = PurePosixPath(text).parts
    inside = parts[parts.index("mnt") + 1 :] if "mnt" in parts else parts
    return folder.joinpath(*inside)


def read_dict(path: Path) -> dict[str, Any]:
    """Read the dict in a .npy file; nothing in it can run.

    Raises:
        ValueError: If it is missing, damaged or holds anything else.
    """
    content = read_objects_of(path)
    if content.shape or not isinstance(content.item(), dict):
        raise ValueError(
            f"{path} holds an array of shape {content.shape} and type {content.dtype}, expected a"
            " dict"
        )
    return content.item()


def read_objects_of(path: Path) -> np.ndarray:
    """Read a .npy file of numbers or objects.

    Raises:
        ValueError: If it is missing or damaged, or needs code to be read.
    """
    try:
        return read_npy_objects(path)
    except OSError as error:
        raise ValueError(in_words(error)) from error
    except DAMAGE as error:
        raise ValueError(
            f"{path} cannot be read as a .npy file of arrays and plain values: {one_line(error)}"
        ) from error


def points_and_colors(
    content: Mapping[str, Any], path: Path, *, full: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 3) float32 points and (n, 3) float32 colours in 0..1.

    Args:
        content: Has ``xyz`` and ``rgb``.
        path: For error messages.
        full: The highest value of a stored colour.

    Raises:
        ValueError: If a field is missing, has another shape or is not finite.
    """
    points, colors = (vectors(content, name, path) for name in ("xyz", "rgb"))
    if points.shape[1] != 3 or colors.shape != points.shape:
        raise ValueError(
            f"{path}: xyz has shape {points.shape} and rgb {colors.shape}, expected (n, 3) both"
        )
    return points, colors / np.float32(full)


def vectors(content: Mapping[str, Any], name: str, path: Path) -> np.ndarray:
    """Return a field of numbers as (rows, columns) float32; a single vector is one row.

    Raises:
        ValueError: If it is missing, empty, of another type or not finite.
    """
    value = field(content, name, path, (np.ndarray, list, tuple))
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {name} holds no numbers: {one_line(error)}") from error
    if not array.ndim or not array.size:
        raise ValueError(f"{path}: {name} has shape {array.shape}, expected numbers")
    array = array.reshape(1, -1) if array.ndim == 1 else array.reshape(len(array), -1)
    if not np.isfinite(array).all():
        raise ValueError(f"{path}: {name} has values that are not finite, expected none")
    return array


def field(content: Mapping[str, Any], name: str, path: Path, types: tuple[type, ...]) -> Any:
    """Return a field of a file.

    Raises:
        ValueError: If it is missing or of another type.
    """
    if name not in content:
        raise ValueError(
            f"{path} has no {name!r}, expected it among its fields {', '.join(map(str, content))}"
        )
    if not isinstance(content[name], types):
        expected = " or ".join(one.__name__ for one in types)
        raise ValueError(f"{path}: {name} is {type(content[name]).__name__}, expected {expected}")
    return content[name]
