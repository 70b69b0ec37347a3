# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point cloud files as other programs write them, and as disks and networks leave them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from concerto_ros.sensors.cloud_files import read_cloud_file
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.ply import read_ply

UTM = np.array([500_000.0, 4_600_000.0, 300.0])
POINTS = np.random.default_rng(0).uniform(-2, 2, (60, 3))
RGB = np.random.default_rng(1).integers(0, 256, (60, 3), dtype=np.uint8)
THREE = "1 2 3\n4 5 6\n7 8 9\n"


def saved(tmp_path, name: str, content: str | bytes):
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1") if isinstance(content, str) else content)
    return path


def read(tmp_path, name: str, content: str | bytes):
    return read_cloud_file(saved(tmp_path, name, content)).frame


def refused(path, text: str, reason: str = "malformed") -> None:
    with pytest.raises(InputError, match=text) as error:
        read_cloud_file(path)
    assert str(path) in str(error.value) and error.value.reason == reason


# .ply ------------------------------------------------------------------------------------------

XYZ = "property float x\nproperty float y\nproperty float z\n"
VERTICES = "element vertex 2\n" + XYZ
HEAD = "ply\nformat ascii 1.0\n"
BODY = "end_header\n1 2 3\n4 5 6\n"
COLORS = "property uchar {0}red\nproperty uchar {0}green\nproperty uchar {0}blue\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + VERTICES + BODY,
        HEAD + "comment " + "x" * 70_000 + "\n" + VERTICES + BODY,
        HEAD + "comment\nobj_info\ncomment gr\xfc\xdfe end_header\n" + VERTICES + BODY,
        HEAD + VERTICES + "end_header\n\n1 2 3\n\n4 5 6\n",
        HEAD + VERTICES + "property list uchar int view\nend_header\n1 2 3 2 5 6\n4 5 6 0\n",
        HEAD + "element vertex 2\nproperty list uint double a\n" + XYZ + "end_header\n"
        "2 .5 .5 1 2 3\n0 4 5 6\n",
        HEAD + "element face 1\nproperty list uchar int vertex_indices\n" + VERTICES
        + "end_header\n3 0 1 1\n1 2 3\n4 5 6\n",
        HEAD + "element camera 1\nproperty float f\nelement none 0\n" + VERTICES
        + "end_header\n9\n1 2 3\n4 5 6\n",
        HEAD + VERTICES.upper().replace("ELEMENT VERTEX", "element Vertex")
        .replace("PROPERTY FLOAT", "property float") + BODY,
        (HEAD + VERTICES + BODY).replace("\n", "\r"),
        (HEAD + VERTICES + BODY).replace("\n", "\r\n"),
        HEAD + VERTICES + "end_header\n1\t2  3 \n  4 5 6",
        HEAD + VERTICES + "property float x\nend_header\n1 2 3 9\n4 5 6 9\n",
    ],
)  # fmt: skip
def test_ply_headers_of_many_programs(tmp_path, text):
    frame = read(tmp_path, "h.ply", text)
    np.testing.assert_array_equal(frame.points, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("prefix", ["", "diffuse_", "scalar_"])
def test_ply_colours_of_many_names(tmp_path, prefix):
    body = "end_header\n1 2 3 10 20 30\n4 5 6 1 1 1\n"
    frame = read(tmp_path, "c.ply", HEAD + VERTICES + COLORS.format(prefix) + body)
    np.testing.assert_array_equal(frame.colors, [[10, 20, 30], [1, 1, 1]])


def test_fractions_declared_as_bytes_are_no_black(tmp_path):
    body = "end_header\n1 2 3 1 0.5 0\n4 5 6 0.2 0.2 0.2\n"
    frame = read(tmp_path, "c.ply", HEAD + VERTICES + COLORS.format("") + body)
    np.testing.assert_array_equal(frame.colors, [[255, 128, 0], [51, 51, 51]])


@pytest.mark.parametrize(
    "word",
    ["nan", "-nan", "NaN", "inf", "-inf", "-nan(ind)", "nan(ind)", "nan(snan)", "1.#QNAN",
     "-1.#IND00", "1.#INF", "1.#J", "-1.#R"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["n.ply", "n.pcd", "n.xyz"])
def test_missing_points_as_every_printf_writes_them(tmp_path, word, name):
    rows = f"{word} {word} {word}\n1 2 3\n4 5 6\n"
    head = {
        ".ply": HEAD + "element vertex 3\n" + XYZ + "end_header\n",
        ".pcd": pcd_header("x y z", 3),
        ".xyz": "",
    }[name[-4:]]
    cloud = read_cloud_file(saved(tmp_path, name, head + rows))
    np.testing.assert_array_equal(cloud.frame.points, [[1, 2, 3], [4, 5, 6]])
    assert cloud.not_finite == 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("lengths", [(3, 3, 3), (3, 4, 0)])
def test_binary_ply_with_lists_before_and_inside_the_vertices(tmp_path, order, lengths):
    kind = "little" if order == "<" else "big"
    header = (
        f"ply\nformat binary_{kind}_endian 1.0\nelement face 3\n"
        "property list uchar int vertex_indices\nproperty uchar flags\n"
        f"element vertex 3\n{XYZ}property list ushort float view\nproperty uchar red\n"
        "property uchar green\nproperty uchar blue\nend_header\n"
    )
    body = b"".join(struct.pack(f"{order}B{n}iB", n, *range(n), 7) for n in lengths)
    for i, n in enumerate(lengths):
        body += struct.pack(f"{order}3fH{n}f3B", i, 10, 20, n, *range(n), 9, i, 255)
    frame = read(tmp_path, "lists.ply", header.encode() + body)
    np.testing.assert_array_equal(frame.points, [[i, 10, 20] for i in range(3)])
    np.testing.assert_array_equal(frame.colors, [[9, i, 255] for i in range(3)])
    refused(saved(tmp_path, "cut.ply", header.encode() + body[:-1]), "got 2 .*vertex, expected 3")


def test_a_binary_body_that_begins_like_the_end_of_a_line(tmp_path):
    header = "ply\rformat binary_little_endian 1.0\relement vertex 1\rproperty uchar x\r"
    header += "property uchar y\rproperty uchar z\rend_header\r"
    frame = read(tmp_path, "cr.ply", header.encode() + b"\n\x01\x02")
    np.testing.assert_array_equal(frame.points, [[10, 1, 2]])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD + VERTICES + "end_header\n1 2 3\n", "got 1 .*vertex, expected 2"),
        (HEAD + VERTICES + "end_header\n1 2 3\n4 5\n", "row 2 of 2: got 2 numbers, expected 3"),
        (HEAD + VERTICES + "end_header\n1 2 3\nfour 5 6\n", "row 2 of 2: got 'four'"),
        (HEAD + VERTICES + "end_header\n1,2,3\n4,5,6\n", "row 1 of 2: got '1,2,3'"),
        (HEAD + VERTICES, "no line end_header"),
        (HEAD + "element point 2\n" + XYZ + BODY, "got point, expected vertex"),
        (HEAD.replace("ascii", "utf8") + VERTICES + BODY, "format utf8"),
        (HEAD + VERTICES.replace("float x", "half x") + BODY, "got 'half x'"),
        (HEAD + "element vertex 99999999999999\n" + XYZ + BODY, "expected 99999999999999"),
    ],
)
def test_ply_that_contradicts_itself(tmp_path, text, why):
    refused(saved(tmp_path, "bad.ply", text), why)


