# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled scans in folders of files, Pointcept's layout and SemanticKITTI's."""

from __future__ import annotations

import argparse
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.cli.shared.scan_arguments import add_data_arguments, data_options
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.formats import Cached, DataError, open_dataset
from concerto_ros.learning.data.formats.arrays import make_scan
from concerto_ros.learning.data.formats.splits import part_of
from concerto_ros.sensors.ply import write_labelled_ply

COUNT = 40
RANDOM = np.random.default_rng(0)
POINTS = RANDOM.uniform(-3, 3, (COUNT, 3)).astype(np.float32)
COLORS = RANDOM.integers(0, 256, (COUNT, 3), dtype=np.uint8)
NORMALS = np.tile(np.array([0, 0, 1], np.float32), (COUNT, 1))
LABELS = np.arange(COUNT) % 4


def refused(make) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def npz(path, **changes):
    arrays = {"points": POINTS, "colors": COLORS, "normals": NORMALS, "labels": LABELS} | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


# --- a folder of files --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["npz", "ply"])
def test_a_file_is_a_scan(tmp_path, form):
    if form == "npz":
        npz(tmp_path / "a.npz")
    else:
        write_labelled_ply(tmp_path / "a.ply", POINTS, COLORS, label=LABELS)
    data = open_dataset(tmp_path, split="all")
    assert len(data) == 1 and data.names == (f"a.{form}",)
    assert len(data.classes) == 4
    scan = data[0]
    assert scan.name == f"a.{form}"
    np.testing.assert_array_equal(scan.points, POINTS)
    np.testing.assert_array_equal(scan.colors, COLORS)
    np.testing.assert_array_equal(scan.labels, LABELS)
    assert (scan.normals is None) == (form == "ply")


def pcd(path):
    header = (
        "FIELDS x y z red green blue label\nSIZE 4 4 4 1 1 1 4\nTYPE F F F U U U U\n"
        f"COUNT 1 1 1 1 1 1 1\nWIDTH {len(POINTS)}\nHEIGHT 1\nDATA ascii\n"
    )
    rows = zip(POINTS.tolist(), COLORS.tolist(), LABELS.tolist(), strict=True)
    lines = (" ".join(repr(value) for value in [*p, *c, label]) for p, c, label in rows)
    path.write_text(header + "\n".join(lines) + "\n")


def las(path):
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.scales = [1e-6] * 3
    data = laspy.LasData(header)
    data.x, data.y, data.z = POINTS.astype(np.float64).T
    data.red, data.green, data.blue = COLORS.astype(np.uint16).T * 257
    data.classification = LABELS
    data.write(path)


def csv(path):
    columns = np.c_[POINTS, COLORS, LABELS]
    np.savetxt(path, columns, "%.9g", ",", header="X,Y,Z,R,G,B,Label", comments="//")


@pytest.mark.parametrize(
    ("name", "write"), [("a.pcd", pcd), ("a.las", las), ("a.laz", las), ("a.csv", csv)]
)
def test_a_scan_is_read_by_the_reader_of_point_cloud_files(tmp_path, name, write):
    write(tmp_path / name)
    scan = open_dataset(tmp_path / name, "files", split="all")[0]
    np.testing.assert_allclose(scan.points, POINTS, atol=1e-5)
    np.testing.assert_array_equal(scan.colors, COLORS)
    np.testing.assert_array_equal(scan.labels, LABELS)


def test_a_folder_of_pcd_and_las_files_is_a_data_set(tmp_path):
    pcd(tmp_path / "a.pcd")
    las(tmp_path / "b.las")
    assert open_dataset(tmp_path, split="all").names == ("a.pcd", "b.las")


