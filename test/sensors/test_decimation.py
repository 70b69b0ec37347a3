# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of which not every pixel becomes a point."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from concerto_ros.intake.intake import Intake
from concerto_ros.intake.opening import open_input
from concerto_ros.intake.pace import TurnPace
from concerto_ros.intake.placing import Lookup
from concerto_ros.intake.tally import NoTally
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.posed.as_messages import camera_info, color_message, depth_message, header_of
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.images.decimation import sufficient_decimation
from concerto_ros.sensors.images.depth_frame import depth_frame
from concerto_ros.sensors.transform_tree import Transform
from concerto_ros.settings.inputs import CameraInput
from concerto_ros.settings.settings import Settings

WIDTH, HEIGHT, FOCAL = 61, 47, 60.0
MATRIX = np.array([[FOCAL, 0, 30.0], [0, FOCAL, 23.0], [0, 0, 1]])
INFO = camera_info(MATRIX, (HEIGHT, WIDTH))
HEADER = header_of(1)
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
#: Metres, edge of a voxel on which four pixels fall up to 23 m.
FOUR_PIXELS = 1.6
NORMAL = np.array([0.1, -0.3, 1.0])
#: A plane that faces the camera, 2 m away.
PLANE = (2.0 / (CameraModel.from_info(INFO).rays() @ NORMAL)).astype(np.float32)


def frame_of(metres=PLANE, rgb=RGB, **options):
    return depth_frame(color_message(rgb, HEADER), depth_message(metres, HEADER), INFO, **options)


def grid(frame):
    """The columns and rows of the pixels that became points."""
    columns, rows = (frame.points[:, :2] / frame.points[:, 2:] * FOCAL + [30, 23]).T
    return np.unique(columns.round()).tolist(), np.unique(rows.round()).tolist()


@pytest.mark.parametrize("every", (1, 2, 3, 5, 16))
def test_on_a_surface_points_and_colours_are_those_of_every_so_many_th_pixel(every):
    whole, part = frame_of(), frame_of(decimation=every)
    columns, rows = grid(part)
    assert len(part) == len(columns) * len(rows)
    assert set(np.diff(columns)) | set(np.diff(rows)) == {every}
    chosen = np.ix_(np.array(rows, int), np.array(columns, int))
    for name in ("points", "colors"):
        values = getattr(whole, name).reshape(HEIGHT, WIDTH, 3)[chosen].reshape(-1, 3)
        np.testing.assert_array_equal(getattr(part, name), values)


def test_normals_are_still_those_of_the_surface():
    part = frame_of(decimation=3)
    toward = np.broadcast_to(-NORMAL / np.linalg.norm(NORMAL), part.points.shape)
    np.testing.assert_allclose(part.normals, toward, atol=1e-3)


@pytest.mark.parametrize("every", (2, 3))
def test_the_floor_before_a_low_robot_has_normals(every):
    """0.3 m below a camera that looks ahead rows 3 m away are 6 cm apart, 12 with every second."""
    matrix = np.array([[385.0, 0, 320], [0, 385, 240], [0, 0, 1]])
    info = camera_info(matrix, (480, 640))
    down = CameraModel.from_info(info).rays()[..., 1]
    metres = np.divide(0.3, down, where=down > 0.1, out=np.zeros_like(down)).astype(np.float32)
    floor = depth_frame(None, depth_message(metres, HEADER), info, decimation=every)
    toward = np.broadcast_to([0, -1, 0], floor.points.shape)
    np.testing.assert_allclose(floor.normals, toward, atol=1e-2)


def test_an_image_smaller_than_the_step_gives_one_point():
    tiny = camera_info(np.array([[9.0, 0, 1], [0, 9, 1], [0, 0, 1]]), (3, 3))
    depth = depth_message(np.ones((3, 3), np.float32), HEADER)
    only = depth_frame(None, depth, tiny, decimation=16)
    assert len(only) == 1 and only.decimation == 3


def of_pixels(frame):
    """The column and row of the pixel that each point is of."""
    return (frame.points[:, :2] / frame.points[:, 2:] * FOCAL + [30, 23]).round().astype(int).T


@pytest.mark.parametrize("every", (2, 3, 4))
@pytest.mark.parametrize("column", (30, 31, 32, 33))
def test_a_pole_of_one_pixel_is_seen_wherever_it_stands(every, column):
    metres = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    metres[:, column] = 1.0
    part = frame_of(metres, decimation=every)
    pole = part.points[:, 2] == 1
    columns, rows = of_pixels(part)
    assert len(np.unique(rows[pole])) == len(np.unique(rows)) and (columns[pole] == column).all()
    np.testing.assert_array_equal(part.colors, RGB[rows, columns])


def test_noise_changes_nothing_about_which_pixels_are_used():
    noise = np.random.default_rng(1).normal(0, 0.003, PLANE.shape)
    metres = (PLANE + PLANE**2 * noise).astype(np.float32)
    columns, rows = of_pixels(frame_of(metres, decimation=3))
    assert set(columns) == set(range(1, WIDTH, 3)) and set(rows) == set(range(1, HEIGHT, 3))


def test_a_single_reading_before_all_others_of_its_block_is_no_obstacle():
    """At the edge of an object a pixel often measures a distance between the two surfaces."""
    metres = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    metres[::4, ::4] = 3.0
    assert (frame_of(metres, decimation=4).points[:, 2] == 4).all()


