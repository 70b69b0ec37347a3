# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Images, depth and poses that contradict each other are refused, naming file and field."""

from __future__ import annotations

import cv2
import numpy as np
import posed_files as files
import pytest
from posed_rooms import room_views

from concerto_ros.files.data_error import DataError
from concerto_ros.posed.opening import Sources, open_posed
from concerto_ros.posed.scene import UnusableFrame
from concerto_ros.settings.presets import PRESETS

INDOOR = PRESETS["indoor"]
VIEWS, CAMERA = room_views(7, 5, width=64, height=48, noise=False)
UNIT = 2.5  # metres of a unit of the poses


def colmap(folder, **how):
    return files.write_colmap_scene(folder, VIEWS, CAMERA, **{"scale": UNIT, **how})


def frames_of(scene):
    return [scene.read(index).frame for index in range(len(scene.frames))]


def refused(source, sources=None):
    with pytest.raises(DataError) as caught:
        scene = open_posed(source, sources or Sources(scale=1), INDOOR)
        frames_of(scene)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_arrays_that_are_missing_or_of_another_shape_are_named(tmp_path):
    path = files.write_npz(tmp_path / "all.npz", VIEWS, CAMERA, images=True)
    whole = dict(np.load(path))

    def text(**changed):
        np.savez(path, **{k: v for k, v in {**whole, **changed}.items() if v is not None})
        return refused(tmp_path)

    assert "all.npz: holds the arrays conf, depth, image, intrinsics, expected" in text(
        extrinsics=None
    )
    assert "extrinsics: got shape (4, 3, 4), expected (5, 3, 4)" in text(
        extrinsics=whole["extrinsics"][:4]
    )
    assert "intrinsics: got shape (3, 3, 3), expected (5, 3, 3)" in text(
        intrinsics=whole["intrinsics"][:3]
    )
    assert "depth: got shape (48,), expected depth (N, H, W)" in text(depth=np.ones(48))
    assert "all.npz: depth: got <U" in text(depth=np.array("none"))
    assert "conf: got shape" in text(conf=np.ones((5, 3, 3)))
    nan = whole["intrinsics"].copy()
    nan[3] = np.nan
    assert "intrinsics[3] hold a value that is not finite" in text(intrinsics=nan)
    larger = whole["intrinsics"] * [[2], [2], [1]]
    assert "intrinsics[0]: principal point (63, 47)" in text(intrinsics=larger)
    smaller = whole["intrinsics"] * [[0.4], [0.4], [1]]
    assert "the matrix is of another size" in text(intrinsics=smaller)
    flipped = whole["extrinsics"].copy()
    flipped[2, :, :3] *= -1
    assert "all.npz: [2]: pose: its upper left 3x3 part is no rotation" in text(extrinsics=flipped)
    of_the_image = whole["intrinsics"] * [[1.25], [1.25], [1]]
    assert "the matrix is of another size" in text(intrinsics=of_the_image)
    millimetres = text(depth=whole["depth"] * 1000)
    assert "depth[0]: depth: half of the pixels are beyond" in millimetres
    assert "millimetres? Sources.depth_unit 0.001" in millimetres and "all.npz" in millimetres
    in_metres = open_posed(tmp_path, Sources(scale=1, depth_unit=0.001), INDOOR)
    np.testing.assert_allclose(in_metres.views[1].depth(), VIEWS[1][0].depth, rtol=1e-5)
    image = whole["image"]
    for wrong, got in (
        (image.astype(np.float32), "float32 from "),
        (image.astype(np.uint16) * 256, "uint16 from "),
        (np.full(image.shape, np.nan), "float64 from nan to nan"),
        (image > 99, "bool, expected bytes"),
    ):
        assert f"all.npz: image: got {got}" in text(image=wrong)
    path.write_bytes(path.read_bytes()[:200])
    assert "all.npz: not a readable .npz" in refused(tmp_path)