@pytest.mark.parametrize("stray", [[0.0, 0, 0], [-60_000, 0, 0]])
def test_a_stray_is_left_out_of_a_georeferenced_scan_and_logged(tmp_path, caplog, stray):
    far = np.repeat(POINTS, 8, axis=0) + [500_000.0, 4_600_000.0, 300.0]
    points, labels = np.vstack([[stray], far]), np.r_[LABELS[0], np.repeat(LABELS, 8)]
    path = npz(tmp_path / "a.npz", points=points, labels=labels, colors=None, normals=None)
    scan = open_dataset(path, split="all")[0]
    np.testing.assert_allclose(
        scan.points - scan.points[0], far - far[0], atol=2e-6, rtol=0, err_msg="precision"
    )
    np.testing.assert_array_equal(scan.labels, labels[1:])
    assert f"{path}: 1 of {len(points)} points lie far from the others" in caplog.text


@pytest.mark.parametrize("colors", [COLORS / 127.5 - 1, COLORS.astype(np.int64) * 10**6])
def test_colours_in_an_unknown_unit_are_refused(tmp_path, colors):
    data = open_dataset(npz(tmp_path / "a.npz", colors=colors), split="all")
    with pytest.raises(DataError, match=r"a\.npz: colors: got values from .* expected fractions"):
        data[0]


def test_one_file_is_a_data_set_of_one_scan(tmp_path):
    data = open_dataset(npz(tmp_path / "a.npz"))
    assert [scan.name for scan in data] == ["a.npz"]


def test_what_segment_wrote_and_a_person_corrected_can_be_learned(tmp_path):
    # CloudCompare renames the field and stores floats
    write_labelled_ply(tmp_path / "a.ply", POINTS, COLORS, label=LABELS)
    text = (tmp_path / "a.ply").read_bytes()
    text = text.replace(b"property int label", b"property float scalar_label")
    vertex = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3), ("label", "<i4")])
    start = text.index(b"end_header\n") + len(b"end_header\n")
    rows = np.frombuffer(text[start:], vertex).copy()
    rows["label"] = rows["label"].astype(np.float32).view(np.int32)
    (tmp_path / "a.ply").write_bytes(text[:start] + rows.tobytes())
    np.testing.assert_array_equal(open_dataset(tmp_path)[0].labels, LABELS)


def test_scans_are_read_when_they_are_asked_for(tmp_path):
    for name in "abc":
        npz(tmp_path / f"{name}.npz")
    data = open_dataset(tmp_path, split="all", label_map="s3dis")
    (tmp_path / "b.npz").write_bytes(b"broken")
    assert len(data) == 3 and len(data.classes) == 13
    assert len(data[0]) == COUNT and len(data[-1]) == COUNT
    assert "b.npz: not a readable .npz" in refused(lambda: data[1])
    assert [s.name for s in data[::2]] == ["a.npz", "c.npz"]
    with pytest.raises(IndexError):
        data[3]


def test_a_data_set_goes_to_other_processes(tmp_path):
    npz(tmp_path / "a.npz")
    data = pickle.loads(pickle.dumps(open_dataset(tmp_path)))
    assert data[0].name == "a.npz"


def test_kept_scans_are_read_once_up_to_the_limit(tmp_path):
    for name in "ab":
        npz(tmp_path / f"{name}.npz")
    scan = open_dataset(tmp_path, split="all")[0]
    size = sum(a.nbytes for a in (scan.points, scan.labels, scan.colors, scan.normals))
    kept = Cached(open_dataset(tmp_path, split="all"), limit=size)
    assert kept[0] is kept[0] and kept[1] is not kept[1] and kept[-2] is kept[0]
    assert len(kept) == 2 and len(kept.classes) == 4
    with pytest.raises(IndexError):
        kept[2]


