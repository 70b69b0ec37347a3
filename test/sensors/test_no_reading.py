# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that sensors send where they measured nothing: no distances, and they clear nothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors import no_reading
from concerto_ros.sensors.images import decode_depth
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.point_cloud2 import decode_point_cloud
from concerto_ros.settings import inputs

HEIGHT, WIDTH = 48, 64
FLT_MAX = float(np.finfo(np.float32).max)
ROI = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
INFO = SimpleNamespace(
    width=WIDTH, height=HEIGHT, k=[50, 0, 32, 0, 50, 24, 0, 0, 1], d=[], roi=ROI,
    p=[50, 0, 32, 0, 0, 50, 24, 0, 0, 0, 1, 0], distortion_model="", binning_x=0, binning_y=0,
)  # fmt: skip

#: The middle of the image.
MIDDLE = (slice(8, 40), slice(8, 56))


def header(second):
    return SimpleNamespace(stamp=SimpleNamespace(sec=second, nanosec=0), frame_id="sensor")


def depth_image(pixels, encoding, second=1):
    return SimpleNamespace(
        header=header(second), height=HEIGHT, width=WIDTH, encoding=encoding, is_bigendian=0,
        step=pixels.strides[0], data=pixels.tobytes(),
    )  # fmt: skip


def cloud(points, second=1):
    points = np.asarray(points, np.float32)
    fields = [
        SimpleNamespace(name=name, offset=4 * i, datatype=7, count=1)
        for i, name in enumerate("xyz")
    ]
    return SimpleNamespace(
        header=header(second), height=1, width=len(points), fields=fields, is_bigendian=False,
        point_step=12, row_step=12 * len(points), data=points.tobytes(), is_dense=False,
    )  # fmt: skip


def cleared(frames):
    """How many voxels of the first frame the frames after it remove."""
    voxels = VoxelMap(0.04, window_seconds=100, max_voxels=100_000, clear_after=2)
    return sum(voxels.insert(frame, np.zeros(3)).cleared for frame in frames)


def images(in_the_middle, encoding, wall=2.0, **limits):
    """A wall at 2 m, and then three images with another depth in their middle."""
    unit, dtype = (1000, np.uint16) if "U" in encoding or "mono" in encoding else (1, np.float32)
    limits = {"min_range": 0.2, "max_range": 8.0} | limits
    for second in range(4):
        depth = np.full((HEIGHT, WIDTH), wall * unit, dtype)
        if second:
            depth[MIDDLE] = in_the_middle
        yield depth_frame(None, depth_image(depth, encoding, second + 1), INFO, **limits)


@pytest.mark.parametrize("max_range", [8.0, 60.0, 1000.0, np.inf])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@pytest.mark.parametrize("number", [0, 65535, 65534, 32767, 16383, 10000, 6553])
def test_no_reading_in_millimetres_clears_nothing(number, encoding, max_range):
    frames = list(images(number, encoding, max_range=max_range))
    assert cleared(frames) == 0
    assert len(frames[1]) == HEIGHT * WIDTH - 32 * 48


@pytest.mark.parametrize("max_range", [8.0, 1000.0, np.inf])
@pytest.mark.parametrize("encoding", ["32FC1", "64FC1"])
@pytest.mark.parametrize(
    "metres",
    [0, np.nan, np.inf, -np.inf, -1, 10, 65.535, 65.534, 32.767, 1000, 1e4, 65504, 1e10, FLT_MAX],
)
def test_no_reading_in_metres_clears_nothing(metres, encoding, max_range):
    dtype = np.float64 if encoding == "64FC1" else np.float32
    pixels = np.full((HEIGHT, WIDTH), 2, dtype)
    pixels[MIDDLE] = metres
    depth = decode_depth(depth_image(pixels, encoding))
    assert np.isnan(depth[MIDDLE]).all() and np.isfinite(depth).sum() == HEIGHT * WIDTH - 32 * 48
    assert cleared(images(metres, "32FC1", max_range=max_range)) == 0


