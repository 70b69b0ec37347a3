# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Posed RGB-D images become a point cloud, and each image knows which points its pixels see."""

from __future__ import annotations

import shutil

import bag_recordings as bags
import cv2
import numpy as np
import pytest
from posed_rooms import FORWARD, wall_views, write_scene

from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.posed.opening import open_scenes
from concerto_ros.learning.data.posed.point_map import TOLERANCE, point_map
from concerto_ros.learning.data.posed.visibility import BORDER, seen_pixels
from concerto_ros.posed.scene import skips_in_words

WIDTH, HEIGHT = 64, 48
VIEWS, CAMERA = wall_views()
POINT = 0.02
FEW = {"max_points": 20_000}  # allocates less


@pytest.fixture
def folder(tmp_path):
    return write_scene(tmp_path / "scene0000_00", VIEWS, CAMERA)


def build(folder, cache, **options):
    return point_map(open_scenes(folder)[0], cache, POINT, **(FEW | options))


def in_world(column, row, depth):
    """The points that pixels see at a depth."""
    ray = np.linalg.inv(CAMERA.matrix) @ [column, row, 1]
    return FORWARD[:3, :3] @ (ray * depth) + FORWARD[:3, 3]


def test_a_point_is_seen_where_its_depth_agrees_and_the_pixel_is_not_at_the_border(folder):
    behind_box, far_right = in_world(20, 20, 2.0), (50.4, 30.3)
    points = {
        "on the wall": in_world(*far_right, 2.0),
        "on the box": in_world(20, 20, 1.0),
        "behind the box": behind_box,
        "before the wall, within the tolerance": in_world(*far_right, 2 * (1 - 0.9 * TOLERANCE)),
        "before the wall, beyond the tolerance": in_world(*far_right, 2 * (1 - 1.1 * TOLERANCE)),
        "at the border": in_world(WIDTH - BORDER, 20, 2.0),
        "just inside the border": in_world(WIDTH - BORDER - 1, 20, 2.0),
        "outside the image": in_world(WIDTH + 5, 20, 2.0),
        "behind the camera": in_world(20, 20, -1.0),
    }
    posed = open_scenes(folder)[0].read(0)
    pixels = seen_pixels(posed, np.array(list(points.values()), np.float32), TOLERANCE)
    names = list(points)
    assert pixels.dtype == np.int32
    assert {names[point]: (x, y) for x, y, point in pixels} == {
        "on the wall": (50, 30),
        "on the box": (20, 20),
        "before the wall, within the tolerance": (50, 30),
        "just inside the border": (WIDTH - BORDER - 1, 20),
    }


@pytest.mark.parametrize("half_depth", [False, True])
def test_pixels_are_those_of_the_colour_image_and_show_the_colour_of_their_point(
    tmp_path, half_depth
):
    scene = write_scene(tmp_path / "scene", VIEWS, CAMERA, half_depth=half_depth)
    found = build(scene, tmp_path / "cache")
    scan = found.scan()
    assert found.sizes == ((HEIGHT, WIDTH),) * len(VIEWS)
    assert not scan.labelled.any() and scan.normals is not None
    seen = np.zeros(len(scan), bool)
    for frame in found.frames:
        x, y, point = found.pixels(frame).T
        assert x.max() > WIDTH / 2  # not in pixels of the smaller depth image
        seen[point] = True
        clear = np.abs(x - WIDTH / 2) > 2  # not at the edge of the box
        colors = VIEWS[0][0].color[y[clear], x[clear]]
        assert np.abs(colors.astype(int) - scan.colors[point[clear]]).max() <= 2
        camera = np.linalg.inv(FORWARD) @ np.c_[scan.points[point], np.ones(len(point))].T
        projected = CAMERA.matrix @ camera[:3]
        offset = np.hypot(*(projected[:2] / projected[2] - [x, y]))
        assert offset.max() < 0.72 + half_depth  # a pixel's half diagonal
    inner = (scan.points[:, 0] > 1.9) & (np.abs(scan.points[:, 1:] - [-0.5, 1]) < 0.3).all(axis=1)
    assert inner.any() and seen[inner].all()