def test_georeferenced_ply_keeps_its_digits_whatever_type_it_declares(tmp_path):
    body = "end_header\n500000.123 4649776.457 301.5\n500001.123 4649777.457 302.5\n"
    cloud = read_cloud_file(saved(tmp_path, "utm.ply", HEAD + VERTICES + body))
    expected = [[500000.123, 4649776.457, 301.5], [500001.123, 4649777.457, 302.5]]
    np.testing.assert_array_equal(cloud.points, expected)
    np.testing.assert_allclose(cloud.frame.points + cloud.offset, expected, atol=1e-6)


# .pcd ------------------------------------------------------------------------------------------


def pcd_header(fields, count, data="ascii", size="", kind="", counts="", extra="") -> str:
    n = len(fields.split())
    return (
        f"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS {fields}\n"
        f"SIZE {size or ' '.join('4' * n)}\nTYPE {kind or ' '.join('F' * n)}\n"
        f"COUNT {counts or ' '.join('1' * n)}\nWIDTH {count}\nHEIGHT 1\n{extra}POINTS {count}\n"
        f"DATA {data}\n"
    )


def test_padding_of_pcl_velodyne_and_ouster(tmp_path):
    """PDAL#3254, pcl#4623: several fields named _, of several or of no elements."""
    header = pcd_header(
        "x y z _ intensity ring _ noise _", 500, "binary",
        "4 4 4 1 4 2 1 2 1", "F F F U F U U U U", "1 1 1 4 1 1 0 1 15",
    )  # fmt: skip
    rows = b"".join(struct.pack("<3f4xfHH15x", i, 1, 2, 7, i % 32, 0) for i in range(500))
    frame = read(tmp_path, "ouster.pcd", header.encode() + rows)
    np.testing.assert_array_equal(frame.points, [[i, 1, 2] for i in range(500)])
    np.testing.assert_array_equal(frame.intensity, np.full(500, 7))


