# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The services of the perception node, called over DDS."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from geometry_msgs.msg import Point
from node_harness import ONE_CLOUD, SECOND, START, call, cloud_message
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.services.base import ServiceBase
from concerto_ros.ros.stages.stage import Requests
from concerto_ros.srv import (
    Embed,
    Find,
    FindObjects,
    Forget,
    GetFeatures,
    GetLabelAt,
    LoadMap,
    SaveHead,
    SaveMap,
    SetWords,
    Teach,
)


def label_at(one, x: float, y: float, z: float, frame: str = "odom"):
    request = GetLabelAt.Request(point=Point(x=x, y=y, z=z), frame_id=frame)
    return call(one, GetLabelAt, "get_label_at", request)


@pytest.fixture
def quiet(harness):
    """An active node to which nobody listens."""
    one = harness(**ONE_CLOUD)
    one.start()
    return one


def test_a_label_can_be_asked_for_while_nobody_listens(quiet):
    points = quiet.send_room()
    quiet.wait_for_fused(1)
    asked = [float(value) for value in points[3]]
    answer = label_at(quiet, *asked)
    assert answer.success and answer.message == ""
    classes = quiet.node._configured.pipeline.labels.classes
    assert answer.class_name == classes[answer.label].name
    assert 0 < answer.confidence <= 1 and 0 <= answer.entropy < 1
    assert answer.stamp.sec == START // SECOND
    assert label_at(quiet, *asked, frame="").label == answer.label
    quiet.wait(lambda: quiet.status.inferences >= 2, "the status")
    assert quiet.status.inferences == 2  # as many as were asked for


def test_the_label_is_the_one_that_is_published(active):
    points = active.send_room()
    labels = active.labels(START)
    voxels = np.floor(np.stack([labels[axis] for axis in "xyz"], 1).astype(np.float64) / 0.1)
    for point in points[[0, 200]]:
        row = (voxels == np.floor(point.astype(np.float64) / 0.1)).all(axis=1).argmax()
        answer = label_at(active, *map(float, point))
        assert answer.label == labels["label"][row]
        assert answer.confidence == pytest.approx(labels["confidence"][row], abs=1e-5)


