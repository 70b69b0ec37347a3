# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Maps as files: what goes in comes out, and nothing else is read or written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from concerto_ros.files.safetensors_file import read_tensors
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping import map_file
from concerto_ros.mapping.map_file import (
    MapFileError,
    StoredMap,
    map_path,
    read_map,
    stored_map,
    write_map,
)
from concerto_ros.mapping.voxel_grid import pack
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.frame import Frame

SECOND = 1_000_000_000


def frame(seed: int = 0, stamp: int = SECOND, size: int = 200) -> Frame:
    random = np.random.default_rng(seed)
    points = random.uniform(-2, 2, (size, 3)).astype(np.float32)
    colors = random.integers(0, 256, (size, 3)).astype(np.uint8)
    return Frame(points, stamp, "odom", colors=colors, origin=np.array([0.0, 0.0, 5.0]))


def voxel_map(**limits) -> VoxelMap:
    return VoxelMap(0.1, **({"window_seconds": 10.0, "max_voxels": 1000} | limits))


@pytest.fixture
def stored() -> StoredMap:
    voxels = voxel_map()
    voxels.insert(frame(), np.zeros(3))
    snapshot = voxels.snapshot()
    count = len(snapshot)
    prediction = Prediction(
        points=snapshot.points,
        label=(np.arange(count) % 12).astype(np.uint8),
        confidence=np.linspace(0, 1, count, dtype=np.float32),
        entropy=np.linspace(1, 0, count, dtype=np.float32),
        pca_rgb=np.zeros((count, 3), np.uint8),
        classes=LabelSet.load("demo").classes,
        model="demo",
        stamp=snapshot.stamp,
        stage_ms={},
    )
    return stored_map(snapshot, prediction, "odom")


def test_a_map_comes_out_as_it_went_in(tmp_path, stored):
    path = tmp_path / "kitchen.safetensors"
    write_map(path, stored)
    read = read_map(path, 1000)
    for name in ("label", "confidence", "entropy", "fixed_frame", "classes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(stored, name))
    of_this_map = {"robot", "frames", "generation", "revision"}
    of_this_map |= {"slots", "entered", "changed", "map_cells"}
    for name in set(vars(stored.snapshot)) - of_this_map:
        ours, theirs = getattr(read.snapshot, name), getattr(stored.snapshot, name)
        np.testing.assert_array_equal(ours, theirs, name)
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
    assert read.classes[:2] == ("floor", "wall") and read.snapshot.stamp == SECOND
    assert [entry.name for entry in tmp_path.iterdir()] == ["kitchen.safetensors"]


def test_an_empty_map_is_one(tmp_path, stored):
    snapshot = voxel_map().snapshot()
    nothing = {name: getattr(stored, name)[:0] for name in ("label", "confidence", "entropy")}
    write_map(tmp_path / "a.safetensors", replace(stored, snapshot=snapshot, **nothing))
    assert len(read_map(tmp_path / "a.safetensors", 10)) == 0


def test_voxels_of_a_file_may_come_in_any_order(tmp_path, stored):
    path = tmp_path / "a.safetensors"
    write_map(path, stored)
    tensors, metadata = read_tensors(path)
    wanted = {
        "index": torch.int32,
        "points": torch.float32,
        "colors": torch.float32,
        "has_color": torch.uint8,
        "normals": torch.float32,
        "toward": torch.float32,
        "label": torch.uint8,
        "confidence": torch.float32,
        "entropy": torch.float32,
    }
    assert {name: tensor.dtype for name, tensor in tensors.items()} == wanted
    assert set(metadata) == {"format", "voxel_size", "fixed_frame", "stamp", "classes"}
    order = torch.randperm(len(stored), generator=torch.Generator().manual_seed(0))
    map_file.write_tensors(path, {n: t[order] for n, t in tensors.items()}, metadata)
    read = read_map(path, 1000)
    np.testing.assert_array_equal(read.snapshot.keys, stored.snapshot.keys)
    np.testing.assert_array_equal(read.snapshot.points, stored.snapshot.points)
    np.testing.assert_array_equal(read.label, stored.label)


def test_whoever_is_killed_while_writing_leaves_the_old_file(tmp_path, stored, monkeypatch):
    path = tmp_path / "a.safetensors"
    write_map(path, stored)
    before = path.read_bytes()

    def full(partial, *_):
        Path(partial).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(map_file, "write_tensors", full)
    with pytest.raises(MapFileError, match="cannot be written: No space left on device"):
        write_map(path, stored)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a.pth",
        "/etc/passwd",
        "/tmp/a.safetensors",
        "../a.safetensors",
        "b/../../a.safetensors",
        ".hidden.safetensors",
        ".safetensors",
        "~/a.safetensors",
        "a\0.safetensors",
        "a\n.safetensors",
        "é.safetensors",
        "out/a.safetensors",
        "link.safetensors",
    ],
)
def test_hostile_paths_are_refused(tmp_path, name):
    root = tmp_path / "maps"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    with pytest.raises(MapFileError, match="path: got"):
        map_path(str(root), name)