@pytest.mark.parametrize(
    "changes, fault",
    [
        ({"labels": None}, "has no labels: got colors, normals, points"),
        ({"points": None}, "has no points"),
        ({"labels": LABELS[:-1]}, f"{COUNT - 1} labels for {COUNT} points"),
        ({"labels": np.stack([LABELS] * 2, axis=1)}, "labels is of shape"),
        ({"labels": LABELS + 0.5}, "labels are not integers"),
        ({"labels": np.where(LABELS == 3, 400, LABELS)}, "unknown label value 400"),
        ({"labels": LABELS - 5}, "unknown label value -5"),
        ({"points": POINTS[:, :2]}, "points are float32 of shape"),
        ({"points": POINTS.astype(str)}, "points are <U"),
        (
            {"points": np.where(np.arange(COUNT)[:, None] == 7, np.nan, POINTS)},
            "the first: point 7",
        ),
        ({"points": POINTS[:0], "labels": LABELS[:0]}, "has no points"),
        ({"colors": COLORS[1:]}, "colors are uint8 of shape"),
        ({"normals": NORMALS[:, 0]}, "normals are float32 of shape"),
    ],
)
def test_what_is_wrong_is_reported_with_the_file(tmp_path, changes, fault):
    path = npz(tmp_path / "bad.npz", **changes)
    text = refused(lambda: open_dataset(tmp_path)[0])
    assert str(path) in text and fault in text


def test_a_damaged_ply_is_refused_with_its_name(tmp_path):
    (tmp_path / "bad.ply").write_bytes(b"ply\nformat ascii 1.0\nelement vertex 2\n")
    assert "bad.ply" in refused(lambda: open_dataset(tmp_path)[0])


@pytest.mark.parametrize("name", ["points", "xyz", "coord"])
@pytest.mark.parametrize("label", ["labels", "segment", "scalar_label"])
def test_arrays_go_by_several_names(tmp_path, name, label):
    renamed = {"points": None, "labels": None} | {name: POINTS, label: LABELS}
    npz(tmp_path / "a.npz", **renamed)
    np.testing.assert_array_equal(open_dataset(tmp_path)[0].labels, LABELS)


def test_the_label_field_can_be_named(tmp_path):
    npz(tmp_path / "a.npz", labels=LABELS, truth=(LABELS + 1) % 4)
    scan = open_dataset(tmp_path, label_field="truth")[0]
    np.testing.assert_array_equal(scan.labels, (LABELS + 1) % 4)
    text = refused(lambda: open_dataset(tmp_path, label_field="gold")[0])
    assert "gold (--label-field names another)" in text


def test_colours_come_as_bytes_fractions_or_16_bits(tmp_path):
    for kind, values in (
        (np.float32, COLORS / 255),
        (np.float64, COLORS),
        (np.uint16, COLORS.astype(np.uint16) * 257),
    ):
        npz(tmp_path / "a.npz", colors=values.astype(kind))
        np.testing.assert_array_equal(open_dataset(tmp_path)[0].colors, COLORS)


def test_normals_become_unit(tmp_path):
    npz(tmp_path / "a.npz", normals=np.vstack([NORMALS[1:] * 3, [[0, 0, 0]]]))
    normals = open_dataset(tmp_path)[0].normals
    np.testing.assert_array_equal(normals[:-1], NORMALS[1:])
    assert (normals[-1] == 0).all()


def test_georeferenced_points_keep_their_millimetres(tmp_path):
    far = POINTS.astype(np.float64) + [400_000.0, 5_000_000.0, 100.0]
    npz(tmp_path / "a.npz", points=far)
    moved = open_dataset(tmp_path)[0].points
    np.testing.assert_allclose(moved - moved[0], POINTS - POINTS[0], atol=1e-5)


def test_a_label_map_in_the_folder_is_taken_and_one_given_goes_before(tmp_path):
    npz(tmp_path / "a.npz")
    (tmp_path / "label_map.yaml").write_text(
        "classes: [even, odd]\nmap: {0: even, 1: odd, 2: even, 3: odd}"
    )
    data = open_dataset(tmp_path)
    assert [c.name for c in data.classes.classes] == ["even", "odd"]
    np.testing.assert_array_equal(data[0].labels, LABELS % 2)
    other = tmp_path / "other.yaml"
    other.write_text("classes: [two]\nmap: {2: two}\nothers: ignore")
    labels = open_dataset(tmp_path, label_map=other)[0].labels
    np.testing.assert_array_equal(labels, np.where(LABELS == 2, 0, UNLABELLED))


