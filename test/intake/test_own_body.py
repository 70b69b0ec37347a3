# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a sensor sees of its own robot does not reach the map."""

from __future__ import annotations

import bag_recordings
import numpy as np
import pytest

from concerto_ros.intake.intake import Intake
from concerto_ros.intake.opening import open_input
from concerto_ros.intake.own_body import without_body
from concerto_ros.intake.pace import TurnPace
from concerto_ros.intake.placing import Lookup
from concerto_ros.intake.tally import NoTally
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.sensors.frame import Frame, OriginalPoints
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import Transform, TransformUnavailable
from concerto_ros.settings.inputs import CloudInput
from concerto_ros.settings.settings import Settings

BOX = (-0.4, -0.3, 0.0, 0.4, 0.3, 0.9)


class Fixed(Lookup):
    """The lidar is 1 m above base_link and looks to its left; base_link is 5 m along odom."""

    LEFT = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

    def _find(self, target, source, stamp):
        if (target, source) == ("base_link", "lidar"):
            return Transform(self.LEFT, np.array([0.0, 0, 1]))
        if (target, source) == ("odom", "lidar"):
            return Transform(self.LEFT, np.array([5.0, 0, 1]))
        if (target, source) == ("odom", "base_link"):
            return Transform(np.eye(3), np.array([5.0, 0, 0]))
        raise TransformUnavailable(f"no transform from {source} to {target}", retry=False)


def frame(*points):
    rows = np.float32(points)
    return Frame(
        rows,
        1,
        "lidar",
        colors=np.arange(3 * len(rows), dtype=np.uint8).reshape(-1, 3),
        normals=np.tile(np.float32([0, 0, 1]), (len(rows), 1)),
        intensity=np.arange(len(rows), dtype=np.float32),
        original=OriginalPoints(rows, (1, len(rows)), 1, "lidar"),
    )


def config(**options):
    return CloudInput("front", "/points", **options)


def test_by_default_nothing_is_ignored():
    seen = frame([0, 0, 0], [0.1, 0, 0])
    assert without_body(seen, config(), "base_link", Fixed()) is seen
    assert without_body(seen, config(ignore_box=(0.0,)), "", Fixed()) is seen


def test_a_box_is_in_robot_frame():
    # (0.35, 0.1, -0.5) of the lidar is (-0.1, 0.35, 0.5) of base_link: beside the robot.
    seen = frame([0.1, 0.35, -0.5], [0.35, 0.1, -0.5], [0, 0, 0.2])
    kept = without_body(seen, config(ignore_box=BOX), "base_link", Fixed())
    np.testing.assert_array_equal(kept.points, seen.points[1:])
    np.testing.assert_array_equal(kept.colors, seen.colors[1:])
    np.testing.assert_array_equal(kept.normals, seen.normals[1:])
    np.testing.assert_array_equal(kept.intensity, seen.intensity[1:])
    assert (kept.ignored, len(kept.original.points), kept.frame_id) == (1, 3, "lidar")


def test_a_box_is_in_the_frame_of_the_points_without_a_robot_frame():
    seen = frame([0.35, 0.1, 0.5], [0.1, 0.35, 0.5])
    kept = without_body(seen, config(ignore_box=BOX), "", Fixed())
    np.testing.assert_array_equal(kept.points, seen.points[1:])


@pytest.mark.parametrize(("robot_frame", "expected"), [("", [1, 2]), ("base_link", [0, 2])])
def test_a_radius_is_around_the_origin_of_the_same_frame(robot_frame, expected):
    seen = frame([0, 0, 0.8], [0, 0, -1.1], [3, 0, 0])
    kept = without_body(seen, config(ignore_radius=0.9), robot_frame, Fixed())
    np.testing.assert_array_equal(kept.points, seen.points[expected])


def test_box_and_radius_work_together():
    seen = frame([0.35, 0.1, 0.5], [0.1, 0.1, -0.1], [2, 0, 0])
    kept = without_body(seen, config(ignore_box=BOX, ignore_radius=0.3), "", Fixed())
    assert (len(kept), kept.ignored) == (1, 2)


def test_a_message_of_nothing_but_the_robot_is_empty():
    with pytest.raises(InputError, match="got 2 points, all of them in ignore_box") as error:
        without_body(frame([0, 0, 0], [0, 0, 0.1]), config(ignore_radius=1.0), "", Fixed())
    assert error.value.reason == "empty"


def test_without_the_transform_of_the_robot_nothing_is_guessed():
    with pytest.raises(TransformUnavailable, match="no transform from lidar to torso"):
        without_body(frame([0, 0, 0]), config(ignore_box=BOX), "torso", Fixed())


class Counting(NoTally):
    ignored = fused_points = 0
    why = ""

    def fused(self, name, frame, insertion, stage_ms):
        self.ignored += frame.ignored
        self.fused_points += len(frame)

    def dropped(self, name, reason, text="", count=1):
        self.why = f"{reason}: {text}"


class Parameters:
    settings = Settings(robot_frame="base_link").with_preset()


def test_messages_pass_the_filter_on_their_way_into_the_map():
    source = open_input(config(ignore_radius=2.5), Parameters.settings)
    voxels, tally = VoxelMap(0.04, window_seconds=10.0, max_voxels=10_000), Counting()
    intake = Intake([source], voxels, Fixed(), Parameters, TurnPace(5.0, 0), tally)
    source.receive("cloud", bag_recordings.cloud(0), tally)
    intake.advance(source, 0, last=True)
    points = voxels.snapshot().points
    assert tally.ignored > 10 and tally.ignored + tally.fused_points == 300, tally.why
    assert np.linalg.norm(points - [5, 0, 0], axis=1).min() > 2.5
