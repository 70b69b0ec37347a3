# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A person clicks, looks for the like and teaches classes: the real node over DDS."""

from __future__ import annotations

import math

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped, Vector3
from node_harness import LATCHED, ONE_CLOUD, SECOND, START, call, stamp_of
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from concerto_ros.heads import LinearHead
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.labels.label_set import LONGEST_NAME
from concerto_ros.msg import SemanticClasses
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.srv import Forget, SaveHead, Teach

SIMILARITY, CLASSES = "/concerto/similarity", "/concerto/classes"
OBSTACLES = "/concerto/filtered/obstacles"
QOS = QoSProfile(depth=20)
BASE = 12  # classes of the bundled demo model

#: A part of the wall of ``send_room``.
WALL = {"shape": Teach.Request.SPHERE, "center": Point(x=4.0, y=0.0, z=1.0), "radius": 0.7}


@pytest.fixture
def start(harness):
    """Starts a node with a map and someone who listens to labels and classes."""

    def started(**parameters):
        one = harness(**(ONE_CLOUD | parameters))
        one.listen_to_labels()
        one.listen(CLASSES, SemanticClasses, LATCHED)
        one.listen(SIMILARITY, PointCloud2, QOS)
        one.start()
        one.points = one.send_room()
        one.labels(START)
        return one

    return started


def teach(one, name: str = "plant", **request):
    return call(one, Teach, "teach", Teach.Request(class_name=name, **request))


def forget(one, name: str):
    return call(one, Forget, "forget", Forget.Request(class_name=name))


def click(one, point, frame: str = "odom") -> None:
    x, y, z = map(float, point)
    message = PointStamped(header=make_header(frame, START), point=Point(x=x, y=y, z=z))
    one.publisher("/clicked_point", PointStamped, QoSProfile(depth=10)).publish(message)


def clicked(one, count: int) -> None:
    one.wait(lambda: len(one.node._configured.clicks._clicks) == count, f"{count} clicks")


def similarity(one, point):
    """The newest likeness in which the voxel at ``point`` is like what was clicked on."""

    def found():
        if not one.received[SIMILARITY] or one.received[SIMILARITY][-1].width == 0:
            return None
        message = one.received[SIMILARITY][-1]
        fields = point_cloud_fields(message)
        fields = {name: column.reshape(-1) for name, column in fields.items()}
        alike = fields["intensity"][of_voxel(one, fields, point)] > 0.999
        return (message, fields) if alike else None

    return one.wait(found, "a likeness")


def names(one) -> list[str]:
    return [entry.name for entry in one.received[CLASSES][-1].classes]


def of_voxel(one, fields, point) -> int:
    """The row of the voxel that holds ``point``."""
    found = np.stack([fields[axis] for axis in "xyz"], axis=1).astype(np.float64)
    same = np.floor(found / 0.1) == np.floor(np.asarray(point, np.float64) / 0.1)
    return int(np.flatnonzero(same.all(axis=1))[0])


def test_a_click_shows_similar_voxels_until_the_next_one(start):
    one = start()
    click(one, one.points[200])
    message, fields = similarity(one, one.points[200])
    assert message.header.frame_id == "odom" and stamp_of(message) == START
    assert list(fields) == ["x", "y", "z", "rgb", "intensity"]
    assert len(fields["x"]) == len(one.labels(START)["x"])
    assert fields["intensity"].min() < 0.9 and fields["intensity"].max() <= 1

    one.send_room(START + SECOND, seed=1)  # renewed with each prediction
    one.wait(lambda: stamp_of(one.received[SIMILARITY][-1]) == START + SECOND, "the newer one")

    click(one, one.points[3])
    _, fields = similarity(one, one.points[3])
    assert fields["intensity"][of_voxel(one, fields, one.points[200])] < 0.999