def test_ignored_values_do_not_make_classes(tmp_path):
    npz(tmp_path / "a.npz", labels=np.where(LABELS == 3, 200, LABELS))
    npz(tmp_path / "b.npz", labels=np.where(LABELS == 2, -1, LABELS % 2))
    assert len(open_dataset(tmp_path).classes) == 201
    data = open_dataset(tmp_path, ignore_index=(200, -1))
    assert len(data.classes) == 3
    assert "unknown label value -1" in refused(
        lambda: open_dataset(tmp_path, ignore_index=9).classes
    )


# --- parts --------------------------------------------------------------------------------------


def test_folders_are_the_parts(tmp_path):
    for name in ("train/a", "train/sub/b", "val/c", "test/d"):
        npz(tmp_path / f"{name}.npz")
    npz(tmp_path / "val/e.npz", labels=LABELS + 5)
    names = {part: open_dataset(tmp_path, split=part).names for part in ("train", "val", "test")}
    assert names == {
        "train": ("train/a.npz", "train/sub/b.npz"),
        "val": ("val/c.npz", "val/e.npz"),
        "test": ("test/d.npz",),
    }
    # every part has the classes of all of them
    assert {len(open_dataset(tmp_path, split=part).classes) for part in names} == {9}
    assert len(open_dataset(tmp_path, split="all")) == 5


def test_without_val_some_of_train_is_held_out_and_test_is_val(tmp_path):
    for i in range(10):
        npz(tmp_path / f"train/{i}.npz")
    parts = {part: open_dataset(tmp_path, split=part).names for part in ("train", "val", "test")}
    assert len(parts["train"]) == 8 and len(parts["val"]) == 2 and parts["test"] == parts["val"]
    assert sorted(parts["train"] + parts["val"]) == [f"train/{i}.npz" for i in range(10)]
    npz(tmp_path / "test/t.npz")
    assert open_dataset(tmp_path, split="test").names == ("test/t.npz",)
    assert open_dataset(tmp_path, split="val").names == parts["val"]


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 40), share=st.floats(0, 0.99), seed=st.integers(0, 5))
def test_a_hold_out_divides_the_scans_by_its_seed(tmp_path_factory, count, share, seed):
    folder = tmp_path_factory.mktemp("scans")
    for i in range(count):
        (folder / f"{i:02d}.npz").touch()
    data = open_dataset(folder, split="all")
    train, val = (part_of(data, part, share, seed).names for part in ("train", "val"))
    assert tuple(sorted(train + val)) == data.names and not set(train) & set(val)
    assert len(train) >= 1 and list(train) == sorted(train)
    assert (len(val) == 0) == (share == 0 or count == 1)
    assert part_of(data, "val", share, seed).names == val


def test_another_seed_holds_out_other_scans(tmp_path):
    for i in range(30):
        (tmp_path / f"{i:02d}.npz").touch()
    assert len({open_dataset(tmp_path, split="val", seed=s).names for s in range(5)}) > 1


def test_a_single_scan_is_for_training(tmp_path):
    npz(tmp_path / "a.npz")
    assert len(open_dataset(tmp_path)) == 1 and len(open_dataset(tmp_path, split="val")) == 0


def test_scans_to_test_on_alone_are_not_trained_on(tmp_path):
    npz(tmp_path / "val/a.npz")
    assert len(open_dataset(tmp_path, split="val")) == 1
    assert "expected some for train" in refused(lambda: open_dataset(tmp_path))


@pytest.mark.parametrize("wrong", [{"split": "dev"}, {"holdout": 1.0}, {"layout": "folder"}])
def test_wrong_arguments_are_named(tmp_path, wrong):
    npz(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=next(iter(wrong))):
        open_dataset(tmp_path, **wrong)


