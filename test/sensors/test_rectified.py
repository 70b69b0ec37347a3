# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image is rectified is told for each from its own topic, else from its camera_info."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from concerto_ros.intake.opening import open_input
from concerto_ros.intake.tally import NoTally
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.images.topics import is_rectified
from concerto_ros.sensors.input_error import InputError
from concerto_ros.settings.inputs import CameraInput
from concerto_ros.settings.settings import Settings

LENS = [0.16470489, -0.49776563, -0.0021679, 0.001259, 0.45042795]
WIDTH, HEIGHT = 640, 360


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        # realsense2_camera
        ("/camera/camera/color/image_raw", False),
        ("/camera/camera/depth/image_rect_raw", True),
        ("/camera/camera/color/image_rect_raw", True),  # D405
        ("/camera/camera/aligned_depth_to_color/image_raw", False),
        ("/camera/camera/aligned_depth_to_color/image_raw/compressedDepth", False),
        # zed_wrapper, old and new
        ("/zed/zed_node/rgb/image_rect_color", True),
        ("/zed/zed_node/rgb_raw/image_raw_color", False),
        ("/zed/zed_node/rgb/color/rect/image", True),
        ("/zed/zed_node/rgb/color/rect/image/compressed", True),
        ("/zed/zed_node/rgb/color/raw/image", False),
        ("/zed/zed_node/depth/depth_registered", None),
        # kinect2_bridge
        ("/kinect2/hd/image_color", None),
        ("/kinect2/qhd/image_color_rect", True),
        ("/kinect2/qhd/image_depth_rect/compressed", True),
        # openni, freenect, orbbec, Azure Kinect, depthai
        ("/camera/rgb/image_rect_color", True),
        ("/camera/depth_registered/image_raw", False),
        ("/camera/depth_registered/hw_registered/image_rect", True),
        ("/camera/depth_registered/sw_registered/image_rect_raw", True),
        ("/camera/depth_registered/image", None),
        ("/depth_to_rgb/image_raw", False),
        ("/rgb/image_rect", True),
        ("/oak/stereo/image_raw", False),
        ("/oak/stereo/depth", None),
        # transports do not say it
        ("/camera/depth/image_rect/compressedDepth", True),
        ("/camera/depth/image_rect_raw/compressed", True),
        ("/camera/depth/image_rect/zstd", True),
        ("/camera/image/compressed", None),
        # words, not letters
        ("/camera/depth/corrected", None),
        ("/camera/direct/image", None),
        ("/camera/rectangle/image", None),
        ("/camera/depth/imageRect", True),
        ("/camera/image_rectified", True),
        ("/camera/image_unrectified", False),
        ("/camera/image_undistorted", True),
        ("/rect/camera/image_raw", False),
        ("", None),
    ],
)
def test_what_the_name_of_a_topic_says(topic, rectified):
    assert is_rectified(topic) is rectified


def header(frame):
    return SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0), frame_id=frame)


