# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera models, and depth images as frames."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import DATA

from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.point_cloud2 import decode_point_cloud

WIDTH, HEIGHT = 64, 48
FX, FY, CX, CY = 60.0, 62.0, 30.5, 25.0
BROWN = (-0.28, 0.09, 0.001, -0.0007, 0.02)
RATIONAL = (0.5, -2.6, 0.0005, -0.0002, 1.5, 0.38, -2.4, 1.4)
FISHEYE = (-0.02, 0.01, -0.004, 0.001)


def header(frame_id="camera", nanosec=0):
    stamp = SimpleNamespace(sec=7, nanosec=nanosec)
    return SimpleNamespace(frame_id=frame_id, stamp=stamp)


def info(width=WIDTH, height=HEIGHT, f=(FX, FY), c=(CX, CY), model="plumb_bob", d=(), **changes):
    k = [f[0], 0, c[0], 0, f[1], c[1], 0, 0, 1]
    p = [f[0], 0, c[0], 0, 0, f[1], c[1], 0, 0, 0, 1, 0]
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    message = SimpleNamespace(
        header=header(), width=width, height=height, distortion_model=model,
        d=list(d), k=k, r=[1, 0, 0, 0, 1, 0, 0, 0, 1], p=p, binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip
    vars(message).update(changes)
    return message


def image(pixels, encoding, frame_id="camera", nanosec=0):
    pixels = np.ascontiguousarray(pixels)
    return SimpleNamespace(
        header=header(frame_id, nanosec), height=pixels.shape[0], width=pixels.shape[1],
        encoding=encoding, is_bigendian=0, step=pixels.strides[0], data=pixels.tobytes(),
    )  # fmt: skip


def depth_image(metres, frame_id="camera", nanosec=0):
    return image(np.asarray(metres, np.float32), "32FC1", frame_id, nanosec)


def color_image(rgb, frame_id="camera"):
    return image(np.asarray(rgb, np.uint8), "rgb8", frame_id)


def transform(rotation=None, translation=(0, 0, 0)):
    turn = np.eye(3) if rotation is None else rotation
    return SimpleNamespace(rotation=turn, translation=np.array(translation, float))


def reason(*args, **options) -> str:
    with pytest.raises(InputError) as error:
        depth_frame(*args, **options)
    return error.value.reason


def plane_depth(camera: CameraModel, normal, distance) -> np.ndarray:
    """Depth at which each ray of the camera meets the plane normal . p = distance."""
    return distance / (camera.rays().astype(np.float64) @ np.asarray(normal, float))


FLAT = np.full((HEIGHT, WIDTH), 2.0)
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


# Cameras


def test_a_pixel_is_the_ray_of_the_camera_matrix():
    rays = CameraModel.from_info(info()).rays()
    assert rays.shape == (HEIGHT, WIDTH, 3) and rays.dtype == np.float32
    np.testing.assert_allclose(rays[10, 20], [(20 - CX) / FX, (10 - CY) / FY, 1], rtol=1e-6)


def test_roi_and_binning():
    """A driver that reads out a part and bins it states K of the full image."""
    roi = SimpleNamespace(x_offset=8, y_offset=4, width=40, height=32, do_rectify=False)
    camera = CameraModel.from_info(info(roi=roi, binning_x=2, binning_y=4))
    assert (camera.width, camera.height) == (20, 8)
    full = CameraModel.from_info(info())
    u, v = 6, 3
    expected = full.rays()[4 + 4 * v, 8 + 2 * u]
    np.testing.assert_allclose(camera.rays()[v, u], expected, atol=1e-6)


def test_a_rectified_image_uses_p_and_no_distortion():
    p = [50.0, 0, 31, 0, 0, 51.0, 24, 0, 0, 0, 1, 0]
    camera = CameraModel.from_info(info(d=BROWN, p=p), rectified=True)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 51, 31, 24)
    assert camera.model == "pinhole"


