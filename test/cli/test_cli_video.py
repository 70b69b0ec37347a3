# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros video``: images with depth and poses of other programs are labelled."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import posed_files as files
import pytest
from paths import DATA
from posed_rooms import room_views, write_scene

from concerto_ros import SemanticPipeline
from concerto_ros.cli import main
from concerto_ros.offline.posed_labeller import scene_settings
from concerto_ros.posed.opening import Sources, open_posed
from concerto_ros.sensors.cloud_files import read_cloud_file
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.transform_tree import TransformTree
from concerto_ros.settings.presets import PRESETS
from concerto_ros.settings.settings import Settings

DESK = DATA / "rgbd_desk_files"
INDOOR = PRESETS["indoor"]


@pytest.fixture(scope="module")
def room():
    """Views of a room whose depth is a whole number of millimetres."""
    views, camera = room_views(11, 6, width=64, height=48)
    whole = []
    for image, pose in views:
        depth = np.rint(image.depth * 1000).astype(np.uint16) * np.float32(0.001)
        whole.append((SimpleNamespace(color=image.color, depth=depth), pose))
    return whole, camera


def rgbd_way(frames):
    """The labels of frames in the fixed frame, as the node fuses and labels them."""
    pipeline = SemanticPipeline.from_settings(scene_settings(Settings()))
    for frame in frames:
        pipeline.insert(frame)
    return pipeline.infer(pipeline.snapshot(), ("labels",))


def same_labels(folder, name, expected, least):
    """At least this share of voxels is the same, with the same label."""
    cloud = read_cloud_file(folder / f"{name}_labels.ply")
    keys = [tuple(key) for key in np.floor(cloud.points / 0.04).astype(int)]
    found = dict(zip(keys, cloud.label, strict=True))
    wanted = [tuple(key) for key in np.floor(expected.points / 0.04).astype(int)]
    pairs = zip(wanted, expected.label, strict=True)
    same = sum(found.get(key) == label for key, label in pairs)
    assert same >= least * max(len(found), len(wanted))


def test_a_video_gets_the_labels_of_the_rgbd_way_and_everything_is_written(room, tmp_path, capsys):
    views, camera = room
    video = files.write_video(tmp_path / "walk.mp4", views)
    files.write_npz(tmp_path / "walk.npz", views, camera, scale=2.0, images=True)
    scene = open_posed(write_scene(tmp_path / "s", views, camera), Sources(), INDOOR)
    expected = rgbd_way(scene.read(index).frame for index in range(len(scene.frames)))
    out = tmp_path / "out"
    assert main(["video", str(video), "--scale", "2", "-o", str(out)]) == 0
    kinds = "frames.jpg labels.ply labels.png pca.ply pca.png to_cloud.txt"
    written = sorted(path.name for path in out.iterdir())
    assert written == [f"walk_{kind}" for kind in kinds.split()]
    same_labels(out, "walk", expected, 0.99)
    np.testing.assert_allclose(np.loadtxt(out / "walk_to_cloud.txt"), np.eye(4), atol=1e-9)
    said = capsys.readouterr().out
    assert f"walk: 6 frames, {len(expected.label)} voxels of 0.04 m, model demo" in said
    assert "what points up, in the poses: (0.00, 0.00, 1.00)" in said


def test_poses_that_are_turned_are_turned_upright_again(room, tmp_path):
    views, camera = room
    turn = np.eye(4)
    turn[:3, :3] = [[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]]
    turn[:3, 3] = 3.0, -2.0, 1.0
    turned = [(image, turn @ pose) for image, pose in views]
    path = files.write_npz(tmp_path / "walk.npz", turned, camera, images=True)
    options = ["--geometry", str(path), "--scale", "1", "-o", str(tmp_path / "out")]
    assert main(["video", str(tmp_path), *options]) == 0
    stem = tmp_path / "out" / tmp_path.name
    matrix = np.loadtxt(f"{stem}_to_cloud.txt")
    np.testing.assert_allclose(matrix[2, :3], turn[:3, 2], atol=0.02)
    height = read_cloud_file(f"{stem}_labels.ply").points[:, 2]
    assert abs(np.percentile(height, 1) - (matrix @ turn)[2, 3]) < 0.1  # the floor of the room


