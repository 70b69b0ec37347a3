# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenShape's test sets: coloured shapes, the class of each, and vectors of the classes' names.

```text
DATA/meta_data/split/lvis.json                 list of {uid, category, group, data_path}
DATA/meta_data/lvis_cat_name_pt_feat.npy       (K, D), in the order of the sorted categories
DATA/meta_data/modelnet40/test_split.json      list of {name, category}
DATA/meta_data/modelnet40/test_pc.npy          list of {xyz, rgb}, colours in 0..255
DATA/meta_data/modelnet40/cat_name_pt_feat.npy {category: {open_clip_text_feat}}
DATA/meta_data/scanobjectnn/xyz_label.npy      {xyz, label} and perhaps rgb
DATA/meta_data/scanobjectnn/cat_name_pt_feat.npy
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from concerto_ros.learning.objects.data.openshape import (
    META,
    field,
    points_and_colors,
    read_dict,
    read_entries,
    read_objects_of,
    stored_path,
    vectors,
)
from concerto_ros.objects.encoders.shared.preprocess import NO_COLOR
from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_NAMES
from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary

#: File of a class's vectors in the folders of single data sets.
NAMES_FILE = "cat_name_pt_feat.npy"


@dataclass(frozen=True, eq=False)
class ColoredShape:
    """One object of a test set.

    Attributes:
        points: (n, 3) float32, y up.
        colors: (n, 3) float32 in 0..1.
        images: (V, D) float32 vectors of renderings; None where the set has none.
    """

    points: np.ndarray
    colors: np.ndarray
    images: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class WordTest:
    """A test set of S objects.

    Attributes:
        name: Name of the set.
        words: The classes in label order, with vectors of their names.
        labels: (S,) int64.
        read: Reads the object of a row.
        has_images: Whether objects have vectors of renderings.
    """

    name: str
    words: Vocabulary
    labels: np.ndarray
    read: Callable[[int], ColoredShape]
    has_images: bool = False

    def __len__(self) -> int:
        return len(self.labels)


def read_lvis(folder: Path) -> WordTest:
    """Read Objaverse-LVIS; objects are read when they are asked for.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
    """
    path = folder / META / "split" / "lvis.json"
    entries = read_entries(path, ("category", "data_path"))
    classes = sorted({entry["category"] for entry in entries})
    names = folder / META / "lvis_cat_name_pt_feat.npy"
    table = vectors({names.name: read_objects_of(names)}, names.name, names)
    if len(table) != len(classes):
        raise ValueError(
            f"{names} has {len(table)} vectors, expected one for each of the {len(classes)}"
            f" categories of {path}"
        )
    labels = {name: label for label, name in enumerate(classes)}

    def read(row: int) -> ColoredShape:
        file = stored_path(folder, entries[row]["data_path"])
        content = read_dict(file)
        images = vectors(content, "image_feat", file)
        return ColoredShape(*points_and_colors(content, file), images)

    return WordTest(
        "Objaverse-LVIS",
        Vocabulary(tuple(classes), torch.from_numpy(table)),
        np.array([labels[entry["category"]] for entry in entries]),
        read,
        has_images=True,
    )


def read_modelnet40(folder: Path) -> WordTest:
    """Read ModelNet40's test objects with their classes in the order of the vectors' file.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
    """
    inner = folder / META / "modelnet40"
    split, path = inner / "test_split.json", inner / "test_pc.npy"
    entries = read_entries(split, ("category",))
    words = _names(inner / NAMES_FILE)
    clouds = read_objects_of(path)
    if clouds.ndim != 1 or len(clouds) != len(entries):
        raise ValueError(
            f"{path} has shape {clouds.shape}, expected one cloud for each of the"
            f" {len(entries)} entries of {split}"
        )
    known = {name: label for label, name in enumerate(words.names)}
    unknown = {entry["category"] for entry in entries} - known.keys()
    if unknown:
        raise ValueError(f"{inner / NAMES_FILE} has no vector of {sorted(unknown)[0]!r}")

    def read(row: int) -> ColoredShape:
        if not isinstance(clouds[row], dict):
            raise ValueError(
                f"{path}: entry {row} is {type(clouds[row]).__name__}, expected a dict"
            )
        return ColoredShape(*points_and_colors(clouds[row], path, full=255.0))

    labels = np.array([known[entry["category"]] for entry in entries])
    return WordTest("ModelNet40", words, labels, read)


def read_scanobjectnn(folder: Path) -> WordTest:
    """Read ScanObjectNN's test objects as OpenShape packed them.

    Raises:
        ValueError: If a file is missing or wrong; the message names it.
    """
    inner = folder / META / "scanobjectnn"
    path = inner / "xyz_label.npy"
    content = read_dict(path)
    clouds, given = (field(content, name, path, (np.ndarray, list)) for name in ("xyz", "label"))
    labels = np.asarray(given).reshape(-1).astype(np.int64)
    words = _names(inner / NAMES_FILE, SCANOBJECTNN_NAMES)
    if len(labels) != len(clouds) or labels.min(initial=0) < 0:
        raise ValueError(f"{path} has {len(clouds)} clouds and {len(labels)} labels")
    if labels.max(initial=0) >= len(words.names):
        raise ValueError(f"{path}: label {labels.max()}, expected 0 to {len(words.names) - 1}")

    def read(row: int) -> ColoredShape:
        one = {"xyz": clouds[row], "rgb": np.full(np.shape(clouds[row]), NO_COLOR)}
        if "rgb" in content:
            one["rgb"] = content["rgb"][row]
        return ColoredShape(*points_and_colors(one, path))

    return WordTest("ScanObjectNN", words, labels, read)


#: Readers by the names that commands use, the first as the one that chooses the best weights.
WORD_TESTS: dict[str, Callable[[Path], WordTest]] = {
    "lvis": read_lvis,
    "modelnet40": read_modelnet40,
    "scanobjectnn": read_scanobjectnn,
}

#: The file of each by which its presence is told.
MARKS = {
    "lvis": "split/lvis.json",
    "modelnet40": "modelnet40/test_split.json",
    "scanobjectnn": "scanobjectnn/xyz_label.npy",
}


def present_tests(folder: Path) -> list[str]:
    """Name the test sets whose files are in a data folder."""
    return [name for name, mark in MARKS.items() if (folder / META / mark).is_file()]


def _names(path: Path, names: tuple[str, ...] | None = None) -> Vocabulary:
    try:
        return read_vocabulary(path, names)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