def test_ros_1_names():
    old = info(d=BROWN)
    upper = SimpleNamespace(**{k.upper() if len(k) == 1 else k: v for k, v in vars(old).items()})
    assert CameraModel.from_info(upper) == CameraModel.from_info(old)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", BROWN),
        ("plumb_bob", BROWN[:4]),
        ("rational_polynomial", RATIONAL),
        ("rational_polynomial", (*RATIONAL, 0.002, -0.001, 0.001, 0.0005)),
    ],
)
def test_brown_conrady_distortion_is_undone(model, d):
    """OpenCV projects the rays back onto the pixels they came from."""
    camera = CameraModel.from_info(info(640, 480, (525, 530), (319.5, 239.5), model, d))
    rays = camera.rays().reshape(-1, 3).astype(np.float64)
    matrix = np.array([[525, 0, 319.5], [0, 530, 239.5], [0, 0, 1.0]])
    pixels, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, np.array(d))
    v, u = np.mgrid[:480, :640]
    np.testing.assert_allclose(pixels[:, 0], np.c_[u.ravel(), v.ravel()], atol=1e-3)
    np.testing.assert_allclose(np.transpose(camera.project(*rays.T)), pixels[:, 0], atol=1e-6)


@pytest.mark.parametrize("model", ["equidistant", "fisheye"])
def test_fisheye_distortion_is_undone(model):
    camera = CameraModel.from_info(info(640, 480, (285, 286), (319.5, 239.5), model, FISHEYE))
    rays = camera.rays().reshape(-1, 3).astype(np.float64)
    matrix = np.array([[285, 0, 319.5], [0, 286, 239.5], [0, 0, 1.0]])
    pixels, _ = cv2.fisheye.projectPoints(
        rays[:, None], np.zeros(3), np.zeros(3), matrix, np.array(FISHEYE)
    )
    v, u = np.mgrid[:480, :640]
    np.testing.assert_allclose(pixels[:, 0], np.c_[u.ravel(), v.ravel()], atol=1e-3)
    np.testing.assert_allclose(np.transpose(camera.project(*rays.T)), pixels[:, 0], atol=1e-6)


def test_corners_that_no_ray_reaches_are_not_invented():
    """Strong barrel distortion folds back: pixels beyond the fold have no ray."""
    camera = CameraModel.from_info(
        info(640, 480, (200, 200), (319.5, 239.5), d=(-0.35, 0, 0, 0, 0))
    )
    rays = camera.rays()
    assert np.isnan(rays[[0, 0, -1], [0, -1, 0]]).any(axis=1).all()
    assert np.isfinite(rays[200:280, 260:380]).all()
    frame = depth_frame(
        None, depth_image(np.full((480, 640), 2)),
        info(640, 480, (200, 200), (319.5, 239.5), d=(-0.35, 0, 0, 0, 0)),
    )  # fmt: skip
    assert len(frame) == np.isfinite(rays).all(axis=2).sum() and np.isfinite(frame.points).all()