def test_pixels_of_unknown_confidence_are_left_out_and_none_at_all_is_refused(tmp_path):
    path = files.write_npz(tmp_path / "all.npz", VIEWS, CAMERA, images=True)
    whole, half = dict(np.load(path)), Sources(scale=1, least_confident=50)
    confidence = np.tile(np.arange(64.0), (5, 48, 1))
    np.savez(path, **{**whole, "conf": confidence})
    expected = [len(frame) for frame in frames_of(open_posed(tmp_path, half, INDOOR))]
    confidence[:, :, 0] = np.nan  # the least confident column
    np.savez(path, **{**whole, "conf": confidence})
    kept = [len(frame) for frame in frames_of(open_posed(tmp_path, half, INDOOR))]
    assert 0 < max(kept) <= max(expected)
    np.savez(path, **{**whole, "conf": confidence * np.nan})
    assert "all.npz no confidence of it is finite" in refused(tmp_path, half)
    np.savez(path, **{name: value for name, value in whole.items() if name != "conf"})
    text = refused(tmp_path, half)
    assert "Sources.least_confident: got 50, but" in text and "all.npz says no confidence" in text


def test_two_arrays_of_poses_have_to_agree(tmp_path):
    poses = np.array([pose for _, pose in VIEWS])
    path = files.write_npz(tmp_path / "all.npz", VIEWS, CAMERA, images=True, camera_poses=poses)
    assert len(open_posed(path.parent, Sources(scale=1), INDOOR).frames) == len(VIEWS)
    moved = poses.copy()
    moved[1, 0, 3] += 0.1
    for wrong in (moved, np.linalg.inv(poses)):
        files.write_npz(path, VIEWS, CAMERA, images=True, camera_poses=wrong)
        assert "all.npz: camera_poses and extrinsics: got different poses" in refused(tmp_path)


def test_one_stamp_has_one_pose(tmp_path):
    folder = files.write_tum(tmp_path / "desk", VIEWS)
    focal = Sources(intrinsics=(CAMERA.focal, CAMERA.focal, *CAMERA.center))
    trajectory = folder / "groundtruth.txt"
    whole = trajectory.read_text()
    stamp, *numbers = whole.splitlines()[5].split()
    x, y, z, *quaternion = map(float, numbers)
    negative = " ".join(str(-value) for value in quaternion)
    trajectory.write_text(f"{whole}{stamp} {x} {y} {z} {negative}\n")  # the same rotation
    assert len(open_posed(folder, focal, INDOOR).frames) == len(VIEWS)
    trajectory.write_text(f"{whole}{stamp} {x + 0.01} {y} {z} {negative}\n")
    line = len(whole.splitlines()) + 1
    text = refused(folder, focal)
    assert f"line {line}: got another pose at the stamp {stamp} of line 6, expected one" in text


@pytest.mark.parametrize("stamp", ["inf", "nan", "1e30", "1e999999999"])
def test_stamps_that_are_no_times_are_refused(tmp_path, stamp):
    folder = files.write_tum(tmp_path / "desk", VIEWS)
    focal = Sources(intrinsics=(CAMERA.focal, CAMERA.focal, *CAMERA.center))
    trajectory = folder / "groundtruth.txt"
    whole = trajectory.read_text()
    trajectory.write_text(f"{whole}{stamp} 1 2 3 0 0 0 1\n")
    assert f"line {len(whole.splitlines()) + 1}: got '{stamp} 1 2 3" in refused(folder, focal)
    trajectory.write_text(whole)
    (folder / "rgb.txt").write_text(f"{stamp} rgb/x.png\n")
    assert f"rgb.txt: got '{stamp} rgb/x.png'" in refused(folder, focal)
    (folder / "rgb.txt").unlink()
    image = folder / "rgb" / f"{stamp}.png"
    image.write_bytes(next((folder / "rgb").iterdir()).read_bytes())
    assert f"image {stamp}: its name is no stamp" in refused(folder, focal)
    image.rename(folder / "depth" / image.name)  # a depth image of no time is found by none
    assert len(open_posed(folder, focal, INDOOR).frames) == len(VIEWS)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("[" * 3000, id="nested"),
        "fx: 50\nfy: 50\ncx: 32\ncy: 24\nwidth: .inf\nheight: 48",
        "camera_matrix: {data: [50, 0, 32, 0, 50, 24, 0, 0, 1]}\nimage_width: 64\n"
        "image_height: 48\ndistortion_coefficients: 5",
    ],
)
def test_intrinsics_of_other_content_are_refused_with_what_is_expected(tmp_path, content):
    folder = files.write_tum(tmp_path / "desk", VIEWS)
    (folder / "camera.yaml").write_text(content)
    text = refused(folder, Sources())
    assert "camera.yaml: " in text and "or a .yaml with fx, fy, cx and cy" in text


