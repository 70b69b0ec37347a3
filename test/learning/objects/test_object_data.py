# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of objects in their published layouts, on small files of the same form."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from small_objects import clouds, write_parts

from concerto_ros.learning.objects.data.layouts import LAYOUTS, read_objects
from concerto_ros.learning.objects.data.scanobjectnn import SCANOBJECTNN_FILES


def write_h5(path, **arrays):
    h5py = pytest.importorskip("h5py")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value


def write_scanobjectnn(folder, variant="pb_t50_rs", split="training", **changes):
    content = {
        "data": clouds(5),
        "label": np.array([0, 14, 3, 3, 7]),
        "mask": np.where(np.arange(160).reshape(5, 32) % 3, 4, -1),
    }
    path = folder / SCANOBJECTNN_FILES[variant].format(split)
    write_h5(path, **{k: v for k, v in (content | changes).items() if v is not None})
    return path


@pytest.mark.parametrize("variant", SCANOBJECTNN_FILES)
def test_scanobjectnn_is_read_as_it_is_stored(tmp_path, variant):
    write_scanobjectnn(tmp_path, variant, "test")
    found = read_objects(f"scanobjectnn_{variant}", tmp_path, "test")
    np.testing.assert_array_equal(found.points, clouds(5))
    assert found.labels.tolist() == [0, 14, 3, 3, 7]
    assert (len(found.classes), found.classes[0], found.classes[14]) == (15, "bag", "toilet")
    assert found.point_labels[0, :4].tolist() == [-1, 4, 4, -1]


def test_scanobjectnn_without_a_mask(tmp_path):
    write_scanobjectnn(tmp_path, mask=None)
    assert read_objects("scanobjectnn_pb_t50_rs", tmp_path, "train").point_labels is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, "scale75.h5 has no array 'data'"),
        ({"data": clouds(5)[:, :, :2]}, r"'data' has shape \(5, 32, 2\), expected \(objects"),
        ({"label": np.arange(4)}, r"scale75.h5: .* labels have shape \(4,\), expected \(5,\)"),
        ({"label": np.full(5, 15)}, "label 15, expected 0 to 14"),
        ({"label": np.array([b"bag"] * 5)}, "'label' is .*, expected numbers"),
        ({"mask": np.zeros((5, 7))}, r"labels of points have shape \(5, 7\)"),
        ({"data": clouds(5) * np.nan}, "object 0 has points that are not finite"),
    ],
)
def test_a_wrong_array_is_named_with_its_file(tmp_path, changes, message):
    write_scanobjectnn(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        read_objects("scanobjectnn_pb_t50_rs", tmp_path, "train")


def test_missing_and_damaged_files_are_named(tmp_path):
    pytest.importorskip("h5py")
    with pytest.raises(ValueError, match="scale75.h5 is not a file"):
        read_objects("scanobjectnn_pb_t50_rs", tmp_path, "train")
    path = write_scanobjectnn(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="scale75.h5 cannot be read as HDF5"):
        read_objects("scanobjectnn_pb_t50_rs", tmp_path, "train")


def test_without_h5py_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'concerto_ros\[objects\]'"):
        read_objects("scanobjectnn_pb_t50_rs", tmp_path, "train")


def test_modelnet_in_h5_files_keeps_the_order_of_its_list(tmp_path):
    (tmp_path / "shape_names.txt").write_text("airplane\nbathtub\n")
    listed = [f"data/modelnet40_ply_hdf5_2048/ply_data_train{i}.h5" for i in (1, 0)]
    (tmp_path / "train_files.txt").write_text("\n".join(listed) + "\n")
    for i in (0, 1):
        labels = np.full((3, 1), i, np.uint8)
        write_h5(tmp_path / f"ply_data_train{i}.h5", data=clouds(3, seed=i), label=labels)
    found = read_objects("modelnet40_h5", tmp_path, "train")
    assert found.labels.tolist() == [1, 1, 1, 0, 0, 0]
    np.testing.assert_array_equal(found.points[:3], clouds(3, seed=1))
    with pytest.raises(ValueError, match="test_files.txt is not a file"):
        read_objects("modelnet40_h5", tmp_path, "test")


def write_modelnet(folder):
    (folder / "modelnet40_shape_names.txt").write_text("night_stand\nsofa\n")
    names = ["sofa_0001", "night_stand_0002"]
    (folder / "modelnet40_test.txt").write_text("\n".join(names))
    for place, name in enumerate(names):
        path = folder / name.rpartition("_")[0] / f"{name}.txt"
        path.parent.mkdir()
        rows = np.concatenate([clouds(2)[place] + 3, clouds(2)[place]], 1)
        np.savetxt(path, rows, "%.6f", ",")
    return path


def test_modelnet_in_text_files_is_moved_to_unit_spheres(tmp_path):
    write_modelnet(tmp_path)
    found = read_objects("modelnet40_txt", tmp_path, "test")
    assert found.labels.tolist() == [1, 0] and found.points.shape == (2, 32, 3)
    np.testing.assert_allclose(found.points.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=2).max(1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "night_stand_0002.txt"),
        ("1,2\n", "night_stand_0002.txt has 1 rows of 2 numbers, expected 3 or more"),
        ("1,2,3\n", "night_stand_0002.txt has 1 points, expected 32"),
        ("1,2,x\n", "night_stand_0002.txt: could not convert"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_a_wrong_text_file_is_named(tmp_path, content, message):
    write_modelnet(tmp_path).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_objects("modelnet40_txt", tmp_path, "test")


def test_a_listed_object_of_no_class_is_named(tmp_path):
    write_modelnet(tmp_path)
    (tmp_path / "modelnet40_test.txt").write_text("chair_0001\n")
    with pytest.raises(ValueError, match="modelnet40_test.txt: chair_0001 has no class"):
        read_objects("modelnet40_txt", tmp_path, "test")


def test_shapenetpart_is_read_with_the_labels_of_its_points(tmp_path):
    write_parts(tmp_path)
    train, test = (read_objects("shapenetpart", tmp_path, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (4, 2)
    assert train.classes == ("Airplane", "Mug") and train.labels.tolist() == [0, 1, 0, 1]
    assert train.points.shape == (4, 2048, 3)
    assert np.unique(train.point_labels[1]).tolist() == [36]
    assert np.linalg.norm(train.points, axis=2).max() < 1 + 1e-5
    again = read_objects("shapenetpart", tmp_path, "train")
    np.testing.assert_array_equal(again.points, train.points)


def test_wrong_lists_of_shapenetpart_are_named(tmp_path):
    write_parts(tmp_path)
    path = tmp_path / "train_test_split" / "shuffled_test_file_list.json"
    for content, message in (
        ("[", "cannot be read as JSON"),
        ('{"a": 1}', "expected a list of names"),
        ('["shape_data/02691156/none"]', "none.txt is not a file"),
        ('["shape_data/1/none"]', "is of no category"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            read_objects("shapenetpart", tmp_path, "test")


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"synthetic"}))
def test_every_layout_refuses_another_split(tmp_path, layout):
    for name in ("shape_names.txt", "modelnet40_shape_names.txt"):
        (tmp_path / name).write_text("a\n")
    (tmp_path / "synsetoffset2category.txt").write_text("a 1\n")
    with pytest.raises(ValueError, match="split is 'dev', expected train or test"):
        read_objects(layout, tmp_path, "dev")


def test_another_layout_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="layout is 'kitti', expected one of synthetic, modelnet40"
    ):
        read_objects("kitti", tmp_path, "train")
