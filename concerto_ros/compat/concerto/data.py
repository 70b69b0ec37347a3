# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds as dicts of arrays, and their batches."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from concerto_ros.files.numpy_file import read_npz
from concerto_ros.ptv3.official_files import fetch_file
from concerto_ros.sensors.cloud_files import read_cloud

log = logging.getLogger(__name__)

#: The clouds that the Concerto package publishes for its demos, and their data set on the hub.
SAMPLES = ("sample1", "sample1_high_res", "sample1_dino", "sample2_outdoor")
REPOSITORY = "pointcept/demo"


def load(name: str | os.PathLike, download_root: str | os.PathLike | None = None) -> dict:
    """Read a cloud.

    Args:
        name: a file, or one of :data:`SAMPLES`, which is downloaded unless it is on this machine.
        download_root: the folder for the download; None: the cache of huggingface_hub.

    Returns:
        The arrays of a .npz file by name, ``coord`` (N, 3) metres among them. Of the other formats
            (.ply, .pcd and more) ``coord``, ``color`` in 0..255 and ``normal``, (N, 3) float32;
            colours and normals that the file does not have are zeros, as the models expect it.

    Raises:
        ValueError: the file is damaged, of no known format, or cannot be downloaded.
        OSError: it cannot be read.
    """
    name = os.fspath(name)
    if not Path(name).is_file():
        if name not in SAMPLES:
            raise ValueError(
                f"cloud {name!r} is neither a file nor a sample; expected a path or one of"
                f" {', '.join(SAMPLES)}"
            )
        name = str(_fetch_sample(name, download_root))
    if Path(name).suffix.lower() == ".npz":
        return read_npz(Path(name))
    frame = read_cloud(name)
    arrays = {"coord": frame.points, "color": frame.colors, "normal": frame.normals}
    return {
        entry: np.zeros_like(frame.points) if array is None else array.astype(np.float32)
        for entry, array in arrays.items()
    }


def _fetch_sample(name: str, folder: str | os.PathLike | None) -> Path:
    log.info("cloud %s of huggingface.co/datasets/%s", name, REPOSITORY)
    try:
        return fetch_file(REPOSITORY, f"{name}.npz", kind="dataset", folder=folder)
    except Exception as error:  # whatever a network, proxy or cache raises
        raise ValueError(
            f"cannot fetch {name}.npz of huggingface.co/datasets/{REPOSITORY}"
            f" ({type(error).__name__}): download it where there is a network, and give the path"
            " of the file instead of the name"
        ) from error


def collate_fn(batch: Sequence) -> Any:
    """Join the clouds of a batch, rows after rows.

    Args:
        batch: transformed clouds, as dicts with the same entries. Tensors are concatenated; where
            the name holds ``offset``, cumulative sizes are continued.

    Raises:
        TypeError: ``batch`` is not a sequence.
        ValueError: it is empty, or a cloud lacks an entry that the first one has.
    """
    if not isinstance(batch, Sequence):
        raise TypeError(f"batch is a {type(batch).__name__}, expected a list of clouds")
    if not batch:
        raise ValueError("batch is empty, expected at least one cloud")
    first = batch[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(list(batch))
    if isinstance(first, str):
        return list(batch)
    if isinstance(first, Mapping):
        return {name: _joined(name, batch) for name in first}
    return default_collate(list(batch))


def _joined(name: str, clouds: Sequence[Mapping]) -> Any:
    for number, cloud in enumerate(clouds):
        if name not in cloud:
            raise ValueError(
                f"cloud {number} of the batch has no {name!r}, expected the entries of the first:"
                f" {', '.join(map(str, clouds[0]))}"
            )
    values = [cloud[name] for cloud in clouds]
    if "offset" not in name:
        return collate_fn(values)
    return torch.cat([torch.diff(ends, prepend=ends.new_zeros(1)) for ends in values]).cumsum(0)
