# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The published checkpoints: their names, where they are released, and where they are kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from concerto_ros.files.cache_folder import cache_folder
from concerto_ros.ptv3.bundled import DEMO
from concerto_ros.ptv3.state_dict import CheckpointError
from concerto_ros.settings.published_models import ENCODERS, HEADS

#: Official encoders and the Hugging Face repository that holds ``<name>.pth``.
OFFICIAL_ENCODERS = {model.name: model.repository for model in ENCODERS if model.repository}

#: Official linear heads (ScanNet, 20 classes), likewise.
OFFICIAL_HEADS = dict(HEADS)


def checkpoint_folder() -> Path:
    """Return the folder for files downloaded by hand: ``~/.cache/concerto_ros``."""
    return cache_folder()


def find_file(wanted: str, official: dict[str, str], download: bool = True) -> Path:
    """Find the file of a path or official name, downloading it if necessary.

    Args:
        wanted: path or official name.
        official: the Hugging Face repository of each official name.
        download: whether the file may be downloaded.

    Raises:
        CheckpointError: the file does not exist or cannot be downloaded.
    """
    path = Path(wanted).expanduser()
    if path.is_file():
        return path
    if wanted not in official:
        hint = f" (the official name is {path.stem!r})" if path.stem in official else ""
        raise CheckpointError(
            f"checkpoint {wanted!r} is neither a file nor an official name{hint}; expected a path,"
            f" {DEMO!r} or one of {', '.join(official)}"
        )
    file, repository = f"{wanted}.pth", official[wanted]
    placed = checkpoint_folder() / file
    if placed.is_file():
        return placed
    try:
        return fetch_file(repository, file, download=download)
    except Exception as error:  # whatever a network, proxy, cache or missing package raises
        place = f"put {file} of huggingface.co/{repository} at {placed}"
        if download:
            raise CheckpointError(
                f"cannot fetch {file} of huggingface.co/{repository} ({type(error).__name__}):"
                f" run `concerto-ros download {wanted}` where there is a network, or {place}, or"
                " give the path of the file instead of the name"
            ) from error
        raise CheckpointError(
            f"{wanted} is not on this computer, and is not downloaded here: run `concerto-ros"
            f" download {wanted}` once, with a network, or {place}, or give the path of the file"
            " instead of the name"
        ) from error


def fetch_file(
    repository: str,
    file: str,
    *,
    download: bool = True,
    kind: str = "model",
    folder: str | os.PathLike | None = None,
) -> Path:
    """Return a file of the Hugging Face hub from this machine, else from the network.

    Args:
        repository: ``owner/name``.
        file: its name there.
        download: whether it may be downloaded.
        kind: ``model`` or ``dataset``.
        folder: where it is kept; None: the cache of ``huggingface_hub``.

    Raises:
        Exception: whatever a network, proxy, cache or missing package raises.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    where: dict[str, Any] = {} if kind == "model" else {"repo_type": kind}
    if folder is not None:
        where["local_dir"] = os.fspath(folder)
    try:
        return Path(hf_hub_download(repository, file, local_files_only=True, **where))
    except LocalEntryNotFoundError:
        if not download:
            raise
    # One request: the download itself would retry for half a minute before it fails offline.
    get_hf_file_metadata(hf_hub_url(repository, file, repo_type=kind), timeout=10)
    return Path(hf_hub_download(repository, file, **where))
