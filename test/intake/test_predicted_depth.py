# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera without a depth sensor: its frames have the depth that a model predicts."""

from __future__ import annotations

from dataclasses import replace

import bag_recordings as bags
import numpy as np
import pytest

from concerto_ros.files.data_error import DataError
from concerto_ros.intake import predicted_depth
from concerto_ros.intake.intake import Intake
from concerto_ros.intake.opening import open_input
from concerto_ros.intake.pace import TurnPace
from concerto_ros.intake.placing import Lookup
from concerto_ros.intake.tally import NoTally
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.posed.geometry import Geometry
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import Transform
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.inputs import CameraInput
from concerto_ros.settings.settings import Settings, named

SETTINGS = Settings(device="cpu").with_preset()
TOPICS = {"color_topic": "/eye/image_raw", "info_topic": "/eye/camera_info"}
MODEL = "map-anything-apache"


class HalfSize:
    """Sees a wall 2 m away, at half the size of the image; the right half is unknown."""

    name, metric, predicts_poses = MODEL, True, True

    def __call__(self, images, intrinsics=None, poses=None):
        self.intrinsics = intrinsics
        height, width = images[0].shape[:2]
        depth = np.full((1, height // 2, width // 2), 2.0, np.float32)
        depth[..., width // 4 :] = np.nan
        return Geometry(depth, None, None)


class Counted(NoTally):
    """Reasons of what was dropped."""

    def __init__(self):
        self.reasons = []

    def dropped(self, name, reason, text="", count=1):
        self.reasons.append((reason, text))


@pytest.fixture
def model(monkeypatch):
    model = HalfSize()
    monkeypatch.setattr(predicted_depth, "load_depth_model", lambda name, device: model)
    return model


def camera(**options):
    return open_input(CameraInput("front", **TOPICS, depth_model=MODEL, **options), SETTINGS)


def color(time=0):
    pixels = np.zeros((24, 32, 3), np.uint8)
    pixels[:, :16], pixels[:, 16:] = (250, 10, 10), (10, 10, 250)
    return bags.image(time, "rgb8", pixels)


def test_a_frame_has_the_predicted_depth_at_the_place_and_stamp_of_its_image(model):
    source, tally = camera(), Counted()
    assert [(topic.name, topic.kind) for topic in source.topics] == [
        ("/eye/camera_info", "info"),
        ("/eye/image_raw", "color"),
    ]
    source.receive("color", color(), tally)
    assert tally.reasons == [("unpaired", "no camera_info on /eye/camera_info yet")]
    source.receive("info", bags.camera_info(0), tally)
    source.receive("color", color(bags.STEP), tally)
    frame = source.decode(source.take(), SETTINGS, None)
    assert (frame.frame_id, frame.stamp, frame.source) == ("eye", bags.START + bags.STEP, "front")
    assert len(frame) == 12 * 8  # the left half of a depth image of half the size
    assert (frame.points[:, 2] == 2).all()
    np.testing.assert_array_equal(frame.colors, np.tile([250, 10, 10], (96, 1)))
    matrix = model.intrinsics[0]
    assert (matrix[0, 0], matrix[0, 2], matrix[1, 2]) == (30, 16, 12)
    # Pixel (0, 0) of the half shows what is between the first two of the image.
    np.testing.assert_allclose(frame.points[0, :2], [2 * (0.5 - 16) / 30, 2 * (0.5 - 12) / 30])
    assert frame.view is not None
    assert camera(clears=False).config.clears is False


class Odom(Lookup):
    """The camera is 1 m above odom and looks along x."""

    def _find(self, target, source, stamp):
        assert (target, source) == ("odom", "eye")
        return Transform(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([0.0, 0, 1]))


class Parameters:
    settings = SETTINGS


def test_predicted_points_reach_the_map_where_tf_places_the_camera(model):
    source, tally = camera(), Counted()
    voxels = VoxelMap(0.04, window_seconds=10.0, max_voxels=10_000)
    intake = Intake([source], voxels, Odom(), Parameters, TurnPace(5.0, 0), tally)
    source.receive("info", bags.camera_info(0), tally)
    source.receive("color", color(), tally)
    intake.advance(source, 0, last=True)
    points = voxels.snapshot().points
    assert tally.reasons == [] and len(points) > 10
    np.testing.assert_allclose(points[:, 0], 2, atol=1e-5)  # the wall, ahead
    assert points[:, 1].min() > 0  # the left half


def test_images_that_do_not_fit_their_camera_info_are_refused(model):
    source = camera()
    source.hold("info", bags.camera_info(0, width=64, height=48))
    source.receive("color", color(), NoTally())
    with pytest.raises(InputError, match="got 32x24 pixels, expected 64x48"):
        source.decode(source.take(), SETTINGS, None)
    bent = bags.camera_info(0)
    source.hold("info", replace(bent, d=np.array([0.3, 0, 0, 0, 0])))
    source.receive("color", color(), NoTally())
    with pytest.raises(InputError, match="got plumb_bob, expected a rectified image for map-any"):
        source.decode(source.take(), SETTINGS, None)


def test_a_model_that_cannot_be_loaded_is_said_by_its_parameter(monkeypatch):
    def missing(name, device):
        raise DataError(f"depth model {name} is not on this machine")

    monkeypatch.setattr(predicted_depth, "load_depth_model", missing)
    with pytest.raises(SettingsError, match=r"cameras\.front\.depth_model: depth model map-any"):
        camera()


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"depth_topic": "/depth"}, r"cameras.front.depth_topic: got '/depth' beside depth_model"),
        ({"depth_info_topic": "/i"}, r"depth_info_topic: got '/i' beside depth_model"),
        ({"color_topic": ""}, r"cameras.front.color_topic: got '', expected a name such as"),
        ({"depth_model": ""}, r"cameras.front.depth_topic: got '', expected a name such as"),
        ({"depth_model": "vggt"}, r"depth_model: got 'vggt', expected a model that predicts met"),
        ({"depth_model": "da3-base"}, r"got 'da3-base', expected .* metres: map-anything-apache"),
    ],
)
def test_parameters_that_contradict_a_predicted_depth_are_refused(changed, message):
    given = TOPICS | {"depth_model": MODEL} | changed
    values = {f"cameras.front.{name}": value for name, value in given.items()}
    with pytest.raises(SettingsError, match=message):
        named("camera_names", "front", values)
    assert (
        named(
            "camera_names",
            "front",
            {"cameras.front.info_topic": "/i", "cameras.front.depth_topic": "/d"},
        ).depth_model
        == ""
    )