def test_points_beyond_the_view_of_the_lens_have_no_pixel():
    """Brown-Conrady's polynomial would bring them back into the image, mirrored."""
    camera = CameraModel.from_info(
        info(640, 480, (200, 200), (319.5, 239.5), d=(-0.35, 0, 0, 0, 0))
    )
    points = np.array([[0.5, 0, 1], [1.6, 0, 1], [9, 9, 1], [0, 0, -1]])
    column, row = camera.project(*points.T)
    np.testing.assert_array_equal(np.isnan(column + row), [False, True, True, True])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fx 0", info(f=(0, 60))),
        ("fy -1", info(f=(60, -1))),
        ("fx nan", info(f=(np.nan, 60))),
        ("fx 0.1, fy 60, expected .* pixels, as the longer edge", info(f=(0.1, 60))),
        ("fy 1e.300, expected", info(f=(60, 1e300))),
        ("cx inf", info(c=(np.inf, 20))),
        ("k: got 4 numbers", info(k=[1, 2, 3, 4])),
        ("k: got .abc.", info(k="abc")),
        ("k: got 7", info(k=7)),
        ("1 to", info(width=0)),
        ("1 to", info(width=2**32 - 1, height=2**32 - 1)),
        ("height", info(height=None)),
        ("roi: got", info(roi=SimpleNamespace(x_offset=60, y_offset=0, width=10, height=5))),
        ("after ROI", info(roi=SimpleNamespace(x_offset=99, y_offset=0, width=0, height=0))),
        ("roi", info(roi=None)),
        ("1 to", info(binning_x=1000)),
        ("'omnidirectional'", info(model="omnidirectional", d=BROWN)),
        ("finite", info(d=(np.nan, 0, 0, 0, 0))),
        ("4 finite", info(model="equidistant", d=BROWN)),
        ("has no", SimpleNamespace()),
    ],
)
def test_bad_camera_info(text, message):
    with pytest.raises(InputError, match=text) as error:
        CameraModel.from_info(message)
    assert error.value.reason in ("bad_camera_info", "malformed")


def test_an_unknown_model_without_coefficients_is_a_pinhole():
    assert CameraModel.from_info(info(model="", d=[0.0] * 5)).model == "pinhole"


# Frames


def test_a_plane_comes_out_flat_with_its_colours():
    camera = CameraModel.from_info(info())
    normal, distance = np.array([0.1, -0.3, 1.0]), 2.0
    depth = depth_image(plane_depth(camera, normal, distance), nanosec=9)
    frame = depth_frame(color_image(RGB), depth, info(), source="head")
    assert len(frame) == WIDTH * HEIGHT and frame.points.dtype == np.float32
    np.testing.assert_allclose(frame.points @ normal, distance, atol=1e-5)
    np.testing.assert_array_equal(frame.colors, RGB.reshape(-1, 3))
    toward = -normal / np.linalg.norm(normal)
    np.testing.assert_allclose(frame.normals, np.broadcast_to(toward, (3072, 3)), atol=1e-3)
    assert (frame.stamp, frame.frame_id, frame.source) == (7_000_000_009, "camera", "head")


def test_pixels_without_reading_or_out_of_range_are_left_out():
    metres = FLAT.copy()
    metres[0, :4] = 0, np.nan, np.inf, -1
    metres[1, :2] = 0.2, 9
    frame = depth_frame(color_image(RGB), depth_image(metres), info(), min_range=0.5, max_range=5)
    kept = np.ones((HEIGHT, WIDTH), bool)
    kept[0, :4] = kept[1, :2] = False
    np.testing.assert_array_equal(frame.colors, RGB[kept])
    assert len(frame.points) == len(frame.normals) == kept.sum()


def test_the_range_is_the_distance_not_the_depth():
    frame = depth_frame(None, depth_image(FLAT), info(), max_range=2.05)
    assert 0 < len(frame) < WIDTH * HEIGHT
    assert np.linalg.norm(frame.points, axis=1).max() <= 2.05


def test_depth_alone():
    frame = depth_frame(None, depth_image(FLAT, "depth"), info(), normals=False)
    assert frame.colors is None and frame.normals is None and frame.frame_id == "depth"
    assert len(frame) == WIDTH * HEIGHT


def test_one_pixel():
    metres = np.zeros((HEIGHT, WIDTH))
    metres[10, 20] = 1
    frame = depth_frame(color_image(RGB), depth_image(metres), info())
    np.testing.assert_allclose(frame.points, [[(20 - CX) / FX, (10 - CY) / FY, 1]], rtol=1e-6)
    np.testing.assert_array_equal(frame.normals, np.zeros((1, 3)))
    single = info(1, 1, c=(0, 0))
    assert len(depth_frame(None, depth_image([[1.0]]), single)) == 1