def test_the_options_of_a_command_are_those_of_open_dataset(tmp_path):
    npz(tmp_path / "a.npz", labels=LABELS + 7, truth=LABELS)
    parser = argparse.ArgumentParser()
    add_data_arguments(parser)
    plain = data_options(parser.parse_args([]))
    keywords = inspect.signature(open_dataset).parameters
    assert {name: keywords[name].default for name in plain} == plain
    given = parser.parse_args(["--label-field", "truth", "--ignore-index", "1", "3"])
    labels = open_dataset(tmp_path, **data_options(given))[0].labels
    np.testing.assert_array_equal(labels, np.where(LABELS % 2, UNLABELLED, LABELS))


def test_a_folder_without_scans_says_what_is_wanted(tmp_path):
    (tmp_path / "notes.txt").touch()
    text = refused(lambda: open_dataset(tmp_path))
    assert all(
        word in text for word in ("files", "pointcept", "semantickitti", "bag", "coord.npy")
    )
    assert "expected .npz, .ply, .pcd, .las, .laz files" in refused(
        lambda: open_dataset(tmp_path, "files")
    )
    assert "coord.npy" in refused(lambda: open_dataset(tmp_path, "pointcept"))
    assert "velodyne" in refused(lambda: open_dataset(tmp_path, "semantickitti"))
    assert "does not exist" in refused(lambda: open_dataset(tmp_path / "none"))


# --- Pointcept ----------------------------------------------------------------------------------


def scene(folder, **changes):
    arrays = {"coord": POINTS, "color": COLORS, "normal": NORMALS, "instance": LABELS} | changes
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in arrays.items():
        if value is not None:
            np.save(folder / f"{name}.npy", value)
    return folder


def test_scannet_exports_are_read_with_their_classes(tmp_path):
    labels = np.where(LABELS == 3, -1, LABELS).astype(np.int16)
    for name in ("train/scene0000_00", "train/scene0001_00", "val/scene0002_00"):
        scene(tmp_path / name, segment20=labels, segment200=np.where(labels < 0, -1, labels + 100))
    data = open_dataset(tmp_path)
    assert data.names == ("train/scene0000_00", "train/scene0001_00")
    assert data.classes.name == "scannet20"
    scan = data[0]
    np.testing.assert_array_equal(scan.labels, np.where(LABELS == 3, UNLABELLED, LABELS))
    np.testing.assert_array_equal(scan.points, POINTS)
    np.testing.assert_array_equal(scan.normals, NORMALS)
    assert open_dataset(tmp_path, split="val").names == ("val/scene0002_00",)
    for more in ({"label_map": "scannet200"}, {"label_field": "segment200"}):
        other = open_dataset(tmp_path, **more)
        assert other.classes.name == "scannet200"
        np.testing.assert_array_equal(other[0].labels[:4], [100, 101, 102, UNLABELLED])


def test_s3dis_exports_hold_out_area_5(tmp_path):
    for area in range(1, 7):
        scene(tmp_path / f"Area_{area}/office_1", segment=LABELS[:, None], normal=None)
    train, val = (open_dataset(tmp_path, split=part) for part in ("train", "val"))
    assert val.names == ("Area_5/office_1",) and len(train) == 5
    assert train.classes.name == "s3dis" and train[0].normals is None


def test_one_scene_and_a_folder_of_scenes_are_data_sets(tmp_path):
    scene(tmp_path / "one", segment=LABELS)
    assert open_dataset(tmp_path / "one").names == ("one",)
    scene(tmp_path / "two", segment=LABELS)
    data = open_dataset(tmp_path, split="all")
    assert data.names == ("one", "two") and len(data.classes) == 4


