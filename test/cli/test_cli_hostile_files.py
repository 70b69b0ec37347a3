# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of anything, given to the commands: a sentence that names the file, no traceback."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from concerto_ros.cli import main


def cut_archive() -> bytes:
    whole = io.BytesIO()
    np.savez(whole, points=np.random.default_rng(0).random((100, 3)))
    return whole.getvalue()[:700]


CONTENTS = {
    "empty": b"",
    "text": b"hello\nworld\n",
    "zeros": bytes(100),
    "junk": np.random.default_rng(0).integers(0, 256, 300, dtype=np.uint8).tobytes(),
    "utf16": "x: 1\n".encode("utf-16"),
    "json": b'{"a": 1}',
    "archive": cut_archive(),
}

#: What Python and the libraries say of themselves, not of the file.
TERSE = re.compile(
    r"Errno|codec can't|buffer size|Expecting value|out of range|subscriptable|KeyError"
    r"|allow_pickle|weights_only|unpack requires|not iterable|NoneType|Traceback|zip file"
    r"|has no attribute|unsafe|Invalid argument|at 0x"
)


@pytest.fixture(params=CONTENTS)
def content(request):
    return CONTENTS[request.param]


def refused(capsys, *arguments) -> str:
    assert main([str(argument) for argument in arguments]) == 1
    text = capsys.readouterr().err.strip().splitlines()[-1]
    assert not TERSE.search(text), text
    return text


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".ply", ".pcd", ".npy"])
def test_clouds(tmp_path, capsys, content, suffix):
    path = written(tmp_path / f"a{suffix}", content)
    assert str(path) in refused(capsys, "segment", path)


@pytest.mark.parametrize("option", ["--checkpoint", "--head"])
def test_models(tmp_path, capsys, content, option):
    np.savez(tmp_path / "good.npz", points=np.random.default_rng(0).random((50, 3)))
    path = written(tmp_path / "model.pth", content)
    assert str(path) in refused(capsys, "segment", tmp_path / "good.npz", option, path)


@pytest.mark.parametrize("name", ["a.npz", "a.ply", "s/coord.npy", "s/segment.npy"])
def test_labelled_scans(tmp_path, capsys, content, name):
    if name.startswith("s/"):
        written(tmp_path / "data/s/coord.npy", b"")
        for part, value in (("coord", np.zeros((9, 3))), ("segment", np.zeros(9, int))):
            np.save(tmp_path / f"data/s/{part}.npy", value)
    path = written(tmp_path / "data" / name, content)
    out = tmp_path / "out"
    assert str(path) in refused(capsys, "train", "head", tmp_path / "data", "--out", out)


@pytest.mark.parametrize("name", ["poses.txt", "calib.txt"])
def test_poses_of_sequences(tmp_path, capsys, content, name):
    folder = tmp_path / "sequences/00"
    for scan in ("000000", "000001"):
        written(folder / f"velodyne/{scan}.bin", np.ones((9, 4), "<f4").tobytes())
        written(folder / f"labels/{scan}.label", np.full(9, 40, "<u4").tobytes())
    written(folder / "poses.txt", b"1 0 0 0 0 1 0 0 0 0 1 0\n" * 2)
    written(folder / "calib.txt", b"Tr: 1 0 0 0 0 1 0 0 0 0 1 0\n")
    path = written(folder / name, content)
    options = ("--frames-per-scan", 2, "--holdout", 0, "--out", tmp_path / "out")
    text = refused(capsys, "train", "head", tmp_path, *options, "--ignore-index", 0)
    assert str(path) in text


def test_label_maps(tmp_path, capsys, content):
    np.savez(tmp_path / "a.npz", points=np.zeros((9, 3)), labels=np.zeros(9, int))
    path = written(tmp_path / "map.yaml", content)
    options = ("--label-map", path, "--out", tmp_path / "out")
    assert str(path) in refused(capsys, "train", "head", tmp_path, *options)


def test_reference_cases(tmp_path, capsys, content):
    path = written(tmp_path / "recon/meta.json", content)
    assert str(path) in refused(capsys, "objects", "verify", tmp_path)


def test_a_file_where_a_folder_is_to_be_made(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", points=np.random.default_rng(0).random((500, 3)))
    for out in (tmp_path / "a.npz", tmp_path / "a.npz/out"):
        text = refused(capsys, "segment", tmp_path / "a.npz", "--out", out)
        assert f"{out}: " in text and "expected a folder" in text