def test_a_point_in_another_frame_is_placed_by_tf(quiet):
    quiet.send_transform("odom", "arm", START, x=1.0)
    quiet.send_transform("odom", "arm", START + SECOND, x=2.0)
    points = quiet.send_room(START + SECOND // 2)
    quiet.wait_for_fused(1)
    x, y, z = map(float, points[3])
    there, here = label_at(quiet, x - 1.5, y, z, "arm"), label_at(quiet, x, y, z)
    assert there.success and (there.label, there.class_name) == (here.label, here.class_name)


@pytest.mark.parametrize(
    ("point", "frame", "wanted"),
    [
        ((50.0, 0.0, 0.0), "odom", "the map has no voxel at (50.000, 0.000, 0.000) in odom"),
        ((math.nan, 0.0, 0.0), "odom", "expected finite numbers"),
        ((1e300, 0.0, 0.0), "odom", "the map has no voxel"),
        ((1.0, 0.0, 0.0), "nowhere", "nowhere"),
    ],
)
def test_what_has_no_label_is_reported(quiet, point, frame, wanted):
    quiet.send_room()
    quiet.wait_for_fused(1)
    answer = label_at(quiet, *point, frame)
    assert not answer.success and wanted in answer.message
    assert answer.label == UNLABELLED and answer.confidence == 0


def test_an_empty_map_and_an_inactive_node_say_so(harness):
    one = harness(**ONE_CLOUD)
    assert one.configure()
    assert label_at(one, 0.0, 0.0, 0.0).message == "the node is not active"
    assert call(one, Trigger, "reset").message == "the node is not active"
    one.activate()
    assert label_at(one, 0.0, 0.0, 0.0).message == "the map is empty"


def test_a_failing_inference_is_an_answer(quiet, capfd):
    quiet.send_room()
    quiet.wait_for_fused(1)

    def fail(*_):
        raise RuntimeError("out of order")

    quiet.node._configured.pipeline.infer = fail
    answer = label_at(quiet, 0.0, 0.0, 0.0)
    assert not answer.success and answer.message == (
        "an error inside the node, see its log: out of order (RuntimeError)"
    )
    assert "~/get_label_at failed:\nTraceback" in capfd.readouterr().err


def test_a_missing_transform_is_reported(quiet):
    quiet.send_room()
    quiet.wait_for_fused(1)
    answer = label_at(quiet, 0.0, 0.0, 0.0, "nowhere")
    assert not answer.success and "nowhere" in answer.message
    assert "TransformUnavailable" not in answer.message


#: Type and request of each service.
REQUESTS = {
    "reset": (Trigger, {}),
    "get_label_at": (GetLabelAt, {}),
    "get_features": (GetFeatures, {"points": [Point()]}),
    "find_objects": (FindObjects, {"words": ["chair"]}),
    "save_map": (SaveMap, {"path": "map.safetensors"}),
    "load_map": (LoadMap, {"path": "map.safetensors"}),
    "teach": (Teach, {"class_name": "lamp", "shape": Teach.Request.SPHERE, "radius": 1.0}),
    "forget": (Forget, {"class_name": "lamp"}),
    "save_head": (SaveHead, {"path": "head.pth"}),
    "clear_clicks": (Trigger, {}),
    "set_words": (SetWords, {"names": ["chair"]}),
    "find": (Find, {"text": "chair"}),
    "embed": (Embed, {"text": "chair"}),
}


@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong value"),
        FileNotFoundError(2, "No such file or directory", "/no/map"),
        PermissionError(13, "Permission denied", "/no/map"),
        ImportError("no module"),
        RuntimeError("wrong value"),
        KeyError("lamp"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_message_of_no_service_begins_with_the_name_of_a_class(quiet, monkeypatch, error):
    own = quiet.robot.get_service_names_and_types_by_node("concerto", "/")
    names = {
        name.rpartition("/")[2]
        for name, types in own
        if types[0].startswith(("concerto_ros/", "std_srvs/"))
    }
    assert names == set(REQUESTS)

    def fail(_self):
        raise error

    monkeypatch.setattr(ServiceBase, "_active", fail)
    for name, (kind, request) in REQUESTS.items():
        answer = call(quiet, kind, name, kind.Request(**request))
        assert not answer.success and answer.message
        assert not re.match(r"\w*(Error|Exception|Unavailable)\b|\[Errno", answer.message)


def test_reset_forgets_the_map(active):
    active.send_room(START)
    active.labels(START)
    assert call(active, Trigger, "reset").success
    assert label_at(active, 1.0, 1.0, 1.0).message == "the map is empty"
    # Time goes on: an older message is out of order as before, a newer one is fused.
    active.send_room(START - SECOND // 2)
    active.wait_for_drop("out_of_order")
    points = active.send_room(START + SECOND, seed=1)
    voxels = np.unique(np.floor(points.astype(np.float64) / 0.1), axis=0)
    assert len(active.labels(START + SECOND)["x"]) == len(voxels)


def test_who_waits_for_a_worker_that_ends_is_told():
    requests = Requests()
    early = requests.new()
    requests.close()
    assert early.result(0) is None and requests.new().result(0) is None and not requests


# Maps --------------------------------------------------------------------------------------------


def test_a_map_is_saved_and_loaded_again(harness, tmp_path):
    one = harness(**ONE_CLOUD, map_directory=str(tmp_path))
    one.listen_to_labels()
    one.start()
    one.send_room(START)
    before = one.labels(START)
    saved = call(one, SaveMap, "save_map", SaveMap.Request(path="room.safetensors"))
    assert saved.success and saved.voxels == len(before["x"])
    assert call(one, Trigger, "reset").success
    loaded = call(one, LoadMap, "load_map", LoadMap.Request(path="room.safetensors"))
    assert loaded.success and loaded.voxels == saved.voxels
    later = START + SECOND
    one.send(cloud_message(make_header("odom", later), np.full((1, 3), 0.55, np.float32)))
    after = one.labels(later)
    assert len(after["x"]) == saved.voxels + 1
    distance = np.abs(before["x"][:, None] - after["x"][None]).min(axis=1)
    assert distance.max() < 1e-5


def test_a_map_of_other_voxels_is_refused(harness, tmp_path):
    one = harness(**ONE_CLOUD, map_directory=str(tmp_path))
    one.start()
    one.send_room(START)
    one.wait_for_fused(1)
    assert call(one, SaveMap, "save_map", SaveMap.Request(path="a.safetensors")).success
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    one.node.set_parameters([Parameter("voxel_size", value=0.2)])
    one.start()
    answer = call(one, LoadMap, "load_map", LoadMap.Request(path="a.safetensors"))
    assert not answer.success and "voxel_size: the map has 0.1, expected 0.2" in answer.message


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.safetensors", "missing.safetensors"])
def test_maps_are_kept_in_one_place(harness, tmp_path, path):
    one = harness(**ONE_CLOUD, map_directory=str(tmp_path / "maps"))
    (tmp_path / "maps").mkdir()
    one.start()
    one.send_room(START)
    one.wait_for_fused(1)
    assert not call(one, LoadMap, "load_map", LoadMap.Request(path=path)).success
    saved = call(one, SaveMap, "save_map", SaveMap.Request(path=path))
    assert saved.success == path.startswith("missing")
    assert {entry.name for entry in tmp_path.iterdir()} == {"maps"}


def test_without_a_directory_no_map_is_written(quiet):
    quiet.send_room()
    quiet.wait_for_fused(1)
    answer = call(quiet, SaveMap, "save_map", SaveMap.Request(path="a.safetensors"))
    assert not answer.success and "map_directory: got ''" in answer.message