def test_no_reading_at_all_is_empty():
    assert reason(color_image(RGB), depth_image(np.zeros((HEIGHT, WIDTH))), info()) == "empty"


def test_stages_are_timed():
    stages = []

    @contextmanager
    def watch(stage):
        stages.append(stage)
        yield

    depth_frame(color_image(RGB), depth_image(FLAT), info(), watch=watch)
    assert stages == ["decode", "normals"]


# Depth that is not registered to colour


SMALL = info(32, 24, (30, 31), (15, 12))
SMALL_FLAT = np.full((24, 32), 2.0)


@pytest.mark.parametrize(
    ("expected", "color", "depth", "options"),
    [
        ("size_mismatch", color_image(RGB), depth_image(SMALL_FLAT), {}),
        ("not_registered", color_image(RGB), depth_image(FLAT, "depth"), {}),
        ("not_registered", color_image(RGB), depth_image(SMALL_FLAT, "depth"), {}),
        (
            "not_registered",
            color_image(RGB),
            depth_image(SMALL_FLAT, "depth"),
            {"depth_info": SMALL},
        ),
    ],
)
def test_without_a_transform_it_is_refused(expected, color, depth, options):
    with pytest.raises(InputError, match="turn on aligned depth") as error:
        depth_frame(color, depth, info(), **options)
    assert error.value.reason == expected


def test_a_leading_slash_does_not_make_another_frame():
    assert len(depth_frame(color_image(RGB), depth_image(FLAT, "/camera"), info())) > 0


def test_images_that_do_not_fit_their_camera_info():
    assert reason(color_image(RGB), depth_image(FLAT), SMALL) == "bad_camera_info"
    assert reason(None, depth_image(SMALL_FLAT), info()) == "bad_camera_info"


