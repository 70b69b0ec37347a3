# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds as files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA

from concerto_ros.sensors.cloud_files import read_cloud, read_cloud_file
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.ply import write_labelled_ply

POINTS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
RGB = np.random.default_rng(1).integers(0, 256, (50, 3), dtype=np.uint8)


def reason(path) -> str:
    with pytest.raises(InputError) as error:
        read_cloud(path)
    assert str(path) in str(error.value)
    return error.value.reason


def test_a_labelled_ply_is_read_back_as_written(tmp_path):
    path = tmp_path / "room.ply"
    write_labelled_ply(path, POINTS, RGB, comment="demo (untrained)")
    frame = read_cloud(path)
    np.testing.assert_array_equal(frame.points, POINTS)
    np.testing.assert_array_equal(frame.colors, RGB)
    assert frame.frame_id == "room" and frame.normals is None and frame.intensity is None
    assert b"comment demo (untrained)\n" in path.read_bytes()


def test_label_and_confidence_are_ply_properties(tmp_path):
    import open3d as o3d

    path = tmp_path / "room.ply"
    label, confidence = np.arange(50), np.linspace(0, 1, 50, dtype=np.float32)
    write_labelled_ply(
        path, POINTS.astype(np.float64), RGB, label, confidence, comment=["a", "b\nc"]
    )
    cloud = o3d.t.io.read_point_cloud(str(path))
    np.testing.assert_array_equal(cloud.point["label"].numpy()[:, 0], label)
    np.testing.assert_array_equal(cloud.point["confidence"].numpy()[:, 0], confidence)
    np.testing.assert_array_equal(cloud.point["positions"].numpy(), POINTS.astype(np.float64))


def test_rows_of_a_ply_must_agree(tmp_path):
    with pytest.raises(ValueError, match="label: got 3 rows, expected 50"):
        write_labelled_ply(tmp_path / "x.ply", POINTS, RGB, np.zeros(3, int))


def test_an_empty_ply_can_be_written_but_holds_no_point(tmp_path):
    path = tmp_path / "none.ply"
    write_labelled_ply(path, POINTS[:0], RGB[:0])
    assert reason(path) == "empty"


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_formats(tmp_path, kind):
    """Properties in any order and of any type, other elements after the vertices."""
    path = tmp_path / "scan.ply"
    header = (
        f"ply\nformat {kind} 1.0\nobj_info x\nelement vertex 2\nproperty double z\n"
        "property float y\nproperty short x\nproperty float nx\nproperty float ny\n"
        "property float nz\nproperty ushort intensity\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    )
    order = ">" if "big" in kind else "<"
    columns = {"z": "f8", "y": "f4", "x": "i2", "nx": "f4", "ny": "f4", "nz": "f4", "i": "u2"}
    types = [(name, order + kind) for name, kind in columns.items()]
    vertices = np.array([(3, 2, 1, 0, 0, 2, 9), (6, 5, -4, 0, 0, 0, 300)], types)
    if kind == "ascii":
        body = "\n".join(" ".join(str(v) for v in row) for row in vertices.tolist()).encode()
        body += b"\n3 0 1 1\n"
    else:
        body = vertices.tobytes() + b"\x03" + bytes(12)
    path.write_bytes(header.encode() + body)
    frame = read_cloud(path)
    np.testing.assert_array_equal(frame.points, [[1, 2, 3], [-4, 5, 6]])
    np.testing.assert_array_equal(frame.normals, [[0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(frame.intensity, [9, 300])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_ply_gives_points_or_an_input_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("ply") / "x.ply"
    write_labelled_ply(path, POINTS[:4], RGB[:4], np.arange(4))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        assert len(read_cloud(path)) > 0
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("points", ["points", "xyz", "coord"])
@pytest.mark.parametrize("colors", ["colors", "rgb", "color"])
def test_npz_keys(tmp_path, points, colors):
    path = tmp_path / "scan.npz"
    normals = 2 * np.eye(3)[np.arange(50) % 3]
    values = {points: POINTS, colors: RGB / 255, "normal": normals, "reflectivity": np.arange(50)}
    np.savez(path, **values)
    frame = read_cloud(path)
    np.testing.assert_array_equal(frame.points, POINTS)
    np.testing.assert_array_equal(frame.colors, RGB)
    np.testing.assert_allclose(frame.normals, normals / 2)
    np.testing.assert_array_equal(frame.intensity, np.arange(50, dtype=np.float32))


def test_points_that_are_not_finite_are_dropped_from_every_array(tmp_path):
    path = tmp_path / "scan.npz"
    points = POINTS.copy()
    points[[0, 7], [1, 2]] = np.nan, np.inf
    np.savez(path, xyz=points, rgb=RGB)
    frame = read_cloud(path)
    keep = np.setdiff1d(np.arange(50), [0, 7])
    np.testing.assert_array_equal(frame.points, POINTS[keep])
    np.testing.assert_array_equal(frame.colors, RGB[keep])


def test_georeferenced_points_keep_their_millimetres(tmp_path):
    path = tmp_path / "utm.npz"
    far = POINTS.astype(np.float64) + (500_000.0, 5_400_000.0, 300.0)
    np.savez(path, xyz=far)
    cloud = read_cloud_file(path)
    back = cloud.frame.points.astype(np.float64) + cloud.offset
    np.testing.assert_allclose(back, far, atol=1e-5)


def test_a_pcd_gives_the_sensor_position(tmp_path):
    path = tmp_path / "scan.pcd"
    header = "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 2\nHEIGHT 1\n"
    path.write_text(header + "VIEWPOINT 1 2 3.5 1 0 0 0\nPOINTS 2\nDATA ascii\n1 2 3\n4 5 6\n")
    frame = read_cloud(path)
    np.testing.assert_array_equal(frame.origin, [1, 2, 3.5])
    np.testing.assert_array_equal(frame.points, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npz"])
@pytest.mark.parametrize("content", [b"", b"ply\nrubbish", b"\0" * 200])
def test_rubbish_is_malformed(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    assert reason(path) == "malformed"


def test_a_ply_cut_short_is_malformed(tmp_path):
    path = tmp_path / "cut.ply"
    write_labelled_ply(path, POINTS, RGB)
    path.write_bytes(path.read_bytes()[:-100])
    assert reason(path) == "malformed"


def test_other_formats_and_missing_files_are_named(tmp_path):
    assert reason(tmp_path / "picture.tif") == "unsupported"
    with pytest.raises(FileNotFoundError, match=r"gone\.ply"):
        read_cloud(tmp_path / "gone.ply")


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"depth": POINTS}, "no_xyz"),
        ({"xyz": POINTS[:, :2]}, "malformed"),
        ({"xyz": POINTS, "rgb": RGB[:10]}, "malformed"),
        ({"xyz": np.array(["a", "b"])}, "malformed"),
        ({"xyz": np.array([[object()] * 3])}, "malformed"),
        ({"xyz": np.full((5, 3), np.nan)}, "empty"),
        ({"xyz": POINTS[:0]}, "empty"),
    ],
)
def test_npz_that_holds_no_cloud(tmp_path, arrays, expected):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    assert reason(path) == expected


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the recordings in ../shared/data")
def test_recorded_files():
    office = read_cloud(DATA / "pcd" / "office1.pcd")
    assert 200_000 < len(office) < 307_200
    assert office.colors.std() > 10 and 0.3 < office.points[:, 2].min() < 2
    ouster = read_cloud(DATA / "lidar_ouster" / "OS-0-32-U1_v2.2.0_1024x10_0.npz")
    assert len(ouster) == 21_631 and ouster.intensity.max() > 0