def test_frames_that_cannot_be_placed_are_left_out_counted_and_said(tmp_path):
    views, camera = wall_views(8)
    folder = write_scene(tmp_path / "scene", views, camera)
    (folder / "pose" / "1.txt").unlink()
    (folder / "depth" / "2.png").unlink()
    np.savetxt(folder / "pose" / "3.txt", np.full((4, 4), -np.inf))
    np.savetxt(folder / "pose" / "4.txt", np.full((4, 4), np.nan))
    cv2.imwrite(str(folder / "depth" / "5.png"), np.zeros((HEIGHT, WIDTH), np.uint16))
    (folder / "color" / "6.png").write_bytes(b"no picture")
    (folder / "color" / "._7.png").write_bytes(b"of macOS")
    found = build(folder, tmp_path / "cache")
    assert found.frames == ("0", "7")
    assert found.skipped == {"no_pose": 1, "no_depth": 1, "lost_pose": 2, "unusable": 2}
    assert skips_in_words(found.skipped) == (
        "6 frames left out: 1 has no pose of their name; 1 has no depth image of their name; "
        "2 have a pose that is not finite, as ScanNet has where tracking was lost; "
        "2 have images that cannot be used"
    )


def numbers(text):
    return lambda path: path.write_text(text)


def scaled(path):
    np.savetxt(path, np.diag([2.0, 2, 2, 1]))


@pytest.mark.parametrize(
    "file, change, message",
    [
        ("pose/1.txt", numbers("1 0 0"), r"pose/1\.txt: pose of shape \(1, 3\), expected 4x4"),
        ("pose/1.txt", numbers("1 0 x"), r"pose/1\.txt: pose: could not convert .* 4x4 numbers"),
        ("pose/1.txt", scaled, r"pose/1\.txt: pose: its upper left 3x3 part is no rotation"),
        ("intrinsic/intrinsic_depth.txt", lambda path: path.write_text("525 525"), "shape"),
        (
            "intrinsic/intrinsic_depth.txt",
            lambda path: np.savetxt(path, np.full((3, 3), np.nan)),
            "intrinsic_depth.txt: intrinsics hold a value that is not finite",
        ),
        (
            "intrinsic/intrinsic_color.txt",
            lambda path: np.savetxt(path, [[525, 0, 319.5], [0, 525, 239.5], [0, 0, 1]]),
            r"principal point \(319.5, 239.5\), expected one inside the color images of 64x48",
        ),
        (
            "intrinsic/extrinsic_depth.txt",
            scaled,
            "extrinsic_depth.txt: extrinsics are not the identity",
        ),
        (
            "depth/1.png",
            lambda path: cv2.imwrite(str(path), np.ones((24, 32), np.uint16)),
            r"depth/1\.png: 32x24 pixels, expected 64x48 as in 0\.png",
        ),
    ],
)
def test_files_that_contradict_the_layout_are_named_with_what_is_expected(
    folder, tmp_path, file, change, message
):
    change(folder / file)
    with pytest.raises(DataError, match=message):
        build(folder, tmp_path / "cache")


def test_one_matrix_serves_images_of_one_size_only(tmp_path):
    folder = write_scene(tmp_path / "scene", VIEWS, CAMERA, half_depth=True)
    (folder / "intrinsic" / "intrinsic_depth.txt").unlink()
    with pytest.raises(DataError, match="32x24 pixels and colour 64x48, but intrinsic_color.txt"):
        build(folder, tmp_path / "cache")
    shutil.rmtree(folder)
    write_scene(folder, VIEWS, CAMERA)
    shutil.move(folder / "intrinsic" / "intrinsic_color.txt", tmp_path / "intrinsics.txt")
    shutil.rmtree(folder / "intrinsic")
    assert build(folder, tmp_path / "cache").frames == ("0", "1", "2")  # as OpenScene has it
    (tmp_path / "intrinsics.txt").unlink()
    with pytest.raises(DataError, match="files of intrinsics: none, expected intrinsic_color.txt"):
        build(folder, tmp_path / "other")