@pytest.mark.parametrize("d", [(), BROWN])
def test_colours_are_sampled_where_the_colour_camera_sees_each_point(d):
    """The colour image holds each pixel's own place; the colour camera is turned and moved."""
    v, u = np.mgrid[:240, :320]
    places = np.stack([u // 2, v, 0 * u], axis=2)
    color_info = info(320, 240, (300, 305), (160, 120), d=d)
    turn, _ = cv2.Rodrigues(np.array([0.02, -0.05, 0.1]))
    move = np.array([0.05, -0.01, 0.02])
    depth_info = info(160, 120, (140, 141), (80, 60))
    metres = plane_depth(CameraModel.from_info(depth_info), [0.2, 0.1, 1], 1.5)
    frame = depth_frame(
        color_image(places, "color"), depth_image(metres, "depth"), color_info,
        depth_info=depth_info, depth_to_color=transform(turn, move),
    )  # fmt: skip
    assert frame.frame_id == "depth"
    matrix = np.array([[300, 0, 160], [0, 305, 120], [0, 0, 1.0]])
    pixels, _ = cv2.projectPoints(
        frame.points.astype(np.float64),
        cv2.Rodrigues(turn)[0],
        move,
        matrix,
        np.array(d or [0] * 4),
    )
    np.testing.assert_allclose(frame.colors[:, 0] * 2.0 + 0.5, pixels[:, 0, 0], atol=1.01)
    np.testing.assert_allclose(frame.colors[:, 1], pixels[:, 0, 1], atol=0.51)
    assert 0.6 * 160 * 120 < len(frame) < 160 * 120


def test_half_size_depth_of_the_same_frame_needs_no_transform():
    small = info(32, 24, (FX / 2, FY / 2), (CX / 2, CY / 2))
    frame = depth_frame(color_image(RGB), depth_image(SMALL_FLAT), info(), depth_info=small)
    np.testing.assert_array_equal(frame.colors, RGB[::2, ::2].reshape(-1, 3))


def test_points_hidden_from_the_colour_camera_do_not_take_the_colour_of_what_hides_them():
    """A red board at 1 m before a blue wall at 3 m; the colour camera is 0.2 m to the right."""
    camera = info(160, 120, (150, 150), (80, 60))
    metres = np.full((120, 160), 3.0)
    metres[:, 60:90] = 1.0
    board_right, board_left = (89 - 80) / 150 - 0.2, (60 - 80) / 150 - 0.2
    u = np.arange(160)
    x = (u - 80) / 150
    rgb = np.zeros((120, 160, 3))
    rgb[...] = (0, 0, 255)
    rgb[:, (x >= board_left - 1 / 300) & (x <= board_right + 1 / 300)] = (255, 0, 0)
    frame = depth_frame(
        color_image(rgb, "color"), depth_image(metres, "depth"), camera,
        depth_info=camera, depth_to_color=transform(translation=(-0.2, 0, 0)),
    )  # fmt: skip
    wall = frame.points[:, 2] > 2
    is_red = frame.colors[:, 0] == 255
    assert is_red[~wall].mean() > 0.95 and (~wall).sum() > 120 * 20
    assert not is_red[wall].any() and wall.sum() > 120 * 60


def test_a_colour_camera_that_looks_away_sees_nothing():
    behind = transform(np.diag([-1.0, 1, -1]))
    color, depth = color_image(RGB, "color"), depth_image(FLAT, "depth")
    assert reason(color, depth, info(), depth_info=info(), depth_to_color=behind) == "empty"


# Anything at all


junk = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=3),
    st.lists(st.floats(), max_size=14), st.lists(st.integers(0, 3), max_size=3),
)  # fmt: skip
sizes = st.one_of(st.just(WIDTH), st.integers(0, 70), junk)
models = st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant", ""])
wild = st.fixed_dictionaries(
    {},
    optional={
        "width": sizes, "height": sizes, "binning_x": st.one_of(st.integers(0, 3), junk),
        "binning_y": st.one_of(st.integers(0, 3), junk),
        "distortion_model": st.one_of(models, junk),
        "d": st.one_of(st.lists(st.floats(-2, 2), max_size=14), junk),
        "k": st.one_of(st.lists(st.floats(), min_size=9, max_size=9), junk),
        "p": st.one_of(st.lists(st.floats(), min_size=12, max_size=12), junk),
        "roi": st.one_of(
            st.builds(SimpleNamespace, x_offset=sizes, y_offset=sizes, width=sizes, height=sizes),
            junk,
        ),
    },
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(changes=wild, rectified=st.booleans(), registered=st.booleans())
def test_any_camera_info_gives_a_frame_or_an_input_error(changes, rectified, registered):
    camera = info()
    vars(camera).update(changes)
    more = {} if registered else {"depth_info": camera, "depth_to_color": transform()}
    depth = depth_image(FLAT, "camera" if registered else "depth")
    try:
        frame = depth_frame(color_image(RGB), depth, camera, depth_rectified=rectified, **more)
    except InputError:
        return
    assert np.isfinite(frame.points).all() and np.isfinite(frame.normals).all()


# Recordings


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the recordings in ../shared/data")
def test_the_recorded_cloud_is_found_again_from_the_recorded_depth_image():
    from rosbags.highlevel import AnyReader
    from scipy.spatial import cKDTree

    topics = {}
    with AnyReader([DATA / "rgbd_desk_bag"]) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            topics.setdefault(connection.topic, []).append(message)
    color = topics["/camera/color/image_raw"][4]
    depth = topics["/camera/aligned_depth_to_color/image_raw"][4]
    camera = topics["/camera/color/camera_info"][4]
    driver = decode_point_cloud(topics["/camera/depth/color/points"][4])
    frame = depth_frame(color, depth, camera)
    apart, nearest = cKDTree(frame.points).query(driver.points)
    assert apart.max() < 1e-5
    np.testing.assert_array_equal(frame.colors[nearest], driver.colors)