@pytest.mark.parametrize("names", ["red green blue", "r g b", "Red Green Blue"])
def test_pcd_with_three_colour_fields(tmp_path, names):
    header = pcd_header(f"x y z {names}", 2, size="4 4 4 1 1 1", kind="F F F U U U")
    frame = read(tmp_path, "c.pcd", header + "1 2 3 10 20 30\n4 5 6 40 50 60\n")
    np.testing.assert_array_equal(frame.colors, [[10, 20, 30], [40, 50, 60]])


@pytest.mark.parametrize("kind", ["F", "U", "I"])
@pytest.mark.parametrize("name", ["rgb", "rgba"])
@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_pcd_with_packed_colours(tmp_path, kind, name, data):
    packed = (RGB.astype(np.uint32) << [16, 8, 0]).sum(1).astype(np.uint32) | 0x80000000
    header = pcd_header(f"x y z {name}", 60, data, kind=f"F F F {kind}")
    colors = packed.view({"F": "<f4", "U": "<u4", "I": "<i4"}[kind])
    columns = [*POINTS.astype("<f4").T, colors]
    if data == "ascii":
        rows = zip(*(c.tolist() for c in columns), strict=True)
        body = "".join(" ".join(repr(v) for v in row) + "\n" for row in rows).encode()
    elif data == "binary":
        body = np.rec.fromarrays(columns).tobytes()
    else:
        lzf = pytest.importorskip("lzf")
        raw = b"".join(c.tobytes() for c in columns)
        compressed = lzf.compress(raw, 2 * len(raw))
        body = struct.pack("<II", len(compressed), len(raw)) + compressed
        refused(
            saved(tmp_path, "cut.pcd", header.encode() + body[:-9]),
            f"got {len(compressed) - 9} compressed bytes, expected {len(compressed)}",
        )
    frame = read(tmp_path, "p.pcd", header.encode() + body)
    np.testing.assert_array_equal(frame.points, POINTS.astype(np.float32))
    np.testing.assert_array_equal(frame.colors, RGB)


def test_pcd_fields_of_several_elements_and_names_with_punctuation(tmp_path):
    fields = "x y z histogram scalar_C2C:distance rgb"
    header = pcd_header(fields, 2, "binary", kind="F F F F F U", counts="1 1 1 33 1 1")
    rows = b"".join(struct.pack("<3f33ffI", i, 2, 3, *range(33), 1, 0xFF0A141E) for i in (0, 1))
    frame = read(tmp_path, "h.pcd", header.encode() + rows)
    np.testing.assert_array_equal(frame.points, [[0, 2, 3], [1, 2, 3]])
    np.testing.assert_array_equal(frame.colors, [[10, 20, 30]] * 2)


@pytest.mark.parametrize(
    "change",
    [
        ("VERSION 0.7", "VERSION .5"),
        ("COUNT 1 1 1\n", ""),
        ("POINTS 3\n", ""),
        ("WIDTH 3\nHEIGHT 1\n", ""),
        ("FIELDS", "COLUMNS"),
        ("DATA ascii", "data ASCII"),
        ("\n", "\r\n"),
        ("# .PCD", "# " + "\xfc" * 3000),
    ],
)
def test_pcd_headers_of_old_and_careless_programs(tmp_path, change):
    frame = read(tmp_path, "old.pcd", (pcd_header("x y z", 3) + THREE).replace(*change))
    np.testing.assert_array_equal(frame.points, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])


def test_a_viewpoint_is_where_the_sensor_was(tmp_path):
    header = pcd_header("x y z", 3, extra="VIEWPOINT 1 2 3.5 1 0 0 0\n")
    cloud = read_cloud_file(saved(tmp_path, "v.pcd", header + THREE))
    np.testing.assert_array_equal(cloud.sensor, [1, 2, 3.5])