def test_without_a_directory_there_are_no_maps(tmp_path):
    with pytest.raises(MapFileError, match="map_directory: got ''"):
        map_path("", "a.safetensors")
    assert map_path(str(tmp_path), "floor 1/a-b_2.safetensors").parent == tmp_path / "floor 1"


def edited(path: Path, stored: StoredMap, **changes) -> Path:
    """The file of ``stored`` with some attributes of it or of its snapshot changed."""
    own = {name: changes[name] for name in changes if hasattr(stored, name)}
    others = {name: changes[name] for name in changes if name not in own}
    write_map(path, replace(stored, snapshot=replace(stored.snapshot, **others), **own))
    return path


def test_files_that_are_no_maps_are_refused(tmp_path, stored):
    path = tmp_path / "a.safetensors"
    with pytest.raises(MapFileError, match="cannot be read: No such file"):
        read_map(path, 1000)
    for content in (b"", b"\0" * 64, b"\xff" * 64, (2).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(MapFileError, match=r"a\.safetensors"):
            read_map(path, 1000)
    write_map(path, stored)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(MapFileError, match="is not a map"):
        read_map(path, 1000)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (
            lambda s: {"points": s.snapshot.points * np.float32(np.nan)},
            "points: got NaN or infinity",
        ),
        (lambda s: {"index": s.snapshot.index * 0}, "index: got duplicate"),
        (lambda s: {"index": s.snapshot.index + 2**21}, "index: got .* out-of-range voxels"),
        (lambda s: {"label": s.label.astype(np.int32)}, "label: got int32"),
        (lambda s: {"confidence": s.confidence[1:]}, "confidence: got float32 .199,."),
    ],
)
def test_contents_that_cannot_be_are_refused(tmp_path, stored, changes, wanted):
    path = edited(tmp_path / "a.safetensors", stored, **changes(stored))
    with pytest.raises(MapFileError, match=wanted):
        read_map(path, 1000)


def test_a_map_that_is_too_large_is_refused_before_it_is_read(tmp_path, stored):
    path = edited(tmp_path / "a.safetensors", stored)
    with pytest.raises(MapFileError, match="expected at most max_voxels, 10"):
        read_map(path, 10)
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(MapFileError, match="expected at most those of 10 voxels"):
        read_map(path, 10)


def test_classes_are_names(tmp_path, stored):
    path = edited(tmp_path / "a.safetensors", stored, classes=())
    assert read_map(path, 1000).classes == ()
    content = path.read_bytes().replace(b'"classes":"[]"', b'"classes":"{}"')
    path.write_bytes(content)
    with pytest.raises(MapFileError, match="classes: got .*, expected a list of names"):
        read_map(path, 1000)
    assert json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


# Back into the map -------------------------------------------------------------------------------


def test_a_map_that_is_put_back_is_the_map_that_was(stored):
    voxels = voxel_map()
    voxels.put(stored.snapshot)
    snapshot = voxels.snapshot()
    np.testing.assert_array_equal(snapshot.index, stored.snapshot.index)
    np.testing.assert_allclose(snapshot.points, stored.snapshot.points, atol=1e-6)
    np.testing.assert_allclose(snapshot.colors, stored.snapshot.colors, atol=1e-4)
    np.testing.assert_allclose(
        snapshot.sensor_directions, stored.snapshot.sensor_directions, atol=1e-6
    )
    assert snapshot.has_color.all() and voxels.newest_stamp is None


def test_what_is_put_counts_as_seen_with_the_newest_frame_or_the_first_that_comes(stored):
    far = np.array([[90.0, 90, 90]], np.float32)
    for before in ([], [100]):
        voxels = voxel_map()
        for second in before:
            voxels.insert(Frame(far, second * SECOND, "odom"), np.zeros(3))
        voxels.put(stored.snapshot)
        assert len(voxels) == len(stored)
        for second, left in ((100, len(stored)), (109, len(stored)), (111, 0)):
            voxels.insert(Frame(far, second * SECOND, "odom"), np.zeros(3))
            assert len(voxels.snapshot()) == left + 1


def test_the_radius_counts_once_a_frame_says_where_the_robot_is(stored):
    there = np.array([30.0, 0.0, 0.0])
    index = stored.snapshot.index + np.array([300, 0, 0])
    away = replace(
        stored.snapshot,
        keys=pack(index),
        index=index,
        points=stored.snapshot.points + there.astype(np.float32),
    )
    voxels = voxel_map(radius=5.0)
    voxels.put(away)
    assert len(voxels.snapshot()) == len(stored)
    point = Frame(there[None].astype(np.float32), SECOND, "odom")
    voxels.insert(point, there)
    assert set(map(tuple, away.index)) <= set(map(tuple, voxels.snapshot().index))
    voxels.insert(replace(point, stamp=2 * SECOND), np.zeros(3))
    assert len(voxels.snapshot()) == 0


def test_a_map_with_too_many_voxels_is_not_put(stored):
    with pytest.raises(ValueError, match=f"index: got {len(stored)}, expected <= 10 rows"):
        voxel_map(max_voxels=10).put(stored.snapshot)