def test_likeness_ends_when_its_time_is_over_or_it_is_cleared(start):
    one = start(**{"similarity.seconds": 0.5})
    click(one, one.points[200])
    similarity(one, one.points[200])
    one.send_room(START + SECOND, seed=1)
    one.wait(lambda: one.received[SIMILARITY][-1].width == 0, "an empty cloud")
    stamps = [stamp_of(message) for message in one.received[SIMILARITY] if message.width]
    assert set(stamps) == {START}
    click(one, one.points[3])
    similarity(one, one.points[3])
    answer = call(one, Trigger, "clear_clicks")
    assert answer.success and answer.message == "2 clicked points are forgotten"
    assert "clicked" in teach(one).message
    one.wait(lambda: one.received[SIMILARITY][-1].width == 0, "an empty cloud")
    seen = len(one.received[SIMILARITY])
    one.send_room(START + SECOND + SECOND // 10, seed=2)
    one.labels(START + SECOND + SECOND // 10)
    assert len(one.received[SIMILARITY]) == seen


def test_likeness_ends_when_time_goes_back(start):
    one = start(**{"similarity.seconds": 5.0})
    click(one, one.points[200])
    similarity(one, one.points[200])
    before = START - 3600 * SECOND
    for i in range(2):
        one.send_room(before + i * SECOND)
        one.wait_for_drop("out_of_order", i + 1)
    one.send_room(before + 2 * SECOND)
    one.wait(lambda: one.received[SIMILARITY][-1].width == 0, "an empty cloud")
    assert {stamp_of(message) for message in one.received[SIMILARITY] if message.width} == {START}


def test_likeness_alone_ends_when_it_is_cleared(harness):
    one = harness(**ONE_CLOUD)
    one.listen(SIMILARITY, PointCloud2, QOS)
    one.start()
    one.points = one.send_room()
    one.wait_for_fused(1)
    click(one, one.points[200])
    similarity(one, one.points[200])
    assert call(one, Trigger, "clear_clicks").success
    one.wait(lambda: one.received[SIMILARITY][-1].width == 0, "an empty cloud")
    sent = len(one.received[SIMILARITY])
    for count in (2, 3):
        one.send_room(START + count * SECOND)
        one.wait_for_fused(count)
    assert len(one.received[SIMILARITY]) == sent


def test_clicks_teach_a_class_that_is_everywhere_from_then_on(start):
    filters = {"filter_names": ["obstacles"], "filters.obstacles.exclude": ["floor"]}
    one = start(**filters, **{"objects.enabled": True, "teach.radius": 0.4})
    one.listen(OBSTACLES, PointCloud2, QOS)
    for point in one.points[[200, 210]]:
        click(one, point)
    clicked(one, 2)
    answer = teach(one, "notice board")
    assert answer.success, answer.message
    assert answer.label == BASE and answer.examples >= 2 and answer.voxels >= 1
    assert answer.changed >= answer.voxels
    one.wait(lambda: names(one)[-1] == "notice board", "the new classes")
    assert len(names(one)) == BASE + 1
    label = one.received[CLASSES][-1].classes[-1]
    assert label.id == BASE and label.color.a == 1.0

    later = START + SECOND
    one.send_room(later)
    fields = one.labels(later)
    row = of_voxel(one, fields, one.points[200])
    assert fields["label"][row] == BASE
    passed = one.wait(
        lambda: next((m for m in one.received[OBSTACLES] if stamp_of(m) == later), None),
        "obstacles",
    )
    assert BASE in point_cloud_fields(passed)["label"]
    palette = one.node._configured.pipeline.labels.palette[BASE]
    packed = fields["rgb"][row : row + 1].view(np.uint32)[0]
    assert [packed >> 16 & 255, packed >> 8 & 255, packed & 255] == palette.tolist()
    status = one.wait(lambda: one.status.object_passes >= 1 and one.status, "objects")
    assert status.object_passes_failed == 0 and status.inferences_failed == 0
    # The clicks taught once; the next lesson wants its own.
    assert "clicked since the last call" in teach(one, "lamp").message


def test_a_sphere_and_a_box_teach_and_refine(start):
    one = start()
    one.send_transform("odom", "arm", START, x=1.0)
    one.send_transform("odom", "arm", START + SECOND, x=2.0)
    first = teach(one, **WALL)
    assert first.success and first.label == BASE and first.examples > 3
    one.send_room(START + SECOND // 2)
    one.labels(START + SECOND // 2)
    beside = {"center": Point(x=2.5, y=1.5, z=1.0), "size": Vector3(x=0.6, y=1.0, z=2.0)}
    again = teach(one, shape=Teach.Request.BOX, frame_id="arm", **beside)
    assert again.success, again.message
    assert again.label == BASE and again.examples > 3
    floor = {"shape": Teach.Request.SPHERE, "center": Point(x=2.0, y=-1.0), "radius": 0.7}
    other = teach(one, "wall", **floor)  # one of the model's own classes
    assert other.success and other.label == names(one).index("wall")
    assert len(names(one)) == BASE + 1


def test_what_was_taught_is_forgotten(start):
    one = start()
    before = one.labels(START)["label"].copy()
    assert teach(one, "plant", **WALL).success
    second = teach(one, "lamp", shape=1, center=Point(x=2.0, y=-1.0, z=0.0), radius=0.7)
    assert second.label == BASE + 1
    assert forget(one, "plant").success
    one.wait(lambda: names(one)[BASE:] == ["lamp"], "the classes after it moved up")
    assert forget(one, "lamp").success
    one.wait(lambda: len(names(one)) == BASE, "the classes of the model")
    one.send_room(START + SECOND)
    assert np.array_equal(one.labels(START + SECOND)["label"], before)
    answer = forget(one, "wall")
    assert not answer.success and "expected one that was taught" in answer.message


#: Name, the rest of the call, and what the answer says.
REFUSED = (
    ("plant", {}, "no point of the map was clicked since the last call"),
    ("", WALL, "the name of a class is ''"),
    (" \t", WALL, "the name of a class is"),
    ("two\nlines", WALL, "printable characters"),
    ("x" * (LONGEST_NAME + 1), WALL, f"expected 1 to {LONGEST_NAME}"),
    ("plant", WALL | {"frame_id": "nowhere"}, "nowhere"),
    ("plant", WALL | {"radius": 0.0}, "radius: got [0.0], expected metres above 0"),
    ("plant", WALL | {"radius": math.nan}, "radius: got [nan]"),
    ("plant", WALL | {"radius": 50.0}, "no voxel farther than 0.2 m"),
    ("plant", WALL | {"center": Point(x=math.inf)}, "center: got [inf"),
    ("plant", WALL | {"center": Point(x=90.0)}, "no voxel inside the region that shows the class"),
    ("plant", WALL | {"shape": 2}, "size: got [0.0, 0.0, 0.0]"),
    ("plant", WALL | {"shape": 7}, "shape: got 7, expected 0 CLICKS, 1 SPHERE or 2 BOX"),
)


def test_what_cannot_be_taught_is_reported_and_changes_nothing(start):
    one = start()
    for name, fields, wanted in REFUSED:
        answer = teach(one, name, **fields)
        assert not answer.success and wanted in answer.message, answer.message
    assert len(names(one)) == BASE


def test_clicks_beside_the_map_are_ignored(start):
    one = start()
    for point, frame in (((90, 0, 0), "odom"), ((math.nan, 0, 0), "odom"), ((1, 0, 0), "lost")):
        click(one, point, frame)
    click(one, one.points[3])  # clicks are heard in order
    clicked(one, 1)


def test_a_node_that_is_not_active_or_has_no_head_says_so(harness, tmp_path):
    one = harness(**ONE_CLOUD)
    assert one.configure()
    for answer in (teach(one, **WALL), forget(one, "plant"), call(one, Trigger, "clear_clicks")):
        assert not answer.success and answer.message == "the node is not active"
    one.activate()
    assert teach(one, **WALL).message == "the map is empty"
    one.node._configured.pipeline.taught = type(one.node._configured.pipeline.taught)(
        None, one.node._configured.pipeline.labels
    )
    assert "set the parameter head" in teach(one, **WALL).message


def test_a_saved_head_is_loaded_with_its_classes(harness, start, tmp_path):
    one = start(head_directory=str(tmp_path))
    assert teach(one, "plant", **WALL).success
    one.send_room(START + SECOND)
    before = one.labels(START + SECOND)["label"]
    assert BASE in before
    saved = call(one, SaveHead, "save_head", SaveHead.Request(path="room/plant.pth"))
    assert saved.success and saved.classes == BASE + 1, saved.message
    head = LinearHead.load(tmp_path / "room" / "plant.pth")
    assert (head.preset, head.encoder) == ("indoor", load_encoder("demo").digest)
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()

    path = str(tmp_path / "room" / "plant.pth")
    other = harness(**ONE_CLOUD, head=path)
    other.listen_to_labels()
    other.start()
    labels = other.node._configured.pipeline.labels
    assert [entry.name for entry in labels.classes][-1] == "plant"
    assert labels.name == "demo + plant"
    other.send_room(START + SECOND)
    assert BASE in other.labels(START + SECOND)["label"]


def test_heads_are_kept_in_one_place(start, tmp_path):
    one = start(head_directory=str(tmp_path / "heads"))
    for path in ("/etc/a.pth", "../a.pth", "a.safetensors", ""):
        answer = call(one, SaveHead, "save_head", SaveHead.Request(path=path))
        assert not answer.success and "path: got" in answer.message
    assert not list(tmp_path.iterdir())


def test_without_a_directory_no_head_is_written(start):
    one = start()
    answer = call(one, SaveHead, "save_head", SaveHead.Request(path="a.pth"))
    assert not answer.success and "head_directory: got ''" in answer.message


def test_a_filter_can_name_a_class_once_it_is_taught(start):
    one = start(**{"filter_names": ["obstacles"], "filters.obstacles.exclude": ["floor"]})
    one.listen(OBSTACLES, PointCloud2, QOS)
    chosen = [
        Parameter("filters.obstacles.include", value=["plant"]),
        Parameter("filters.obstacles.exclude", value=[""]),
    ]
    refused = one.node.set_parameters_atomically(chosen)
    assert not refused.successful and "filters.obstacles.include: got 'plant'" in refused.reason
    assert teach(one, "plant", **WALL).success
    assert one.node.set_parameters_atomically(chosen).successful
    one.send_room(START + SECOND)
    passed = one.wait(
        lambda: next((m for m in one.received[OBSTACLES] if stamp_of(m) == START + SECOND), None),
        "obstacles",
    )
    assert set(point_cloud_fields(passed)["label"].ravel()) == {BASE}
    answer = forget(one, "plant")
    assert not answer.success and "filters.obstacles.include: got 'plant'" in answer.message
    assert len(names(one)) == BASE + 1


def test_a_filter_that_comes_to_name_a_class_while_it_is_forgotten_keeps_it(start, monkeypatch):
    one = start(**{"filter_names": ["obstacles"], "filters.obstacles.exclude": ["floor"]})
    assert teach(one, "plant", **WALL).success
    without = TaughtClasses.without

    def meanwhile(known, name):
        exclude = Parameter("filters.obstacles.exclude", value=["plant"])
        assert one.node.set_parameters([exclude])[0].successful
        return without(known, name)

    monkeypatch.setattr(TaughtClasses, "without", meanwhile)
    answer = forget(one, "plant")
    assert not answer.success and "filters.obstacles.exclude: got 'plant'" in answer.message
    assert names(one)[BASE:] == ["plant"]