def test_of_readings_with_gaps_between_them_no_block_is_lost():
    """Depth that was registered to a larger colour image without filling the holes."""
    metres = np.zeros((HEIGHT, WIDTH), np.float32)
    metres[: HEIGHT - 3 : 4, : WIDTH - 3 : 4] = 2.0
    for every in (1, 2, 4):
        assert len(frame_of(metres, decimation=every)) == np.count_nonzero(metres)


def test_readings_out_of_range_do_not_hide_those_of_their_block():
    metres = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    metres[::2], metres[:, ::2] = 0.1, 9.0
    limits = {"min_range": 0.2, "max_range": 8.0, "decimation": 2}
    part = frame_of(metres, **limits)
    assert len(part) == (HEIGHT // 2) * (WIDTH // 2) and (part.points[:, 2] == 2).all()


def test_free_space_counts_every_pixel():
    metres = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    metres[20, 31] = 1.0
    part = frame_of(metres, decimation=4)
    assert (part.points[:, 2] == 4).all()
    beside = [[1 / FOCAL, -3 / FOCAL, 1], [0.6, 0, 2]]
    assert part.view.sees_through(np.array(beside), 0.04).tolist() == [False, True]


def test_depth_that_is_not_registered_is_decimated_before_it_is_coloured():
    """A red board at 1 m before a blue wall at 3 m; the colour camera is 0.2 m to the right."""
    matrix = np.array([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]])
    info = camera_info(matrix, (120, 160))
    metres = np.full((120, 160), 3.0, np.float32)
    metres[:, 60:90] = 1.0
    x = (np.arange(160) - 80) / 150
    red = (x >= (60 - 80) / 150 - 0.2 - 1 / 300) & (x <= (89 - 80) / 150 - 0.2 + 1 / 300)
    rgb = np.where(red[None, :, None], (255, 0, 0), (0, 0, 255)) * np.ones((120, 1, 1))
    color = color_message(rgb, SimpleNamespace(stamp=HEADER.stamp, frame_id="color"))
    to_color = SimpleNamespace(rotation=np.eye(3), translation=np.array([-0.2, 0, 0]))
    part = depth_frame(
        color, depth_message(metres, HEADER), info,
        depth_info=info, depth_to_color=to_color, decimation=3,
    )  # fmt: skip
    wall = part.points[:, 2] > 2
    is_red = part.colors[:, 0] == 255
    assert not is_red[wall].any() and wall.sum() > 120 * 60 / 9
    assert is_red[~wall].mean() > 0.95


@pytest.mark.parametrize(
    ("focal", "voxel_size", "expected"),
    [
        (525.0, 0.04, 2),  # a Kinect, and the voxels of the bundled indoor model
        (385.0, 0.04, 2),  # a RealSense D455
        (605.0, 0.04, 3),  # an Azure Kinect whose depth is registered to colours of 1280 x 720
        (525.0, 0.02, 1),  # the voxels of the official indoor models
        (700.0, 0.16, 7),  # a ZED, and the voxels of the bundled outdoor model: up to 7.5 m
        (525.0, 0.36, 8),
        (60.0, 0.04, 1),
        (525.0, 0.0, 1),
    ],
)
def test_two_points_fall_on_the_edge_of_a_voxel(focal, voxel_size, expected):
    matrix = np.array([[focal, 0, 320], [0, focal + 1, 240], [0, 0, 1]])
    camera = CameraModel.from_info(camera_info(matrix, (480, 640)))
    assert sufficient_decimation(camera, voxel_size) == expected


def test_zero_is_as_few_as_the_map_needs():
    assert len(frame_of(decimation=0, voxel_size=FOUR_PIXELS)) == len(frame_of(decimation=2))
    original = frame_of(decimation=0, voxel_size=FOUR_PIXELS, original=True)
    assert len(original) == len(original.original.points) == WIDTH * HEIGHT


@pytest.mark.parametrize(
    ("decimation", "points", "expected"),
    [(0, "voxels", 2), (1, "voxels", 1), (3, "voxels", 3), (0, "input", 1), (3, "input", 3)],
)
def test_an_input_follows_its_parameters(decimation, points, expected):
    values = {"voxel_size": FOUR_PIXELS, "labels.points": points}
    settings = Settings.from_mapping(values).with_preset()
    config = CameraInput("eye", depth_topic="/depth", info_topic="/info", decimation=decimation)
    source, tally = open_input(config, settings), NoTally()
    source.receive("info", INFO, tally)
    source.receive("depth", depth_message(PLANE, HEADER), tally)
    frame = source.decode(source.take(), settings, None)
    assert len(frame) == len(frame_of(decimation=expected))


class Still(Lookup):
    """The camera is where the fixed frame is."""

    def _find(self, target, source, stamp):
        return Transform(np.eye(3), np.zeros(3))


class Taken(NoTally):
    """The number of points that were fused."""

    def fused(self, name, frame, insertion, milliseconds):
        self.points = insertion.points


class Parameters:
    settings = Settings().with_preset()


def test_the_voxels_that_count_are_those_of_the_map():
    """The parameter voxel_size is 0 where the model decides."""
    voxels = VoxelMap(FOUR_PIXELS, window_seconds=10.0, max_voxels=10_000)
    config = CameraInput("eye", depth_topic="/depth", info_topic="/info")
    source, tally = open_input(config, Parameters.settings), Taken()
    intake = Intake([source], voxels, Still(), Parameters, TurnPace(5.0, 0), tally)
    source.receive("info", INFO, tally)
    source.receive("depth", depth_message(PLANE, HEADER), tally)
    intake.advance(source, 0, last=True)
    assert tally.points == len(frame_of(decimation=2))
