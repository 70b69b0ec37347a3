# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets as people have them: test scans without labels, hidden files, odd labels."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from concerto_ros.cli import main
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.collate import FittedNormals
from concerto_ros.learning.data.formats import Cached, DataError, open_dataset
from concerto_ros.learning.data.formats.bag_frames import find_bag, find_map
from concerto_ros.learning.data.scan_identity import require_labels

POINTS = np.random.default_rng(0).uniform(0, 3, (60, 3)).astype(np.float32)
LABELS = np.arange(60) % 4
JUNK = b"\0\5\26\7\0\2\0\0Mac OS X        "


def scene(folder, labels=LABELS):
    folder.mkdir(parents=True)
    np.save(folder / "coord.npy", POINTS)
    if labels is not None:
        np.save(folder / "segment.npy", labels)


def npz(path, labels=LABELS):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, points=POINTS, **({} if labels is None else {"labels": labels}))


def sequence(folder, names=("000000",)):
    for part in ("velodyne", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name in names:
        np.ones((9, 4), "<f4").tofile(folder / f"velodyne/{name}.bin")
        np.full(9, 40, "<u4").tofile(folder / f"labels/{name}.label")


def refused(make) -> str:
    with pytest.raises(DataError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- test scans without labels ------------------------------------------------------------------


@pytest.mark.parametrize(
    "write", [scene, lambda folder, labels=LABELS: npz(folder / "a.npz", labels)]
)
@pytest.mark.parametrize("test_folder", ["test", "testing"])
def test_test_scans_without_labels_are_missed_only_where_they_are_asked_for(
    tmp_path, write, test_folder
):
    for name in ("train/a", "train/b", "val/c"):
        write(tmp_path / name)
    write(tmp_path / test_folder / "d", None)
    write(tmp_path / test_folder / "e", LABELS + 1)
    for split, count in (("train", 2), ("val", 1)):
        data = open_dataset(tmp_path, split=split)
        assert len(data.classes) == 5, "the labelled one of the test scans counts"
        assert len(data) == count == len([scan.labels for scan in data])
    test = open_dataset(tmp_path, split="test")
    np.testing.assert_array_equal(test[1].labels, LABELS + 1)
    assert f"{tmp_path / test_folder / 'd'}" in refused(lambda: test[0])


def test_scans_for_training_without_labels_are_left_out_and_said(tmp_path, caplog):
    scene(tmp_path / "train/a")
    scene(tmp_path / "train/b", None)
    with caplog.at_level(logging.WARNING):
        data = open_dataset(tmp_path, holdout=0)
        assert data.names == ("train/a",)
    assert "1 of 2 scans lack a file" in caplog.text
    assert "train/b/segment.npy does not exist" in caplog.text


def test_sequences_without_labels_are_left_out_and_said(tmp_path, caplog):
    sequence(tmp_path / "sequences/00")
    (tmp_path / "sequences/05/velodyne").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        assert len(open_dataset(tmp_path, split="all")) == 1
    assert "05 has no folder labels" in caplog.text


# --- what operating systems leave behind --------------------------------------------------------


@pytest.mark.parametrize("name", ["._a.npz", ".a.npz.swp.npz", "__MACOSX/._a.npz", ".git/b.npz"])
def test_hidden_files_are_no_scans(tmp_path, name):
    npz(tmp_path / "a.npz")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(JUNK)
    (tmp_path / "Thumbs.db").write_bytes(JUNK)
    assert open_dataset(tmp_path, split="all").names == ("a.npz",)


def test_hidden_folders_hold_no_scenes(tmp_path):
    scene(tmp_path / "train/a")
    scene(tmp_path / "train/.ipynb_checkpoints")
    scene(tmp_path / "__MACOSX/a")
    (tmp_path / "train/a/._coord.npy").write_bytes(JUNK)
    assert open_dataset(tmp_path, split="all").names == ("train/a",)


def test_hidden_files_are_no_scans_of_a_sequence(tmp_path):
    folder = tmp_path / "sequences/00"
    sequence(folder)
    sequence(tmp_path / "sequences/.00")
    for name in ("velodyne/._000000.bin", "velodyne/.hidden.bin", "labels/._000000.label"):
        (folder / name).write_bytes(JUNK)
    data = open_dataset(tmp_path, split="all", accumulate=1)
    assert [scan.name for scan in data] == ["sequences/00/velodyne/000000.bin"]


def test_hidden_files_are_neither_bags_nor_maps(tmp_path):
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive/metadata.yaml").touch()
    (tmp_path / "map.ply").touch()
    for name in ("._drive", ".trash", "__MACOSX"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.yaml").touch()
    for name in ("._map.ply", "._drive_0.mcap", "._drive_0.db3"):
        (tmp_path / name).write_bytes(JUNK)
    assert find_bag(tmp_path) == tmp_path / "drive"
    assert find_map(tmp_path) == tmp_path / "map.ply"


def test_a_data_set_below_a_hidden_folder_is_read(tmp_path):
    npz(tmp_path / ".cache/scans/a.npz")
    assert len(open_dataset(tmp_path / ".cache/scans", split="all")) == 1


# --- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["u1", "i1", "i8", "u8", "f2", "f4", "f8", "?", ">i4"])
def test_whole_numbers_of_any_type_are_labels(tmp_path, kind):
    labels = (LABELS % 2).astype(kind)
    scene(tmp_path / "a", labels[:, None])
    np.testing.assert_array_equal(open_dataset(tmp_path)[0].labels, LABELS % 2)


@pytest.mark.parametrize(("kind", "value"), [("u1", 255), ("i2", -1), ("f4", -1), ("f8", 255)])
def test_the_usual_marks_of_no_label_are_none(tmp_path, kind, value):
    scene(tmp_path / "a", np.where(LABELS == 3, value, LABELS).astype(kind))
    data = open_dataset(tmp_path)
    assert len(data.classes) == 3
    np.testing.assert_array_equal(data[0].labels == UNLABELLED, LABELS == 3)


@pytest.mark.parametrize("odd", [np.nan, 0.5, np.inf])
def test_values_that_are_no_whole_numbers_can_be_left_out(tmp_path, odd):
    scene(tmp_path / "a", np.where(LABELS == 3, odd, LABELS))
    text = refused(lambda: open_dataset(tmp_path).classes)
    assert "15 labels are not integers" in text and "others: ignore" in text
    (tmp_path / "label_map.yaml").write_text("classes: [a, b, c]\nothers: ignore\n")
    data = open_dataset(tmp_path)
    np.testing.assert_array_equal(data[0].labels == UNLABELLED, LABELS == 3)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.eye(4)[LABELS], "(60, 4), expected (N,); take the array.argmax(axis=1) of one-hot"),
        (np.eye(4, dtype=bool)[LABELS], "argmax"),
        (np.stack([LABELS, LABELS], axis=1), "is of shape (60, 2), expected (N,)"),
        (np.array(["floor", "wall"])[LABELS % 2], "(the first: 'floor'), expected whole numbers"),
        (np.array([None, 1] * 30), "holds Python objects (dtype object), expected numbers"),
    ],
)
def test_labels_of_another_form_have_a_way_out_in_words(tmp_path, labels, words):
    scene(tmp_path / "a", labels)
    text = refused(lambda: open_dataset(tmp_path)[0])
    assert words in text and "segment.npy" in text
    assert "allow_pickle" not in text and "unsafe" not in text


