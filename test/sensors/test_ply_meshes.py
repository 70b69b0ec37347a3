# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The triangles of .ply meshes, and normals from them."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.learning.data.formats.annotated_mesh import vertex_normals
from concerto_ros.sensors.cloud_files.ply import read_ply, read_ply_mesh
from concerto_ros.sensors.input_error import InputError

POINTS = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 1]], np.float32)
FACES = np.array([[0, 1, 2], [0, 3, 1]])


def mesh(path, form, *, faces=FACES, extra="", count=None):
    """A mesh whose faces have a flag before or after their list, where ``extra`` says so."""
    order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[form]
    flag = "property uchar flags\n"
    header = (
        f"ply\nformat {form} 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
        f"property float z\nelement face {len(faces) if count is None else count}\n"
        f"{flag if extra == 'before' else ''}property list uchar int vertex_indices\n"
        f"{flag if extra == 'after' else ''}end_header\n"
    )
    if not order:
        lines = [" ".join(map(str, row)) for row in POINTS.tolist()]
        for face in faces:
            numbers = [len(face), *face]
            numbers = [7, *numbers] if extra == "before" else numbers
            lines.append(" ".join(map(str, [*numbers, 7] if extra == "after" else numbers)))
        path.write_text(header + "\n".join(lines) + "\n")
        return path
    content = header.encode() + POINTS.astype(order + "f4").tobytes()
    for face in faces:
        record = bytes([len(face)]) + np.asarray(face, order + "i4").tobytes()
        record = b"\7" + record if extra == "before" else record
        content += record + b"\7" if extra == "after" else record
    path.write_bytes(content)
    return path


FORMS = ("ascii", "binary_little_endian", "binary_big_endian")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("extra", ["", "before", "after"])
def test_vertices_and_triangles_are_read(tmp_path, form, extra):
    path = mesh(tmp_path / "a.ply", form, extra=extra)
    vertices, faces = read_ply_mesh(path)
    np.testing.assert_array_equal(vertices, read_ply(path))
    np.testing.assert_array_equal(np.stack([vertices[a] for a in "xyz"], 1), POINTS)
    np.testing.assert_array_equal(faces, FACES)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_without_faces_has_no_triangles(tmp_path, form):
    vertices, faces = read_ply_mesh(mesh(tmp_path / "a.ply", form, faces=FACES[:0]))
    assert len(vertices) == 4 and faces.shape == (0, 3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("faces", "count", "fault"),
    [
        ([[0, 1, 2, 3], [0, 1, 2, 3]], None, "no triangles"),
        (FACES, 3, "cut short: got 2 entries of face, expected 3"),
    ],
)
def test_other_faces_are_refused_with_the_file(tmp_path, form, faces, count, fault):
    path = mesh(tmp_path / "a.ply", form, faces=faces, count=count)
    with pytest.raises(InputError, match=fault) as caught:
        read_ply_mesh(path)
    assert str(path) in str(caught.value)
    assert len(read_ply(path)) == 4  # its vertices are read all the same


def test_normals_of_vertices_are_those_of_their_faces_weighted_by_area():
    random = np.random.default_rng(0)
    points = random.normal(size=(30, 3)).astype(np.float32)
    faces = np.array([random.choice(28, 3, replace=False) for _ in range(60)])
    expected = np.zeros((30, 3))
    for face in faces:
        a, b, c = points[face].astype(float)
        for vertex in face:
            expected[vertex] += np.cross(b - a, c - a)
    length = np.linalg.norm(expected, axis=1, keepdims=True)
    expected = np.divide(expected, length, out=np.zeros_like(expected), where=length > 0)
    normals = vertex_normals(points, faces)
    np.testing.assert_allclose(normals, expected, atol=1e-6)
    assert (normals[28:] == 0).all()  # without a face
