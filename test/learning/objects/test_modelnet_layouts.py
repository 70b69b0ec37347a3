# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ModelNet as Point-BERT's caches and as folders of meshes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from small_objects import clouds

from concerto_ros.learning.objects.data.layouts import read_objects
from concerto_ros.learning.objects.data.modelnet import read_modelnet_off, read_off
from concerto_ros.learning.objects.training.recipes import benchmark_of
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.shared.benchmarks import Benchmark

#: A box 1 x 2 x 4 of which the long side is up, each side a square of four corners.
BOX = """OFF
8 6 0
0 0 0
1 0 0
1 2 0
0 2 0
0 0 4
1 0 4
1 2 4
0 2 4
4 0 1 2 3
4 4 5 6 7
4 0 1 5 4
4 1 2 6 5
4 2 3 7 6
4 3 0 4 7
"""


def write_dat(folder, content, split="test", classes=40):
    names = "\n".join(f"class{number}" for number in range(classes))
    (folder / f"modelnet{classes}_shape_names.txt").write_text(names)
    path = folder / f"modelnet{classes}_{split}_8192pts_fps.dat"
    path.write_bytes(pickle.dumps(content))
    return path


@pytest.mark.parametrize("classes", [10, 40])
def test_caches_are_read_as_unit_spheres_without_normals(tmp_path, classes):
    points = [np.concatenate([cloud + 5, cloud], 1) for cloud in clouds(3, 20)]
    write_dat(tmp_path, [points, [np.array([2]), np.array([0]), np.array([9])]], classes=classes)
    found = read_objects(f"modelnet{classes}_dat", tmp_path, "test")
    assert found.points.shape == (3, 20, 3) and found.labels.tolist() == [2, 0, 9]
    assert len(found.classes) == classes
    np.testing.assert_allclose(found.points.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=2).max(1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([[np.zeros((4, 3))], []], "has 1 objects and 0 labels"),
        ({"points": 1}, "cannot be read as two lists"),
        ([[np.zeros((4, 3)), np.zeros((5, 3))], [0, 0]], "all with the same number of them"),
        (print, "cannot be read as two lists"),
    ],
)
def test_a_wrong_cache_is_named(tmp_path, content, message):
    path = write_dat(tmp_path, content)
    with pytest.raises(ValueError) as refused:
        read_objects("modelnet40_dat", tmp_path, "test")
    assert str(path) in str(refused.value) and message in str(refused.value)


def test_meshes_give_even_points_with_y_up(tmp_path):
    for name in ("table", "bed"):
        (tmp_path / name / "test").mkdir(parents=True)
    (tmp_path / "table" / "test" / "table_1.off").write_text(BOX)
    (tmp_path / "bed" / "test" / "bed_1.off").write_text(BOX.replace("OFF\n", "OFF"))
    found = read_modelnet_off(tmp_path, "test", 2)
    assert found.classes == ("bed", "table") and found.labels.tolist() == [0, 1]
    extent = np.ptp(found.points[0], axis=0)
    np.testing.assert_allclose(extent / extent[0], (1, 4, 2), rtol=0.02)  # x, up, and -y
    height = found.points[0][:, 1]
    ends = np.minimum(height - height.min(), height.max() - height) < 1e-3 * extent[1]
    assert ends.mean() == pytest.approx(4 / 28, abs=0.02)  # by their share of the area
    again = read_modelnet_off(tmp_path, "test", 2)
    np.testing.assert_array_equal(again.points, found.points)
    with pytest.raises(ValueError, match="has 2 folders with 'test' in them, expected 40"):
        read_objects("modelnet40_off", tmp_path, "test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PLY", "does not begin with OFF"),
        ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1", "cannot be read as a mesh"),
        ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7", "cannot be read as a mesh"),
        ("OFF\n3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2", "has no area"),
    ],
)
def test_a_wrong_mesh_is_named(tmp_path, text, message):
    path = tmp_path / "chair.off"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        read_off(path)
    assert str(path) in str(refused.value)


def test_modelnet10_has_the_published_weight_of_words():
    benchmark = benchmark_of("modelnet10_dat")
    assert benchmark is Benchmark.MODELNET10 and benchmark.modelnet
    assert ReCon.word_options(benchmark) == {"text_ratio": 0.20}
    assert ReCon.word_options(Benchmark.MODELNET40) == {}  # 0.25, the default