def test_the_default_viewpoint_is_nowhere_near_a_georeferenced_cloud(tmp_path):
    """python-pcl#319: PDAL writes doubles under its own names."""
    names = "X Y Z Intensity Classification Red Green Blue"
    header = pcd_header(names, 60, "binary", " ".join("8" * 8), extra="VIEWPOINT 0 0 0 1 0 0 0\n")
    rows = np.c_[POINTS + UTM, np.ones((60, 2)), 257.0 * RGB].astype("<f8")
    cloud = read_cloud_file(saved(tmp_path, "pdal.pcd", header.encode() + rows.tobytes()))
    assert cloud.sensor is None
    np.testing.assert_array_equal(cloud.points, POINTS + UTM)
    np.testing.assert_array_equal(cloud.frame.colors, RGB)


def test_packed_colours_that_ascii_lost_are_reported(tmp_path, caplog):
    header = pcd_header("x y z rgb", 2)
    assert len(read(tmp_path, "nan.pcd", header + "1 2 3 nan\n4 5 6 nan\n")) == 2
    assert "rgb: every packed colour is NaN" in caplog.text


BINARY = pcd_header("x y z", 400, "binary")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pcd_header("x y z", 400) + THREE, "got 3 rows, expected 400"),
        (pcd_header("x y z", 2) + THREE, "got 3 rows, expected 2"),
        (pcd_header("x y z", 3) + THREE.replace(" ", ","), "row 1 of 3: got '1,2,3'"),
        (pcd_header("x y z", 3) + "1 2\n" * 3, "row 1 of 3: got 2 numbers, expected 3"),
        (pcd_header("x y z", 3) + "a b c\n" * 3, "row 1 of 3: got 'a'"),
        (pcd_header("x y z", 3, "hex") + THREE, "DATA: got 'hex'"),
        (pcd_header("x y z", 3).replace("DATA ascii\n", "") + THREE, "no line 'DATA ascii'"),
        (BINARY + "\0" * 12 * 200, "got 200 points, expected 400"),
        (BINARY + "\0" * 1999, "got 166 points, expected 400"),
        (BINARY + "\0" * 12 * 401, "got 401 points, expected 400"),
        (
            BINARY.replace("WIDTH 400", "WIDTH 390") + "\0" * 99,
            "got 8 points, expected 400",
        ),
        (BINARY.replace("SIZE 4 4 4", "SIZE 4 4"), "SIZE: got 2 entries, expected 3"),
        (BINARY.replace("SIZE 4 4 4", "SIZE 4 4 3"), "got F of 3 bytes"),
        (BINARY.replace("FIELDS x y z\n", ""), "no line FIELDS"),
        (pcd_header("x y z", 9, "binary_compressed") + "abc", "got 3 bytes after the header"),
        (
            pcd_header("x y z", 9, "binary_compressed") + "\3\0\0\0\x6c\0\0\0abc",
            "damaged|decompressed",
        ),
        (
            pcd_header("x y z", 10**8, "binary_compressed") + "\3\0\0\0\x00\x8c\x86\x47abc",
            "got 3 compressed bytes, too few for 1200000000",
        ),
    ],
)
def test_pcd_whose_header_and_data_do_not_agree(tmp_path, content, why):
    refused(saved(tmp_path, "bad.pcd", content), why)


# Text ------------------------------------------------------------------------------------------