def test_what_is_no_folder_of_scenes_is_refused_with_the_layout(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        open_scenes(tmp_path / "nothing")
    (tmp_path / "scans" / "color").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no scene of posed images found, expected color/N\.jpg"):
        open_scenes(tmp_path)
    (tmp_path / "scans" / "depth").mkdir()
    with pytest.raises(DataError, match="none of 0 colour images has a depth image and a finite"):
        open_scenes(tmp_path)


def test_scenes_are_found_below_and_many_images_are_thinned_evenly(tmp_path):
    views, camera = wall_views(12)
    for name in ("scans/b", "scans/a"):
        write_scene(tmp_path / name, views, camera)
    scenes = open_scenes(tmp_path)
    assert [scene.name for scene in scenes] == ["scans/a", "scans/b"]
    assert scenes[0].frames[:3] == ("0", "1", "2") and scenes[0].frames[-1] == "11"
    found = point_map(scenes[0], tmp_path / "cache", POINT, max_frames=4, **FEW)
    assert found.frames == ("0", "4", "7", "11")
    with pytest.raises(ValueError, match="max_frames is 0"):
        point_map(scenes[0], tmp_path / "cache", POINT, max_frames=0)


def test_depth_in_other_units_gives_the_same_points(tmp_path):
    folder = write_scene(tmp_path / "scene", VIEWS, CAMERA, unit=1 / 5000)
    scenes = open_scenes(folder, depth_unit=1 / 5000)
    in_units = point_map(scenes[0], tmp_path / "cache", POINT, **FEW).scan()
    millimetres = write_scene(tmp_path / "other", VIEWS, CAMERA)
    expected = build(millimetres, tmp_path / "cache").scan()
    np.testing.assert_allclose(in_units.points, expected.points, atol=1e-5)


def test_a_map_is_built_once_and_again_where_it_was_cut_off_or_an_image_changed(
    folder, tmp_path, monkeypatch
):
    cache = tmp_path / "cache"
    first = build(folder, cache)
    (first.folder / "point_map.json").unlink()  # as after a kill
    (first.folder / "coord.npy").write_bytes(b"half of")
    again = build(folder, cache)
    assert again.folder == first.folder and len(again.scan())

    scene = open_scenes(folder)[0]
    monkeypatch.setattr(scene, "read", lambda index: pytest.fail("an image was read again"))
    assert point_map(scene, cache, POINT, **FEW).frames == first.frames

    closer = (VIEWS[0][0].depth * 900).astype(np.uint16)
    cv2.imwrite(str(folder / "depth" / "2.png"), closer)
    changed = build(folder, cache)
    assert changed.folder != first.folder
    (changed.folder / "coord.npy").write_bytes(b"half of")
    with pytest.raises(DataError, match=r"coord\.npy: not a readable \.npy.*remove this folder"):
        changed.scan()


def test_more_points_than_an_encoder_could_take_are_refused(folder, tmp_path):
    with pytest.raises(
        DataError, match=r"scene0000_00: more than 500 points of 0\.02 m, expected"
    ):
        build(folder, tmp_path / "cache", max_points=500)


def camera_bag(path, frames=3):
    """A camera over a floor, with TF; the last image comes before any transform."""
    messages = []
    for number in range(frames):
        time = number * bags.STEP
        color = np.full((24, 32, 3), 40 * number, np.uint8)
        depth = np.full((24, 32), 1500, np.uint16)
        at = number / 10
        messages += [
            (at, "/tf", bags.transform(time, "eye")),
            (at, "/eye/color/camera_info", bags.camera_info(time)),
            (at, "/eye/color/image_raw", bags.image(time, "rgb8", color)),
            (at, "/eye/depth/camera_info", bags.camera_info(time)),
            (at, "/eye/depth/image_raw", bags.image(time, "16UC1", depth)),
        ]
    return bags.write(path, messages)


def test_a_bag_gives_images_named_by_camera_and_stamp(tmp_path):
    path = camera_bag(tmp_path / "bag")
    scene = open_scenes(path)[0]
    stamps = [bags.START + number * bags.STEP for number in range(3)]
    assert scene.frames == tuple(f"camera0/{stamp}" for stamp in stamps)
    found = point_map(scene, tmp_path / "cache", POINT, **FEW)
    pixels = found.pixels(scene.frames[1])
    assert found.sizes == ((24, 32),) * 3
    assert len(pixels) == (32 - 2 * BORDER) * (24 - 2 * BORDER)
    assert scene.read(1).image[0, 0].tolist() == [40, 40, 40]
    with pytest.raises(DataError, match="expected colour images with depth"):
        open_scenes(bags.write(tmp_path / "lidar", bags.drive()))
