# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Videos and folders of images are opened with the depth and poses of other programs' files."""

from __future__ import annotations

import cv2
import numpy as np
import posed_files as files
import pytest
from posed_rooms import room_views, wall_views, write_scene

from concerto_ros.files.data_error import DataError
from concerto_ros.posed.opening import Sources, open_posed
from concerto_ros.posed.scene import UnusableFrame
from concerto_ros.settings.presets import PRESETS

INDOOR = PRESETS["indoor"]
VIEWS, CAMERA = room_views(7, 5, width=64, height=48, noise=False)
UNIT = 2.5  # metres of a unit of the poses


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The frames by the way that was there before: folders as ScanNet's."""
    folder = write_scene(tmp_path_factory.mktemp("scannet") / "scene", VIEWS, CAMERA)
    return frames_of(open_posed(folder, Sources(), INDOOR))


def frames_of(scene):
    return [scene.read(index).frame for index in range(len(scene.frames))]


def agree(scene, expected, *, points=2e-3, colors=1):
    """Frames alike, up to the rounding of their files."""
    frames = frames_of(scene)
    assert len(frames) == len(expected)
    for frame, reference in zip(frames, expected, strict=True):
        assert len(frame) == len(reference)
        np.testing.assert_allclose(frame.points, reference.points, atol=points)
        np.testing.assert_allclose(frame.origin, reference.origin, atol=points)
        difference = np.abs(frame.colors.astype(int) - reference.colors)
        assert np.median(difference) <= colors


def colmap(folder, **how):
    return files.write_colmap_scene(folder, VIEWS, CAMERA, **{"scale": UNIT, **how})


@pytest.mark.parametrize("layout", ["da3", "vggt", "map"])
def test_arrays_of_each_program_give_the_frames_of_the_rgbd_way(tmp_path, expected, layout):
    folder = files.write_images(tmp_path / "walk" / "images", VIEWS).parent
    files.write_npz(folder / "predictions.npz", VIEWS, CAMERA, scale=UNIT, layout=layout)
    agree(open_posed(folder, Sources(scale=UNIT), INDOOR), expected)


def test_a_video_has_its_geometry_in_the_npz_of_its_name(tmp_path, expected):
    video = files.write_video(tmp_path / "walk.mp4", VIEWS)
    files.write_npz(tmp_path / "walk.npz", VIEWS, CAMERA)
    scene = open_posed(video, Sources(scale=1), INDOOR)
    assert scene.frames == ("000000", "000001", "000002", "000003", "000004")
    agree(scene, expected, colors=12)  # the codec loses some
    again = scene.read(1).frame  # an earlier one than the last that was read
    np.testing.assert_allclose(again.points, expected[1].points, atol=2e-3)
    thinned = scene.thinned([0, 3])
    np.testing.assert_allclose(thinned.read(1).frame.points, expected[3].points, atol=2e-3)


def test_the_images_that_a_model_kept_are_taken_where_it_kept_them(tmp_path, expected):
    path = files.write_npz(tmp_path / "all.npz", VIEWS, CAMERA, images=True)
    scene = open_posed(tmp_path, Sources(scale=1, geometry=path), INDOOR)
    agree(scene, expected)


def test_predicted_depth_smaller_than_its_image_shows_the_same_places(tmp_path, expected):
    large, camera = room_views(7, 5, width=256, height=192, noise=False)
    folder = files.write_images(tmp_path / "images", large).parent
    files.write_npz(folder / "predictions.npz", VIEWS, CAMERA)
    agree(open_posed(folder, Sources(scale=1), INDOOR), expected, colors=16)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("model", ["PINHOLE", "SIMPLE_RADIAL"])
def test_colmap_with_measured_depth_knows_its_own_scale(tmp_path, expected, binary, model):
    folder = colmap(tmp_path / "scene", binary=binary, model=model)
    agree(open_posed(folder, Sources(), INDOOR), expected, points=4e-3)
    by_images = open_posed(folder / "images", Sources(), INDOOR)  # the model is beside them
    assert by_images.frames == ("0000", "0001", "0002", "0003", "0004")


@pytest.mark.parametrize("kind", ["geometric", "photometric"])
def test_colmaps_dense_depth_is_in_the_unit_of_its_poses(tmp_path, expected, kind):
    folder = colmap(tmp_path / "scene", binary=True, depth=kind)
    agree(open_posed(folder, Sources(scale=UNIT), INDOOR), expected)
    with pytest.raises(
        DataError, match=r"scale: the poses are in an unknown unit: .*Sources.scale"
    ):
        open_posed(folder, Sources(), INDOOR)


def test_a_dense_model_of_colmap_has_its_own_images(tmp_path, expected):
    """Its depth is of undistorted images, not of those that the sparse model is of."""
    folder = colmap(tmp_path / "scene", binary=True)
    large, _ = room_views(7, 5, width=96, height=72, noise=False)
    files.write_images(folder / "images", large)
    dense = folder / "dense"
    files.write_colmap_binary(dense / "sparse", files.colmap_content(VIEWS, CAMERA, scale=UNIT))
    files.write_images(dense / "images", VIEWS)
    files.write_colmap_depth(dense / "stereo" / "depth_maps", VIEWS, scale=UNIT)
    agree(open_posed(folder, Sources(scale=UNIT), INDOOR), expected)
    agree(open_posed(dense, Sources(scale=UNIT), INDOOR), expected)