@pytest.mark.parametrize(
    "content", [JUNK, b"", b"\x93NUMPY\x01\x00", b"\x80\x04]\x94.", b"PK\x03\x04"]
)
def test_broken_arrays_never_pass_on_advice_to_load_unsafely(tmp_path, content):
    scene(tmp_path / "scene")
    (tmp_path / "scene/segment.npy").write_bytes(content)
    npz(tmp_path / "file/a.npz")
    (tmp_path / "file/a.npz").write_bytes(content)
    for name, file in (("scene", "segment.npy"), ("file", "a.npz")):
        text = refused(lambda name=name: open_dataset(tmp_path / name)[0])
        assert f"{file}: not a readable" in text
        assert "allow_pickle" not in text and "unsafe" not in text and "pickle.load" not in text


# --- nothing to learn from ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, 255, 1001])
@pytest.mark.parametrize("wrap", [lambda d: d, Cached, lambda d: Cached(FittedNormals(d, 0.1))])
def test_scans_without_one_labelled_point_are_nothing_to_learn_from(tmp_path, value, wrap):
    for name in "ab":
        scene(tmp_path / name, np.where(LABELS == 1, value + 1 if value > 255 else -1, value))
    (tmp_path / "label_map.yaml").write_text("classes: [floor, pallet]\nothers: ignore\n")
    data = wrap(open_dataset(tmp_path, split="all"))
    text = refused(lambda: require_labels(data, "to learn from"))
    assert "none of 2 scans" in text and f"{value} (" in text and "--label-map" in text


def test_one_labelled_point_is_enough(tmp_path):
    scene(tmp_path / "a", np.full(60, -1))
    scene(tmp_path / "b", np.where(np.arange(60) == 5, 0, -1))
    require_labels(open_dataset(tmp_path, split="all"), "to learn from")


@pytest.mark.parametrize(
    ("part", "command"),
    [("train", ["train", "head"]), ("val", ["train", "full"]), ("val", ["evaluate"])],
)
def test_commands_refuse_scans_without_a_label(tmp_path, part, command, capsys):
    for name in ("train", "val"):
        values = np.full(60, 7) if name == part else LABELS % 2
        scene(tmp_path / f"data/{name}/a", values)
    (tmp_path / "data/label_map.yaml").write_text("classes: [floor, pallet]\nothers: ignore\n")
    out = tmp_path / "out"
    assert main([*command, str(tmp_path / "data"), "--out", str(out), "--device", "cpu"]) == 1
    text = capsys.readouterr().err
    assert "none of 1 scans has a point with a label" in text and "7 (60 points)" in text
    assert not out.exists()