COLORED = "1 2 3 10 20 30\n4 5 6 40 50 60\n7 8 9 255 0 1\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xyz", THREE),
        ("b.txt", COLORED),
        ("c.csv", "x,y,z,r,g,b\n" + COLORED.replace(" ", ",")),
        ("d.csv", '"id","X [m]","Y [m]","Z [m]"\r\n0,1,2,3\r\n1,4,5,6\r\n2,7,8,9\r\n'),
        ("e.csv", "X;Y;Z\n1,0;2,0;3\n4;5;6,0\n7;8;9\n"),
        ("f.asc", "//X Y Z R G B Nx Ny Nz\n" + COLORED.replace("\n", " 0 0 1\n")),
        ("g.pts", "3\n" + THREE),
        ("h.pts", "2\n1 2 3\n4 5 6\n1\n7 8 9\n"),
        ("i.txt", "# written by x, y and z in metres\n% remark\n\n" + THREE),
        ("j.txt", "# x y z\n" + THREE),
        ("k.csv", "\xef\xbb\xbfx,y,z,intensity,\n1,2,3,,\n4,5,6,1,\n7,8,9,2,\n"),
        ("l.xyz", THREE.replace("\n", "\r")),
        ("m.csv", "easting,northing,elevation\n" + THREE.replace(" ", ", ")),
        ("n.txt", THREE.replace(" ", "\t").replace("\n", "\t\n")),
        ("o.txt", THREE.encode("utf-16")),
        ("p.xyz", "3\n" + THREE),
    ],
)
def test_text_of_many_programs(tmp_path, name, text):
    frame = read(tmp_path, name, text)
    np.testing.assert_array_equal(frame.points, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    if "10" in str(text):
        np.testing.assert_array_equal(frame.colors, [[10, 20, 30], [40, 50, 60], [255, 0, 1]])


def test_columns_without_names_are_told_by_their_number_and_values(tmp_path):
    pts = read(tmp_path, "leica.pts", "2\n1 2 3 -900 10 20 30\n4 5 6 12 40 50 60\n")
    np.testing.assert_array_equal(pts.colors, [[10, 20, 30], [40, 50, 60]])
    np.testing.assert_array_equal(pts.intensity, [-900, 12])
    normals = read(tmp_path, "modelnet.txt", "1,2,3,0,0,1\n4,5,6,0.6,0.8,0\n")
    np.testing.assert_allclose(normals.normals, [[0, 0, 1], [0.6, 0.8, 0]], atol=1e-6)
    assert normals.colors is None
    fractions = read(tmp_path, "open3d.txt", "1 2 3 0.5 0.25 1\n4 5 6 0.2 0.2 0.2\n")
    np.testing.assert_array_equal(fractions.colors, [[128, 64, 255], [51, 51, 51]])


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.pts", "4\n" + THREE, "got 3 rows, expected 4 as counted"),
        ("b.xyz", "C 0 0 0\nH 1 1 1\n", "row 1 of 2: got 'C'"),
        ("c.txt", "1 2 3 10 20 30 4\n" * 3, "got 7 columns whose meaning is not clear"),
        ("d.txt", "1 2\n3 4\n", "got 2 columns"),
        ("e.txt", "", "no row of numbers"),
        ("f.csv", "x,y,z\n1,2,3\n4,5\n", "row 2 of 2: got 2 numbers, expected 3"),
        ("g.txt", b"\0\1\2\3" * 9, "binary data"),
        ("h.txt", "1 2 3 -7 12 900\n4 5 6 3 2 1\n", "got 6 columns whose meaning"),
    ],
)
def test_text_that_is_no_cloud_is_refused_with_a_reason(tmp_path, name, text, why):
    refused(saved(tmp_path, name, text), why)


def test_a_table_without_coordinates_names_its_columns(tmp_path):
    path = saved(tmp_path, "gps.csv", "lon,lat,alt\n8,47,3\n")
    refused(path, "got lon, lat, alt, expected x, y and z", "no_xyz")


# Arrays ----------------------------------------------------------------------------------------


def test_npy_npz_and_laser_scans(tmp_path):
    scan = np.c_[POINTS, np.linspace(0, 1, 60)].astype("<f4")
    np.save(tmp_path / "a.npy", POINTS)
    np.save(tmp_path / "b.npy", np.c_[POINTS, RGB])
    np.savez(tmp_path / "c.npz", POINTS)
    scan.tofile(tmp_path / "d.bin")
    np.c_[scan, np.arange(60) % 32].astype("<f4").tofile(tmp_path / "e.pcd.bin")
    for name in ("a.npy", "b.npy", "c.npz", "d.bin", "e.pcd.bin"):
        frame = read_cloud_file(tmp_path / name).frame
        np.testing.assert_allclose(frame.points, POINTS, atol=1e-6)
        assert (frame.intensity is not None) == name.endswith(".bin")
        assert (frame.colors is not None) == (name == "b.npy")


def test_numpy_files_under_each_others_names_and_with_metadata(tmp_path):
    np.savez(tmp_path / "a.npz", points=POINTS, meta=np.array({"sensor": "OS-0"}, object))
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npz").read_bytes())
    np.save(tmp_path / "c.npy", POINTS)
    (tmp_path / "d.npz").write_bytes((tmp_path / "c.npy").read_bytes())
    for name in ("a.npz", "b.npy", "d.npz"):
        np.testing.assert_array_equal(read_cloud_file(tmp_path / name).points, POINTS)