def test_tums_files_are_paired_by_stamps_and_placed_at_those_of_depth(tmp_path, expected):
    folder = files.write_tum(tmp_path / "desk", VIEWS)
    fx, (cx, cy) = CAMERA.focal, CAMERA.center
    scene = open_posed(folder, Sources(intrinsics=(fx, fx, cx, cy)), INDOOR)
    assert scene.held is None and scene.frames[0] == "1305031453.000000"
    agree(scene, expected)
    text = f"fx: {fx}\nfy: {fx}\ncx: {cx}\ncy: {cy}\ndepth_scale: 5000\nwidth: 64\nheight: 48\n"
    (folder / "camera.yaml").write_text(text)
    agree(open_posed(folder, Sources(), INDOOR), expected)
    np.savetxt(tmp_path / "k.txt", CAMERA.matrix)
    by_matrix = Sources(intrinsics=tmp_path / "k.txt", depth_unit=1 / 5000, every=2)
    agree(open_posed(folder, by_matrix, INDOOR), expected[::2])
    data = CAMERA.matrix.ravel().tolist()
    ros = f"image_width: 64\nimage_height: 48\ncamera_matrix: {{data: {data}}}\n"
    (folder / "camera.yaml").write_text(ros)
    agree(open_posed(folder, Sources(), INDOOR), expected)


def test_images_without_depth_or_pose_are_left_out_counted_and_nothing_else(tmp_path, expected):
    folder = colmap(tmp_path / "scene", binary=False)
    (folder / "depth" / "0001.png").unlink()
    (folder / "images" / "0002.png").unlink()
    cv2.imwrite(str(folder / "images" / "0009.png"), VIEWS[0][0].color)
    cv2.imwrite(str(folder / "depth" / "0009.png"), np.ones((48, 64), np.uint16))
    (folder / "images" / "0003.png").write_bytes(b"no picture")
    scene = open_posed(folder, Sources(), INDOOR)
    assert scene.frames == ("0000", "0003", "0004")
    assert scene.skipped == {"no_depth": 1, "no_color": 1, "no_pose": 1}
    with pytest.raises(UnusableFrame, match="0003"):
        scene.read(1)
    agree(scene.thinned([0, 2]), [expected[0], expected[4]], points=4e-3)


def test_poses_that_are_not_finite_are_left_out_and_counted(tmp_path, expected):
    path = files.write_npz(tmp_path / "all.npz", VIEWS, CAMERA, images=True)
    arrays = dict(np.load(path))
    arrays["extrinsics"][1] = np.nan
    arrays["depth"][2, :20] = np.nan
    np.savez(path, **arrays)
    scene = open_posed(tmp_path, Sources(scale=1), INDOOR)
    assert scene.frames == ("000000", "000002", "000003", "000004")
    assert scene.skipped == {"lost_pose": 1}
    cut = scene.read(1).frame
    assert 0 < len(cut) < len(expected[2]) and np.isfinite(cut.points).all()


def test_the_least_confident_pixels_are_left_out_on_demand(tmp_path):
    confidence = np.tile(np.arange(64.0), (5, 48, 1))
    files.write_npz(tmp_path / "all.npz", VIEWS, CAMERA, images=True, conf=confidence)
    every = frames_of(open_posed(tmp_path, Sources(scale=1), INDOOR))
    half = frames_of(open_posed(tmp_path, Sources(scale=1, least_confident=50), INDOOR))
    assert [len(frame) for frame in half] != [len(frame) for frame in every]
    for whole, part in zip(every, half, strict=True):
        assert {tuple(point) for point in part.points} < {tuple(point) for point in whole.points}


def test_poses_far_from_the_origin_keep_their_accuracy(tmp_path, expected):
    far = np.array([4.1e6, 5.2e5, 4.8e6])
    moved = []
    for image, pose in VIEWS:
        pose = pose.copy()
        pose[:3, 3] += far
        moved.append((image, pose))
    files.write_npz(tmp_path / "all.npz", moved, CAMERA, images=True)
    scene = open_posed(tmp_path, Sources(scale=1), INDOOR)
    for frame, reference in zip(frames_of(scene), expected, strict=True):
        place = frame.points.astype(float) + scene.origin - far
        np.testing.assert_allclose(place, reference.points, atol=2e-3)


def test_lens_distortion_of_colmap_moves_points_as_opencv_says(tmp_path):
    views, camera = wall_views(1)
    folder = tmp_path / "scene"
    (model, width, height, numbers), images, cloud = files.colmap_content(views, camera)
    lens = [-0.2, 0.05, 0.002, -0.001]
    content = ("OPENCV", width, height, [*numbers, *lens]), images, cloud
    files.write_colmap_binary(folder / "sparse", content)
    files.write_images(folder / "images", views)
    files.write_depth(folder / "depth", views)
    posed = open_posed(folder, Sources(scale=1), INDOOR).read(0)
    view = posed.view
    pixels = np.array([[[5.0, 4.0]], [[60.0, 40.0]], [[30.0, 20.0]]])
    straight = cv2.undistortPoints(pixels, camera.matrix, np.array(lens))[:, 0]
    for (column, row), (x, y) in zip(pixels[:, 0].astype(int), straight, strict=True):
        np.testing.assert_allclose(view.camera.rays()[row, column, :2], (x, y), atol=2e-4)
