# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Learning from few scenes or few points, as ScanNet's data-efficient benchmark defines it.

Its files lie in ``tasks`` of the data set: ``scenes/1.txt`` (1, 5, 10 or 20 percent of the scenes,
a name per line) and ``points/points20`` (20, 50, 100 or 200 points per scene that keep their
label: a file of PyTorch, the numbers of points by the name of the scene). They restrict the
training scans; validation stays complete.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.learning.data.formats.base import ScanDataset, scene_name
from concerto_ros.learning.data.formats.missing_files import listed_names
from concerto_ros.learning.data.label_map import DataError

log = logging.getLogger(__name__)

#: Where the published lists are, relative to the data set, by the names that select them.
PUBLISHED = {f"scenes{percent}": f"tasks/scenes/{percent}.txt" for percent in (1, 5, 10, 20)}
PUBLISHED |= {f"points{count}": f"tasks/points/points{count}" for count in (20, 50, 100, 200)}


def restricted(data: ScanDataset, choice: str) -> ScanDataset:
    """The training scans of a data set that a list chooses, or with the labels that it chooses.

    Args:
        data: Training scans.
        choice: One of :data:`PUBLISHED`, or a file: of text, a scene per line; or of PyTorch, the
            points by scene.

    Raises:
        DataError: The file is missing or invalid, or names none of the scans.
    """
    path = data.root / PUBLISHED[choice] if choice in PUBLISHED else Path(choice)
    if not path.is_file():
        published = ", ".join(PUBLISHED)
        raise DataError(
            f"--subset {choice}: {path} does not exist, expected a list of scenes or points, or"
            f" one of {published} with ScanNet's data-efficient files in the folder tasks of the"
            " data set"
        )
    lists = _point_lists(path)
    wanted = dict.fromkeys((listed_names(path) or ()) if lists is None else lists)
    scenes = [scene_name(name) for name in data.names]
    rows = [row for row, name in enumerate(scenes) if name in wanted]
    if not rows:
        first = next(iter(wanted), "nothing")
        raise DataError(
            f"{path}: names none of the {len(data)} training scans of {data.root} (it begins with"
            f" {first}; the first scan is {scenes[0] if scenes else 'none'})"
        )
    if len(rows) < len(wanted):
        log.warning(
            "%s: %d of its %d scenes are no training scans of %s",
            *(path, len(wanted) - len(rows), len(wanted), data.root),
        )
    chosen = data.subset(rows)
    return chosen if lists is None else chosen.with_labels_at(lists, str(path))


def _point_lists(path: Path) -> Mapping[str, np.ndarray] | None:
    """The points of each scene of a file of PyTorch; None for a list of scenes.

    Raises:
        DataError: The file is of PyTorch, but holds something else; names the scene.
    """
    with path.open("rb") as file:
        start = file.read(2)
    # A zip archive, or the pickle of older versions; neither begins like the name of a scene.
    if start[:1] not in (b"P", b"\x80") or start == b"P\n":
        return None
    from concerto_ros.files.torch_file import read_plain

    try:
        content = read_plain(path, arrays=True)
    except ValueError as error:
        raise DataError(str(error)) from None
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: holds {type(content).__name__}, expected points by scene")
    return {str(name): _numbers(path, str(name), value) for name, value in content.items()}


def _numbers(path: Path, name: str, value: Any) -> np.ndarray:
    try:
        numbers = np.asarray(value)
    except (TypeError, ValueError):
        numbers = np.empty(0, object)
    if numbers.dtype == np.uint64:
        numbers = np.minimum(numbers, np.iinfo(np.int64).max)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or (numbers < 0).any():
        raise DataError(
            f"{path}: {name}: got {numbers.dtype} of shape {numbers.shape}, expected the numbers"
            " of points, 0 or more"
        )
    return numbers.astype(np.int64)
