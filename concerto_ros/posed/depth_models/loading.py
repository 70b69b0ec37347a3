# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth models by their names, from files that are on this machine."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from concerto_ros.files.data_error import DataError
from concerto_ros.posed.depth_models.depth_anything_3 import DepthAnything3
from concerto_ros.posed.depth_models.depth_model import DepthModel
from concerto_ros.posed.depth_models.map_anything import MapAnything
from concerto_ros.posed.depth_models.transformers_depth import TransformersDepth
from concerto_ros.settings.published_models import DEPTH_MODELS, PublishedDepthModel

log = logging.getLogger(__name__)

#: By the package that runs them: the class, and how the package is installed.
_LIBRARIES: dict[str, tuple[Callable[..., DepthModel], str]] = {
    "depth_anything_3": (
        DepthAnything3,
        "pip install 'concerto_ros[da3]', in an environment of its own as it wants NumPy 1",
    ),
    "mapanything": (
        MapAnything,
        "install github.com/facebookresearch/map-anything, which is not on the package index",
    ),
    "transformers": (TransformersDepth, "pip install 'concerto_ros[depth]'"),
}

_BY_NAME = {model.name: model for model in DEPTH_MODELS}


def load_depth_model(name: str, device: torch.device | str = "cpu") -> DepthModel:
    """Load a depth model; nothing is downloaded.

    Args:
        name: One of :data:`~concerto_ros.settings.published_models.DEPTH_MODELS`, or one of
            these, ``=`` and the folder of its files, such as ``da3-base=/models/DA3-BASE``.
        device: Where it runs.

    Raises:
        DataError: There is no such model, or its files are not on this machine.
        ImportError: The package that runs it is not installed; the text says how it is.
    """
    published, folder = published_depth_model(name)
    make, install = _LIBRARIES[published.library]
    if importlib.util.find_spec(published.library) is None:
        raise ImportError(
            f"{published.name} needs the package {published.library}: {install}; or predict in"
            " another environment, and give its .npz to the command video"
        )
    source = folder or _cached(published)
    log.info("depth model %s, licence %s", published.name, published.licence)
    return make(published, source, device)


def published_depth_model(name: str) -> tuple[PublishedDepthModel, Path | None]:
    """Return the model that a name means, and the folder of its files where it names one.

    Raises:
        DataError: There is no such model, or no such folder.
    """
    known, _, path = name.partition("=")
    if known not in _BY_NAME:
        raise DataError(
            f"depth model {name!r}: expected one of {', '.join(_BY_NAME)}, or NAME=FOLDER with the"
            " files of one of them"
        )
    folder = Path(path).expanduser() if path else None
    if folder is not None and not (folder / "config.json").is_file():
        raise DataError(
            f"depth model {name!r}: {folder} has no config.json, expected the folder of a download"
            f" of huggingface.co/{_BY_NAME[known].repository}"
        )
    return _BY_NAME[known], folder


def fetch_depth_model(name: str) -> str:
    """Download a depth model into the cache of huggingface_hub; return its folder.

    Raises:
        DataError: There is no such model.
        OSError: The download fails.
    """
    from huggingface_hub import snapshot_download

    published, _ = published_depth_model(name)
    try:
        return snapshot_download(published.repository)
    except Exception as error:  # whatever a network, proxy or cache raises
        raise OSError(
            f"cannot fetch huggingface.co/{published.repository}: {type(error).__name__}: {error}"
        ) from error


def _cached(published: PublishedDepthModel) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(published.repository, local_files_only=True))
    except Exception:  # LocalEntryNotFoundError, or whatever a broken cache raises
        raise DataError(
            f"depth model {published.name} is not on this machine, and is not downloaded here: run"
            f" `concerto-ros download {published.name}` once, with a network, or give the folder"
            f" of its files: {published.name}=FOLDER"
        ) from None