def info(f=450.0, cx=322.0, cy=175.0, d=(0.0,) * 5, p=None, frame="camera", k=None):
    k = [f, 0, cx, 0, f, cy, 0, 0, 1] if k is None else k
    p = [f, 0, cx, 0, 0, f, cy, 0, 0, 0, 1, 0] if p is None else p
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    return SimpleNamespace(
        header=header(frame), width=WIDTH, height=HEIGHT, k=k, d=list(d), p=p,
        distortion_model="plumb_bob", binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip


def focal(message, rectified=None):
    camera = CameraModel.from_info(message, rectified=rectified)
    return camera.fx, camera.model


P = [400.0, 0, 320, 0, 0, 400, 180, 0, 0, 0, 1, 0]


def test_where_no_name_tells_the_camera_info_does():
    assert focal(info(p=P)) == (400, "pinhole")
    assert focal(info(p=P, d=LENS)) == (450, "plumb_bob")
    assert focal(info(p=P, d=LENS), rectified=True) == (400, "pinhole")
    assert focal(info(p=P), rectified=False) == (450, "pinhole")


def test_without_distortion_an_empty_matrix_is_replaced_by_the_other():
    for rectified in (True, False, None):
        assert focal(info(p=[0.0] * 12), rectified) == (450, "pinhole")
        assert focal(info(k=[0.0] * 9, p=P), rectified) == (400, "pinhole")
    with pytest.raises(InputError, match="P: got fx 0"):
        CameraModel.from_info(info(p=[0.0] * 12, d=LENS), rectified=True)


def map_of_pixels():
    """A colour image whose red and green say where each pixel is, in steps of 4."""
    column, row = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.stack([column // 4, row // 4, 0 * row], axis=2).astype(np.uint8)


def frame_of(config, colors, color_info, depth_info=None):
    """A plane at 2 m, seen by a camera of these topics."""
    depth = np.full((HEIGHT, WIDTH), 2000, np.uint16)
    messages = {
        "color": SimpleNamespace(
            header=header("camera"), height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH,
            is_bigendian=0, data=colors.tobytes(),
        ),
        "depth": SimpleNamespace(
            header=header("camera"), height=HEIGHT, width=WIDTH, encoding="16UC1", step=2 * WIDTH,
            is_bigendian=0, data=depth.tobytes(),
        ),
        "info": color_info,
        "depth_info": depth_info,
    }  # fmt: skip
    settings = Settings().with_preset()
    source = open_input(config, settings)
    for topic in reversed(source.topics):
        source.receive(topic.kind, messages[topic.kind], NoTally())
    return source.decode(source.take(), settings, None)


def beside(frame, k, d):
    """Pixels between where a point is in the colour image and where its colour is from."""
    matrix = np.array([[k[0], 0, k[2]], [0, k[0], k[3]], [0, 0, 1.0]])
    pixels, _ = cv2.projectPoints(
        frame.points.astype(np.float64), np.zeros(3), np.zeros(3), matrix, np.array(d)
    )
    taken = frame.colors[:, :2] * 4.0 + 1.5
    return np.abs(pixels[:, 0] - taken).max()


K = (450.0, 450.0, 322.0, 175.0)


@pytest.mark.parametrize("transport", ["", "/compressed"])
def test_raw_colour_beside_rectified_depth(transport):
    """RealSense L515, D455, D405."""
    if transport:
        assert is_rectified("/c/color/image_raw" + transport) is False
    config = CameraInput(
        "c", color_topic="/c/color/image_raw", depth_topic="/c/depth/image_rect_raw",
        info_topic="/i", depth_info_topic="/j",
    )  # fmt: skip
    depth_info = info(f=300.0, cx=320.0, cy=180.0)
    frame = frame_of(config, map_of_pixels(), info(d=LENS), depth_info)
    assert len(frame) > 50_000 and beside(frame, K, LENS) < 3.0


def test_rectified_colour_beside_raw_depth():
    config = CameraInput(
        "c", color_topic="/c/color/image_rect_color", depth_topic="/c/depth/image_raw",
        info_topic="/i", depth_info_topic="/j",
    )  # fmt: skip
    lens = [-0.1, 0.02, 0, 0, 0]
    depth_info = info(f=500.0, cx=320.0, cy=180.0, d=lens)
    frame = frame_of(config, map_of_pixels(), info(d=LENS, p=P), depth_info)
    assert beside(frame, (400.0, 400.0, 320.0, 180.0), [0.0] * 5) < 3.0
    expected = CameraModel.from_info(depth_info).rays().reshape(-1, 3)
    assert np.isin(np.round(frame.points[:, 0], 5), np.round(2 * expected[:, 0], 5)).all()


def test_names_that_do_not_tell_leave_it_to_each_camera_info():
    config = CameraInput(
        "c", color_topic="/c/rgb", depth_topic="/c/range", info_topic="/i", depth_info_topic="/j"
    )
    frame = frame_of(config, map_of_pixels(), info(d=LENS), info(f=300.0, cx=320.0, cy=180.0))
    assert beside(frame, K, LENS) < 3.0


def test_depth_registered_to_a_rectified_image_is_as_that_one():
    """ZED: rgb/image_rect_color and depth/depth_registered."""
    config = CameraInput(
        "c", color_topic="/z/rgb/image_rect_color", depth_topic="/z/depth/depth_registered",
        info_topic="/i",
    )  # fmt: skip
    frame = frame_of(config, map_of_pixels(), info(d=LENS, p=P))
    assert len(frame) == WIDTH * HEIGHT
    assert beside(frame, (400.0, 400.0, 320.0, 180.0), [0.0] * 5) < 3.0


def test_depth_registered_to_the_raw_image_beside_the_rectified_one():
    config = CameraInput(
        "c", color_topic="/c/color/image_rect_color", depth_topic="/c/aligned_depth/image_raw",
        info_topic="/i",
    )  # fmt: skip
    frame = frame_of(config, map_of_pixels(), info(d=LENS, p=P))
    assert beside(frame, (400.0, 400.0, 320.0, 180.0), [0.0] * 5) < 3.0