def test_another_number_of_images_than_of_depth_is_said_with_both(tmp_path):
    video = files.write_video(tmp_path / "walk.mp4", VIEWS * 3)
    files.write_npz(tmp_path / "walk.npz", VIEWS, CAMERA)
    assert "depth of 5 images, but" in (text := refused(video)) and "has 15: expected" in text
    scene = open_posed(video, Sources(scale=1, fps=10), INDOOR)
    assert len(scene.frames) == 5 and scene.frames[1] == "000003"
    assert "has 4: expected" in refused(video, Sources(scale=1, every=4))
    assert "has 1: expected" in refused(video, Sources(scale=1, fps=5e-324))


def test_images_of_another_shape_than_their_depth_or_intrinsics_are_refused(tmp_path):
    wide, _ = room_views(7, 5, width=96, height=48, noise=False)
    folder = files.write_images(tmp_path / "a" / "images", wide).parent
    files.write_npz(folder / "predictions.npz", VIEWS, CAMERA)
    text = refused(folder)
    assert "depth of 64x48 pixels, but the colour image 0000 has 96x48" in text
    large, _ = room_views(7, 5, width=128, height=96, noise=False)
    folder = colmap(tmp_path / "b", binary=True)
    files.write_images(folder / "images", large)
    text = refused(folder, Sources())
    assert "camera 1: intrinsics of images of 64x48 pixels, but the colour image 0000 has" in text


def test_broken_videos_are_named(tmp_path):
    whole = files.write_video(tmp_path / "walk.mp4", VIEWS).read_bytes()
    files.write_npz(tmp_path / "walk.npz", VIEWS, CAMERA)
    video = tmp_path / "walk.mp4"
    for content in (b"", b"no video", whole[: len(whole) // 2]):
        video.write_bytes(content)
        assert f"{video}: cannot be opened as a video" in refused(video)
    text = tmp_path / "notes.doc"
    text.write_text("x")
    (tmp_path / "notes.npz").write_bytes((tmp_path / "walk.npz").read_bytes())
    assert "notes.doc: expected a video (.mp4" in refused(text)
    assert "does not exist" in refused(tmp_path / "none.mp4")


@pytest.mark.parametrize("binary", [True, False])
def test_damaged_colmap_files_are_named(tmp_path, binary):
    folder = colmap(tmp_path / "scene", binary=binary)
    model = folder / "sparse" / "0"
    ending = "bin" if binary else "txt"
    for name in ("cameras", "images", "points3D"):
        path = model / f"{name}.{ending}"
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) - 9] if binary else b"1 x 2\n" + whole)
        assert f"{name}.{ending}: " in refused(folder, Sources())
        path.write_bytes(whole)
    content = files.colmap_content(VIEWS, CAMERA, name=".")
    (files.write_colmap_binary if binary else files.write_colmap_text)(model, content)
    assert f"images.{ending}: image name '.', expected" in refused(folder, Sources())
    content = files.colmap_content(VIEWS, CAMERA)
    content = (("PINHOLE", 0, 48, content[0][3]), *content[1:])
    (files.write_colmap_binary if binary else files.write_colmap_text)(model, content)
    assert f"cameras.{ending}: camera of 0x48 pixels" in refused(folder, Sources())
    content = files.colmap_content(VIEWS, CAMERA, model="FOV")
    (files.write_colmap_binary if binary else files.write_colmap_text)(model, content)
    text = refused(folder, Sources())
    assert "camera model" in text and "undistort the images first" in text


def test_colmap_of_other_images_or_without_enough_points_is_said(tmp_path):
    folder = colmap(tmp_path / "scene", binary=True, name="frame{:04d}.jpg")
    text = refused(folder, Sources())
    assert "names frame0000, frame0001, ..., but" in text and "has 0000, 0001, ..." in text
    folder = colmap(tmp_path / "few", binary=True, points=2)
    assert "scale: 10 points of points3D lie on a depth reading" in refused(folder, Sources())
    folder = colmap(tmp_path / "other", binary=True)
    rng = np.random.default_rng(1)
    for path in (folder / "depth").iterdir():
        noise = rng.uniform(300, 9000, (48, 64)).astype(np.uint16)
        cv2.imwrite(str(path), noise)
    assert "scale: the depth images disagree with the points" in refused(folder, Sources())