def test_structured_arrays_have_the_names_of_their_fields(tmp_path):
    array = np.zeros(2, [("X", "f8"), ("Y", "f8"), ("Z", "f8"), ("rgb", "u4")])
    array["X"], array["rgb"] = [5, 6], 0x0A141E
    np.save(tmp_path / "s.npy", array)
    frame = read_cloud_file(tmp_path / "s.npy").frame
    np.testing.assert_array_equal(frame.points, [[5, 0, 0], [6, 0, 0]])
    np.testing.assert_array_equal(frame.colors, [[10, 20, 30]] * 2)


def test_arrays_that_are_no_cloud_are_refused_with_a_reason(tmp_path):
    np.save(tmp_path / "t.npy", POINTS.T)
    refused(tmp_path / "t.npy", "look transposed")
    np.savez(tmp_path / "t.npz", points=POINTS.T)
    refused(tmp_path / "t.npz", "looks transposed")
    np.save(tmp_path / "image.npy", np.zeros((4, 4, 3)))
    refused(tmp_path / "image.npy", r"of shape \(4, 4, 3\), expected numbers of shape \(N, 3\)")
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    refused(tmp_path / "objects.npy", "holds Python objects")
    saved(tmp_path, "cut.npy", (tmp_path / "image.npy").read_bytes()[:-5])
    refused(tmp_path / "cut.npy", "not a readable .npy")
    np.savez(tmp_path / "objects.npz", points=np.array([{}], object), colors=RGB)
    refused(tmp_path / "objects.npz", "got Python objects in points")
    POINTS.tofile(tmp_path / "double.bin")
    refused(tmp_path / "double.bin", "not a LiDAR scan")
    refused(saved(tmp_path, "odd.bin", b"\0" * 35), "got 35 bytes, expected 16 or 20")


# Surveys and meshes ----------------------------------------------------------------------------


def las(path, colors: np.ndarray | None, point_format=7, **dimensions):
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=point_format, version="1.4")
    header.scales, header.offsets = [0.0001] * 3, UTM
    data = laspy.LasData(header)
    data.x, data.y, data.z = (POINTS + UTM).T
    if colors is not None:
        data.red, data.green, data.blue = colors.T
    for name, values in dimensions.items():
        data[name] = values
    data.write(path)
    return path


@pytest.mark.parametrize("suffix", [".las", ".laz"])
@pytest.mark.parametrize("factor", [1, 257])
def test_las_with_8_and_16_bit_colours(tmp_path, suffix, factor):
    path = las(tmp_path / f"f{suffix}", RGB.astype(np.uint16) * factor, intensity=np.arange(60))
    cloud = read_cloud_file(path)
    np.testing.assert_allclose(cloud.points, POINTS + UTM, atol=1e-4)
    np.testing.assert_array_equal(cloud.frame.colors, RGB)
    np.testing.assert_array_equal(cloud.frame.intensity, np.arange(60))
    content = path.read_bytes()
    refused(saved(tmp_path, f"cut{suffix}", content[: len(content) - 300]), "expected 60")


def test_a_laz_with_a_damaged_table_of_chunks_does_not_end_the_process(tmp_path):
    path = las(tmp_path / "f.laz", RGB.astype(np.uint16))
    content = bytearray(path.read_bytes())
    first = int.from_bytes(content[96:100], "little")
    table = int.from_bytes(content[first : first + 8], "little")
    content[table + 4 : table + 8] = b"\xff\xff\xff\x7f"
    refused(saved(tmp_path, "chunks.laz", bytes(content)), "2147483647 chunks")


def test_a_las_that_declares_billions_of_records_is_refused_at_once(tmp_path):
    content = bytearray(las(tmp_path / "f.las", None).read_bytes())
    for first in (100, 243):
        damaged = content[:first] + b"\xff\xff\xff\xff" + content[first + 4 :]
        refused(saved(tmp_path, "records.las", bytes(damaged)), "room for 42949672")


def test_las_whose_colours_were_never_set_has_none(tmp_path):
    assert read_cloud_file(las(tmp_path / "f.las", None)).frame.colors is None