@pytest.mark.parametrize(
    "changes, file, fault",
    [
        ({"coord": None}, "coord.npy", "does not exist; the folder holds color.npy"),
        ({"segment": None}, "segment.npy", "does not exist"),
        ({"segment": LABELS[1:]}, "segment.npy", "39 labels for 40 points"),
        ({"segment": LABELS * 100}, "segment.npy", "unknown label value 300"),
        ({"color": COLORS[1:]}, "", "colors are uint8"),
        ({"coord": np.full_like(POINTS, np.inf)}, "", "NaN or infinite"),
        ({"coord": np.array([{}])}, "coord.npy", "not a readable .npy"),
    ],
)
def test_what_is_wrong_in_a_scene_is_reported_with_the_file(tmp_path, changes, file, fault):
    folder = scene(tmp_path / "bad", **({"segment": LABELS} | changes))
    text = refused(lambda: open_dataset(tmp_path)[0])
    assert str(folder / file) in text and fault in text


# --- SemanticKITTI ------------------------------------------------------------------------------


def sequence(root, number, count=3, poses=None):
    """Scan i is POINTS seen from i metres further along x; the instance is in the upper bits."""
    folder = root / "sequences" / number
    for name in ("velodyne", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    values = np.array([10, 60, 252, 99], np.uint32)[LABELS] | 7 << 16
    for i in range(count):
        points = POINTS - np.array([i, 0, 0], np.float32)
        cloud = np.hstack([points, np.zeros((COUNT, 1), np.float32)])
        cloud.astype("<f4").tofile(folder / "velodyne" / f"{i:06d}.bin")
        values.astype("<u4").tofile(folder / "labels" / f"{i:06d}.label")
    # the camera looks along the sensor's x: z forward, x right, y down
    to_camera = np.array([[0, -1, 0, 0.1], [0, 0, -1, 0.2], [1, 0, 0, 0.3]])
    lines = []
    for i in range(count):
        pose = np.hstack([np.eye(3), [[0], [0], [i]]])
        lines.append(" ".join(f"{value:e}" for value in pose.ravel()))
    (folder / "poses.txt").write_text("\n".join(lines) + "\n")
    (folder / "calib.txt").write_text(
        "P0: " + "0 " * 12 + "\nTr: " + " ".join(map(str, to_camera.ravel())) + "\n"
    )
    return folder


def test_semantickitti_is_read_with_its_published_map_and_split(tmp_path):
    for number in ("00", "01", "08"):
        sequence(tmp_path / "dataset", number)
    (tmp_path / "dataset/sequences/11/velodyne").mkdir(parents=True)  # comes without labels
    train = open_dataset(tmp_path)
    assert len(train) == 6 and train.classes.name == "semantickitti"
    assert train.names[0] == "dataset/sequences/00/velodyne/000000.bin"
    assert len(open_dataset(tmp_path, split="val")) == 3
    scan = train[0]
    np.testing.assert_array_equal(scan.points, POINTS)
    car, road = (
        next(c.id for c in train.classes.classes if c.name == name) for name in ("car", "road")
    )
    np.testing.assert_array_equal(scan.labels, np.array([car, road, car, UNLABELLED])[LABELS])
    assert scan.colors is None and scan.normals is None


def test_scans_are_fused_through_poses_and_calibration(tmp_path):
    folder = sequence(tmp_path, "00", count=4)
    data = open_dataset(folder, split="all", accumulate=3)
    assert [len(scan) for scan in data] == [COUNT, 2 * COUNT, 3 * COUNT, 3 * COUNT]
    scan = data[3]
    # the world stands still, so in the frame of the last scan all three lie on each other
    for part in scan.points.reshape(3, COUNT, 3):
        np.testing.assert_allclose(part, POINTS - [3, 0, 0], atol=1e-4)
    np.testing.assert_array_equal(scan.labels, np.tile(data[0].labels, 3))


def test_own_sequences_hold_out_the_last_scans(tmp_path):
    sequence(tmp_path, "00", count=10)
    assert open_dataset(tmp_path, split="val").names == (
        "sequences/00/velodyne/000008.bin",
        "sequences/00/velodyne/000009.bin",
    )


def test_own_classes_of_the_values_in_the_files(tmp_path):
    sequence(tmp_path, "00")
    path = tmp_path / "own.yaml"
    path.write_text("classes: [vehicle]\nmap: {10: vehicle, 252: vehicle}\nothers: ignore")
    labels = open_dataset(tmp_path, label_map=path)[0].labels
    np.testing.assert_array_equal(labels == 0, LABELS % 2 == 0)
    ignoring = open_dataset(tmp_path, ignore_index=252)[0].labels
    np.testing.assert_array_equal(ignoring == UNLABELLED, LABELS >= 2)


def spoil(folder, what):
    velodyne, labels = folder / "velodyne/000001.bin", folder / "labels/000001.label"
    if what == "no label":
        labels.unlink()
    elif what == "short label":
        labels.write_bytes(labels.read_bytes()[:-4])
    elif what == "cut label":
        labels.write_bytes(labels.read_bytes()[:-1])
    elif what == "cut scan":
        velodyne.write_bytes(velodyne.read_bytes()[:-3])
    elif what == "empty scan":
        velodyne.write_bytes(b"")
    elif what == "unknown":
        np.full(COUNT, 77, "<u4").tofile(labels)
    elif what == "nan":
        np.full((COUNT, 4), np.nan, "<f4").tofile(velodyne)
    elif what == "few poses":
        (folder / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0")
    elif what == "no poses":
        (folder / "poses.txt").unlink()
    elif what == "bad pose":
        (folder / "poses.txt").write_text("1 0 0\n" * 3)
    elif what == "no Tr":
        (folder / "calib.txt").write_text("P0: 1 2 3")


@pytest.mark.parametrize(
    "what, file, fault",
    [
        ("no label", "labels/000001.label", "the file does not exist"),
        (
            "short label",
            "labels/000001.label",
            "39 labels for 40 points of sequences/00/velodyne/000001.bin",
        ),
        ("cut label", "labels/000001.label", "159 bytes, expected 4 (a uint32) for each point"),
        ("cut scan", "velodyne/000001.bin", "637 bytes, expected 16 for each point"),
        ("empty scan", "velodyne/000001.bin", "0 bytes"),
        ("unknown", "labels/000001.label", "unknown label value 77 (at 40 points)"),
        ("nan", "velodyne/000001.bin", "NaN or infinite"),
        ("few poses", "poses.txt", "1 poses, expected one each for 000000.bin and 000001.bin"),
        ("no poses", "poses.txt", "is needed to fuse scans"),
        ("bad pose", "poses.txt", "got line '1 0 0', expected 12 numbers"),
        ("no Tr", "calib.txt", "has no line Tr"),
    ],
)
def test_what_is_wrong_in_a_sequence_is_reported_with_the_file(tmp_path, what, file, fault):
    folder = sequence(tmp_path, "00")
    spoil(folder, what)
    text = refused(lambda: open_dataset(tmp_path, split="all", accumulate=2)[1])
    assert str(folder / file) in text and fault in text


def test_a_sequence_for_training_needs_labels(tmp_path):
    (tmp_path / "sequences/03/velodyne").mkdir(parents=True)
    text = refused(lambda: open_dataset(tmp_path))
    assert "03: has no folder labels" in text


# --- any arrays ---------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(0, 4),
    columns=st.integers(1, 5),
    kind=st.sampled_from(["f4", "f8", "i4", "u1", "U3", "c8"]),
    spoiled=st.sampled_from([None, np.nan, np.inf, 1e30]),
)
def test_arrays_become_a_scan_or_an_error_that_names_the_file(rows, columns, kind, spoiled):
    points = np.ones((rows, columns)).astype(kind)
    if spoiled is not None and kind in ("f4", "f8") and points.size:
        points[0, 0] = spoiled
    try:
        scan = make_scan("scan", "folder/file", points, np.zeros(rows, np.uint8))
    except DataError as error:
        assert str(error).startswith("folder/file: ")
    else:
        assert len(scan) == rows > 0 and np.isfinite(scan.points).all()