def test_frames_that_cannot_be_used_are_said_and_cost_nothing_else(room, tmp_path, capsys):
    views, camera = room
    folder = write_scene(tmp_path / "scene", views, camera)
    (folder / "color" / "2.png").write_bytes(b"no picture")
    (folder / "pose" / "4.txt").unlink()
    assert main(["video", str(folder), "--max-frames", "3"]) == 0
    said = capsys.readouterr().out
    assert "3 of 5 frames are used, evenly spread (--max-frames)" in said
    assert "2 frames left out: 1 has no pose of their name; 1 has images that cannot" in said
    assert (tmp_path / "scene_labels.ply").is_file()  # beside the images, not among them


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "scale: the poses are in an unknown unit: expected --scale, the metres of one unit"),
        (["--depth-unit", "0"], "--depth-unit: got 0, expected a number above 0"),
        (["--scale", "1", "--depth", "."], "--depth: has no meaning with"),
        (["--scale", "-1"], "--scale: got -1, expected a number above 0"),
        (["--scale", "1", "--max-frames", "0"], "--max-frames: got 0, expected 1 or more"),
        (["--scale", "1", "--intrinsics", "a", "b"], "--intrinsics: got a b, expected fx fy"),
        (["--scale", "1", "--depth-model", "vggt"], "depth model 'vggt': expected one of map-any"),
        (["--scale", "1", "--fps", "5"], "--fps: got it with a folder of images"),
    ],
)
def test_wrong_options_end_with_one_line_before_a_model_runs(
    room, tmp_path, capsys, options, message
):
    views, camera = room
    folder = files.write_images(tmp_path / "walk", views)
    files.write_npz(folder / "walk.npz", views, camera)
    assert main(["video", str(folder), *options]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("walk_*"))


def header(stamp, frame_id):
    sec, nanosec = stamp.split(".")
    time = SimpleNamespace(sec=int(sec), nanosec=int(nanosec.ljust(9, "0")))
    return SimpleNamespace(stamp=time, frame_id=frame_id)


def vector(names, values):
    return SimpleNamespace(**dict(zip(names, map(float, values), strict=True)))


def desk_frames():
    """The desk by the node's way: its messages, and a transform tree of the ground truth."""
    tree = TransformTree()
    for line in (DESK / "groundtruth.txt").read_text().splitlines():
        if not line.startswith("#"):
            stamp, *pose = line.split()
            moved = SimpleNamespace(
                translation=vector("xyz", pose[:3]), rotation=vector("xyzw", pose[3:])
            )
            head = header(stamp, "world")
            tree.insert(SimpleNamespace(header=head, child_frame_id="camera", transform=moved))
    info = SimpleNamespace(
        **{"width": 640, "height": 480, "k": [525.0, 0, 319.5, 0, 525.0, 239.5, 0, 0, 1]},
        **{"d": [], "p": [0.0] * 12, "distortion_model": "", "binning_x": 0, "binning_y": 0},
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    )
    for line in (DESK / "associations.txt").read_text().splitlines():
        _, color_file, stamp, depth_file = line.split()
        head = header(stamp, "camera")
        data = (DESK / color_file).read_bytes()
        units = cv2.imread(str(DESK / depth_file), cv2.IMREAD_UNCHANGED)
        depth = SimpleNamespace(
            **{"header": head, "height": 480, "width": 640, "encoding": "32FC1"},
            **{"is_bigendian": 0, "step": 4 * 640},
            data=(units * np.float32(1 / 5000)).astype("<f4").tobytes(),
        )
        frame = depth_frame(
            SimpleNamespace(header=head, format="png", data=data),
            depth,
            info,
            min_range=INDOOR.min_range,
            max_range=INDOOR.max_range,
        )
        at = tree.lookup("world", "camera", head.stamp.sec * 10**9 + head.stamp.nanosec)
        yield frame.transformed(at.rotation, at.translation, "world")


@pytest.mark.skipif(not DESK.is_dir(), reason="needs the recordings beside the checkout")
def test_the_real_desk_has_the_same_labels_by_predicted_arrays_and_by_its_own_files(tmp_path):
    expected = rgbd_way(desk_frames())
    out = tmp_path / "out"
    assert main(["video", str(DESK), "-o", str(out)]) == 0
    same_labels(out, DESK.name, expected, 1.0)
    scene = open_posed(DESK, Sources(), INDOOR)
    views = [
        (SimpleNamespace(color=view.color(), depth=view.depth()), view.pose)
        for view in scene.views
    ]
    camera = SimpleNamespace(matrix=scene.views[0].intrinsics.matrix)
    path = files.write_npz(tmp_path / "predicted.npz", views, camera, images=True)
    options = ["--geometry", str(path), "--scale", "1", "-o", str(out)]
    assert main(["video", str(DESK), *options]) == 0
    same_labels(out, DESK.name, expected, 0.995)