@pytest.mark.parametrize("metres", [10.5, 12.0, 30.0, 65.0, 655.35])
def test_readings_far_beyond_the_range_of_the_map_clear_nothing(metres):
    assert cleared(images(metres, "32FC1", max_range=8.0)) == 0


@pytest.mark.parametrize("metres", [3.0, 7.9, 9.0])
def test_readings_behind_the_wall_clear_it_up_to_a_margin_beyond_the_range(metres):
    assert cleared(images(metres, "32FC1", max_range=8.0)) > 400


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_a_stereo_camera_that_sees_thirty_metres_keeps_its_readings(encoding):
    unit = 1000 if encoding == "16UC1" else 1
    frames = list(images(30 * unit, encoding, max_range=60.0))
    assert len(frames[1]) == HEIGHT * WIDTH and cleared(frames) > 500


def test_a_camera_with_another_number_for_no_reading_says_so():
    given = {"max_range": 60.0, "no_reading": (40.0,)}
    assert cleared(images(40_000, "16UC1", max_range=60.0)) > 500
    assert cleared(images(40_000, "16UC1", **given)) == 0
    assert cleared(images(10_000, "16UC1", **given)) > 500
    assert cleared(images(65_535, "16UC1", max_range=60.0, no_reading=())) > 0


def test_an_image_of_nothing_but_no_readings_is_empty():
    pixels = np.full((HEIGHT, WIDTH), 65535, np.uint16)
    with pytest.raises(InputError) as error:
        depth_frame(None, depth_image(pixels, "16UC1"), INFO, max_range=100.0)
    assert error.value.reason == "empty"


def scan(distance, ahead):
    """Points of a LiDAR around it at a distance, at another one in the 40 degrees ahead."""
    azimuth, elevation = np.meshgrid(
        np.arange(-np.pi, np.pi, np.radians(0.2)), np.radians(np.linspace(-20, 20, 32))
    )
    rays = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
         np.sin(elevation)], axis=-1,
    )  # fmt: skip
    far = np.where(np.abs(azimuth) < np.radians(20), ahead, distance)
    return (rays * far[..., None]).reshape(-1, 3)


def scans(ahead, **limits):
    limits = {"min_range": 0.2, "max_range": 60.0} | limits
    yield decode_point_cloud(cloud(scan(4.0, 4.0), 1), **limits)
    for second in (2, 3, 4):
        yield decode_point_cloud(cloud(scan(4.0, ahead), second), **limits)


@pytest.mark.parametrize("max_range", [60.0, 1000.0, np.inf])
@pytest.mark.parametrize("metres", [0.0, np.nan, np.inf, 1000.0, 1e4, 1e19])
def test_rays_without_a_return_clear_nothing(metres, max_range):
    assert cleared(scans(metres, max_range=max_range)) == 0


@pytest.mark.parametrize("metres", [80.0, 100.0, 120.0, 300.0])
def test_points_at_the_range_of_the_sensor_clear_nothing_beyond_that_of_the_map(metres):
    assert cleared(scans(metres)) == 0


def test_points_at_the_range_of_the_sensor_are_none_where_the_parameter_says_so():
    """Simulated LiDARs that add points at their maximum range."""
    assert cleared(scans(30.0)) > 100
    frames = list(scans(30.0, no_reading=(30.0,)))
    assert cleared(frames) == 0
    assert np.linalg.norm(frames[1].points, axis=1).max() < 5


@pytest.mark.parametrize("metres", [8.0, 59.0, 70.0])
def test_returns_behind_clear_up_to_a_margin_beyond_the_range(metres):
    assert cleared(scans(metres)) > 100


def test_the_parameters_have_the_defaults_of_the_decoders():
    assert inputs.CAMERA_NO_READING == no_reading.CAMERA_NO_READING
    assert inputs.CLOUD_NO_READING == no_reading.CLOUD_NO_READING