def test_damaged_depth_maps_of_colmap_lose_only_their_frame(tmp_path):
    folder = colmap(tmp_path / "scene", binary=True, depth="geometric")
    path = folder / "stereo" / "depth_maps" / "0001.png.geometric.bin"
    path.write_bytes(path.read_bytes()[:-5])
    scene = open_posed(folder, Sources(scale=UNIT), INDOOR)
    with pytest.raises(UnusableFrame, match=r"0001\.png\.geometric\.bin: .* cut short"):
        scene.read(1)
    assert len(scene.read(2).frame)


def test_trajectories_that_do_not_fit_are_said_with_both_times(tmp_path):
    folder = files.write_tum(tmp_path / "desk", VIEWS)
    focal = Sources(intrinsics=(CAMERA.focal, CAMERA.focal, *CAMERA.center))
    assert (
        "no intrinsics in" in (text := refused(folder, Sources())) and "Sources.intrinsics" in text
    )
    path = folder / "groundtruth.txt"
    whole = path.read_text()
    path.write_text(whole + "1305031454.0 1 2 three 0 0 0 1\n")
    assert "groundtruth.txt: line 13: got '1305031454.0 1 2 three" in refused(folder, focal)
    path.write_text(whole + "1305031454.0 1 2 3 0 0 0 2\n")
    assert "groundtruth.txt: pose: quaternion" in refused(folder, focal)
    path.write_text("12.0 1 2 3 0 0 0 1\n13.0 1 2 3 0 0 0 1\n")
    text = refused(folder, focal)
    assert "stamps from 12.000 to 13.000 s, but the images" in text and "1305031453.000" in text
    path.write_text("# nothing\n")
    assert "holds no pose" in refused(folder, focal)
    path.write_text(whole)
    wrong = Sources(intrinsics=(525.0, 525.0, 319.5, 239.5))
    assert "Sources.intrinsics: principal point (319.5, 239.5)" in refused(folder, wrong)
    assert "expected fx fy cx cy" in refused(folder, Sources(intrinsics=(525.0, 525.0)))
    (folder / "depth").rename(folder / "elsewhere")
    assert "no folder of depth images in" in refused(folder, focal)


def test_missing_and_several_geometries_are_said_with_what_is_expected(tmp_path):
    folder = files.write_images(tmp_path / "walk", VIEWS)
    text = refused(folder)
    assert f"{folder}: no depth and poses found, expected a .npz" in text
    assert "Sources.geometry says where; or a depth model" in text
    files.write_npz(folder / "a.npz", VIEWS, CAMERA)
    files.write_npz(folder / "b.npz", VIEWS, CAMERA)
    assert "a.npz, " in (text := refused(folder)) and "Sources.geometry says in which" in text
    chosen = Sources(geometry=folder / "b.npz", scale=1)
    assert len(open_posed(folder, chosen, INDOOR).frames) == 5
    text = refused(folder, Sources(geometry=folder / "b.npz"))
    assert "b.npz: scale: the poses are in an unknown unit" in text and "Sources.scale" in text
    for wrong, name in (
        ({"depth": folder}, "Sources.depth: has no meaning with .*b.npz"),
        ({"intrinsics": (1, 1, 1, 1)}, "Sources.intrinsics: has no meaning with .*b.npz"),
    ):
        with pytest.raises(DataError, match=name):
            open_posed(folder, Sources(geometry=folder / "b.npz", scale=1, **wrong), INDOOR)
    for wrong, name in (
        ({"scale": 0.0}, "Sources.scale: got 0"),
        ({"scale": np.nan}, "Sources.scale: got nan"),
        ({"every": 0}, "Sources.every: got 0"),
        ({"least_confident": 100}, "Sources.least_confident: got 100"),
        ({"geometry": tmp_path / "none"}, "Sources.geometry: .*none does not exist"),
    ):
        with pytest.raises(DataError, match=name):
            Sources(**wrong)