def test_e57_scans_in_their_common_frame(tmp_path):
    pye57 = pytest.importorskip("pye57")
    channels = ("colorRed", "colorGreen", "colorBlue")
    scan = {f"cartesian{axis}": POINTS[:, i] for i, axis in enumerate("XYZ")}
    scan |= {name: RGB[:, i].copy() for i, name in enumerate(channels)}
    upright = np.array([1.0, 0, 0, 0])
    for count, name in ((1, "one.e57"), (2, "two.e57")):
        file = pye57.E57(str(tmp_path / name), mode="w")
        for i in range(count):
            file.write_scan_raw(scan, translation=np.array([1.0, 2, 3 + i]), rotation=upright)
        file.close()
    one, two = (read_cloud_file(tmp_path / name) for name in ("one.e57", "two.e57"))
    np.testing.assert_allclose(one.points, POINTS + [1, 2, 3], atol=1e-6)
    np.testing.assert_array_equal(one.frame.colors, RGB)
    np.testing.assert_array_equal(one.sensor, [1, 2, 3])
    assert len(two.frame) == 120 and two.sensor is None
    content = (tmp_path / "one.e57").read_bytes()
    refused(saved(tmp_path, "cut.e57", content[: len(content) // 2]), "not a readable .e57")


def test_vertices_of_meshes(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    box = trimesh.creation.box((2, 4, 6))
    box.visual.vertex_colors = np.tile([200, 100, 1, 255], (8, 1)).astype(np.uint8)
    for suffix in ("obj", "glb", "stl", "off"):
        box.export(tmp_path / f"box.{suffix}")
        frame = read_cloud_file(tmp_path / f"box.{suffix}").frame
        # glTF is y up by its standard: read with z up, its z extent is that of y.
        extent = [2, 6, 4] if suffix == "glb" else [2, 4, 6]
        np.testing.assert_allclose(np.ptp(frame.points, axis=0), extent, atol=1e-6)
        if suffix in ("obj", "glb"):
            np.testing.assert_array_equal(frame.colors, [[200, 100, 1]] * 8)
    points = read(tmp_path, "points.obj", "v 1 2 3 0.8 0.4 0\nv 4 5 6 1 1 1\n")
    np.testing.assert_array_equal(points.colors, [[204, 102, 0], [255, 255, 255]])
    stl = (tmp_path / "box.stl").read_bytes()
    refused(saved(tmp_path, "cut.stl", stl[:-60]), "got 10 triangles, expected 12")
    glb = (tmp_path / "box.glb").read_bytes()
    refused(saved(tmp_path, "cut.glb", glb[:-60]), "not a readable .glb")
    refused(saved(tmp_path, "c.off", "COFF\n1 0 0\n1 2 3 9 9 9\n"), "got 'COFF'", "unsupported")


@pytest.mark.parametrize(
    ("module", "name"), [("laspy", "f.laz"), ("pye57", "f.e57"), ("trimesh", "f.obj")]
)
def test_a_missing_library_is_named(tmp_path, monkeypatch, module, name):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    refused(saved(tmp_path, name, b"x"), f"pip install '?{module}", "unsupported")


def test_read_ply_returns_every_number_of_a_vertex(tmp_path):
    text = HEAD + VERTICES + "property int label\nend_header\n1 2 3 -1\n4 5 6 7\n"
    np.testing.assert_array_equal(read_ply(saved(tmp_path, "l.ply", text))["label"], [-1, 7])


# Clouds far from the origin --------------------------------------------------------------------


@pytest.mark.parametrize(
    "strays", [[[0, 0, 0]], [[0, 0, 0]] * 9, [[-60_000, 0, 0]], [[1e7, -1e7, 1e5], [0, 0, 0]]]
)
def test_strays_do_not_cost_the_others_their_precision(tmp_path, strays):
    far = POINTS + UTM + 0.123
    np.savez(tmp_path / "utm.npz", points=np.vstack([strays, far]))
    cloud = read_cloud_file(tmp_path / "utm.npz")
    np.testing.assert_array_equal(cloud.points, np.vstack([strays, far]))
    back = cloud.frame.points.astype(np.float64) + cloud.offset
    np.testing.assert_allclose(back[len(strays) :], far, atol=1e-5)
    np.testing.assert_array_equal(cloud.offset, np.rint(cloud.offset))


@pytest.mark.parametrize("name", ["scans", "scan.ply"])
def test_a_folder_is_refused_as_one(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name}: got a folder, expected a file in it"):
        read_cloud_file(tmp_path / name)
