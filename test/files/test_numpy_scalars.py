# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of weights beside which a training wrote its scores as numbers of numpy."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from concerto_ros.objects.encoders.shared.weights import read_content
from concerto_ros.ptv3.checkpoint import CheckpointError

SCORES = {"acc": np.float64(0.9335), "loss": np.float32(0.5), "epoch": np.int64(7)}


def save(path: Path, content) -> Path:
    torch.save(content, path)
    return path


def renamed(path: Path, old: bytes, new: bytes) -> Path:
    """A copy of the file in which one name stands for another."""
    copy = path.with_suffix(".renamed")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry).replace(old, new))
    return copy


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_numbers_of_numpy_are_read_whichever_numpy_wrote_them(tmp_path, module):
    path = save(tmp_path / "a.pth", {"base_model": {"w": torch.ones(2)}, "metrics": SCORES})
    own = np.core if np.__version__.startswith("1.") else np._core
    path = renamed(path, own.multiarray.__name__.encode(), module)
    content = read_content(path)
    assert content["metrics"] == SCORES
    assert torch.equal(content["base_model"]["w"], torch.ones(2))


class Harmful:
    def __reduce__(self):
        return os.mkdir, (str(Harmful.folder),)


def test_nothing_else_is_run(tmp_path):
    Harmful.folder = tmp_path / "made"
    path = save(tmp_path / "a.pth", {"base_model": {"w": torch.ones(2)}, "metrics": Harmful()})
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        read_content(path)
    assert not Harmful.folder.exists()


def test_nothing_stays_allowed_afterwards(tmp_path):
    path = save(tmp_path / "a.pth", {"w": torch.ones(2), "score": SCORES["acc"]})
    before = set(torch.serialization.get_safe_globals())
    read_content(path)
    assert set(torch.serialization.get_safe_globals()) == before
