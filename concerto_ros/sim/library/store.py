# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shapes of a library, made once and kept in a file of the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from concerto_ros.sim.library.catalogue import TABLE, Entry, FurnitureError
from concerto_ros.sim.library.model_files import read_model
from concerto_ros.sim.library.shaping import Shape, shape_of

log = logging.getLogger(__name__)

#: Part of a file's name: raised when shapes are made in another way.
VERSION = 2


def cache_folder() -> Path:
    """Return the folder of the files, ``$XDG_CACHE_HOME/concerto_ros/furniture``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "concerto_ros" / "furniture"


class ShapeStore:
    """The shapes of one library's models.

    Args:
        source: The ``.sh3f`` file or folder of the models.
        entries: Its catalogue.
        folder: Where the file is kept; it is made if it is not there yet.
        processes: Number of processes that make it; None: one per core.

    Raises:
        FurnitureError: trimesh is needed and not installed.
    """

    def __init__(
        self, source: Path, entries: list[Entry], folder: Path, processes: int | None = None
    ):
        self.path = folder / f"{source.stem}-{_digest(source, entries)}.npz"
        if not self.path.is_file():
            if find_spec("trimesh") is None:
                raise FurnitureError(
                    f"{source}: reading furniture models needs: pip install trimesh"
                )
            log.info("reading %d models of %s, once, into %s", len(entries), source, self.path)
            _write(self.path, _shapes(entries, processes))
        #: For each model its materials and the share of its outline that its top covers; None
        #: where the model could not be read.
        self.about: list[dict[str, Any] | None] = json.loads(str(_file(self.path)["about"]))

    def shape(self, number: int) -> Shape:
        """The shape of the model at a position of the catalogue."""
        file, about = _file(self.path), self.about[number]
        assert about is not None  # of models that could be read
        corners = file[f"corners{number}"].astype(np.float32)
        low, step = np.asarray(about["low"], np.float32), np.float32(about["step"])
        return Shape(
            corners * step + low,
            file[f"color{number}"].astype(np.float32) / 255,
            file[f"part{number}"],
            tuple(about["materials"]),
        )


@cache
def _file(path: Path) -> Any:
    return np.load(path, allow_pickle=False)


def _digest(source: Path, entries: list[Entry]) -> str:
    """Tell a library apart from another, or from its former state, without reading it all."""
    files = [source]
    if source.is_dir():
        files = [source / TABLE, *(source / entry.file for entry in entries)]
    value = [VERSION] + [
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in files
        if file.is_file()
    ]
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


def _shapes(entries: list[Entry], processes: int | None) -> list[Shape | None]:
    processes = min(processes or os.cpu_count() or 1, len(entries))
    if processes <= 1 or len(entries) < 20:
        return [_shape(entry) for entry in entries]
    # Spawned, not forked: a fork would inherit locks that threads of this process may hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context) as pool:
        shapes = pool.map(_shape, entries, chunksize=8)
        return list(tqdm(shapes, total=len(entries), unit="model"))


def _shape(entry: Entry) -> Shape | None:
    try:
        return shape_of(read_model(entry))
    except FurnitureError as error:
        log.warning("%s of %s is left out: %s", entry.name, entry.library, error)
        return None


def _write(path: Path, shapes: list[Shape | None]) -> None:
    content: dict[str, np.ndarray] = {}
    about: list[dict[str, Any] | None] = []
    for number, shape in enumerate(shapes):
        if shape is None:
            about.append(None)
            continue
        low = shape.corners.min((0, 1))
        # Sixteen bits of the model's longest side: a third of a millimetre on a lorry.
        step = float(np.ptp(shape.corners, axis=(0, 1)).max()) / 65_535 or 1.0
        content[f"corners{number}"] = np.rint((shape.corners - low) / step).astype(np.uint16)
        content[f"color{number}"] = np.rint(shape.color * 255).astype(np.uint8)
        content[f"part{number}"] = shape.part
        about.append(
            {
                "materials": shape.materials,
                "low": low.tolist(),
                "step": step,
                "top": top_cover(shape),
            }
        )
    content["about"] = np.array(json.dumps(about))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, **content)  # type: ignore[arg-type]  # of its own allow_pickle
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def top_cover(shape: Shape) -> float:
    """Share of the outline's rectangle that lies flat within 4 cm of the highest point."""
    edge = shape.corners[:, 1:] - shape.corners[:, :1]
    up = np.cross(edge[:, 0], edge[:, 1])[:, 2] / 2
    width, depth, _ = np.ptp(shape.corners, axis=(0, 1))
    high = shape.corners[..., 2].min(1) > shape.corners[..., 2].max() - 0.04
    return float(up[high & (up > 0)].sum() / max(width * depth, 1e-9))
