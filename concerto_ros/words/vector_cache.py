# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vectors of texts on the disk: a text that was encoded once is known without its encoder."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import torch

from concerto_ros.files.cache_folder import cache_folder
from concerto_ros.files.digest import digest
from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary

log = logging.getLogger(__name__)

#: Two threads of a process would write the same temporary file.
_writing = threading.Lock()


class VectorCache:
    """A folder with a file for each text, by its text encoder and template.

    Each file is a table of one word, which says what it holds. Files are replaced as a whole, so
    processes may share a folder; one that is damaged, or holds anything else, counts as missing.

    Args:
        folder: The folder; None for ``words`` in the package's cache folder.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = cache_folder() / "words" if folder is None else Path(folder)
        self._warned = False

    def get(self, encoder: str, template: str, text: str) -> torch.Tensor | None:
        """Return the vector (D,) float32 of a text; None if it is not there."""
        path = self._path(encoder, template, text)
        if not path.is_file():
            return None
        try:
            table = read_vocabulary(path)
        except (ValueError, OSError) as error:
            log.debug("%s is ignored: %s", path, error)
            return None
        said = (table.names, table.encoder, table.template)
        return table.vectors[0] if said == ((text,), encoder, template) else None

    def put(self, encoder: str, template: str, text: str, vector: torch.Tensor) -> None:
        """Keep the vector (D,) of a text; where the folder cannot be written, say so once."""
        table = Vocabulary((text,), vector[None].float(), encoder, template)
        try:
            with _writing:
                table.save(self._path(encoder, template, text))
        except OSError as error:
            if not self._warned:
                log.warning("vectors of words are not kept in %s: %s", self.folder, error)
            self._warned = True

    def _path(self, encoder: str, template: str, text: str) -> Path:
        return self.folder / f"{digest((encoder, template, text))}.safetensors"
