# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A map that is cleared or replaced while its labels are computed: nothing of it is published."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from node_harness import DEADLINE, ONE_CLOUD, SECOND, START, call, cloud_message, room, stamp_of
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from concerto_ros.msg import SemanticObjectArray
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.sensors.frame import Frame
from concerto_ros.srv import GetLabelAt, LoadMap, SaveMap, Teach

LABELS = "/concerto/labels"


class Gate:
    """Lets inferences begin, and holds each until it is opened."""

    def __init__(self, one):
        self._pipeline = one.node._configured.pipeline
        self._infer = self._pipeline.infer
        self._open = threading.Event()
        self._one = one
        self.begun = 0
        self._pipeline.infer = self._held

    def _held(self, *arguments, **options):
        prediction = self._infer(*arguments, **options)
        self.begun += 1
        self._open.wait(DEADLINE)
        return prediction

    def wait_for(self, count: int) -> None:
        self._one.wait(lambda: self.begun >= count, f"{count} inferences to begin")

    def open(self) -> None:
        self._pipeline.infer = self._infer
        self._open.set()


@pytest.fixture
def one(harness, tmp_path):
    """An active node with somebody who listens to labels."""
    made = harness(**ONE_CLOUD, map_directory=str(tmp_path))
    made.listen_to_labels()
    made.start()
    return made


def begin(one, kind, name: str, request=None):
    """A call of ``~/name`` whose answer is not waited for."""
    client = one.robot.create_client(kind, f"/concerto/{name}")
    assert client.wait_for_service(20.0)
    return client.call_async(request or kind.Request())


def stamps(one, topic: str = LABELS) -> list[int]:
    return [stamp_of(message) for message in one.received[topic]]


def outdated(one, count: int) -> None:
    one.wait(lambda: one.status.results_outdated >= count, f"{count} outdated")


@pytest.mark.parametrize("resets", [1, 2])
def test_nothing_of_the_map_before_a_reset_comes_after_it(one, resets):
    gate = Gate(one)
    one.send_room(START)
    gate.wait_for(1)
    for _ in range(resets):
        assert call(one, Trigger, "reset").success  # does not wait for the inference
    gate.open()
    outdated(one, 1)
    assert stamps(one) == []
    later = room(seed=5) + np.float32([3, 0, 0])
    one.send(cloud_message(make_header("odom", START + SECOND), later))
    labels = one.labels(START + SECOND)
    assert labels["x"].min() > 3.5
    assert stamps(one) == [START + SECOND] and one.status.results_outdated == 1


def test_a_reset_waits_for_a_cloud_that_is_being_published(one):
    """Otherwise the cloud would be sent after the answer."""
    outputs = one.node._configured.outputs
    publish, begun, go_on = outputs.publish, threading.Event(), threading.Event()

    def slow(*arguments):
        begun.set()
        go_on.wait(DEADLINE)
        publish(*arguments)

    outputs.publish = slow
    one.send_room(START)
    assert begun.wait(DEADLINE)
    answer = begin(one, Trigger, "reset")
    time.sleep(0.3)
    assert not answer.done()
    go_on.set()
    one.wait(answer.done, "the answer")
    assert answer.result().success


def test_fused_labels_and_colours_learn_nothing_from_a_map_that_was_reset(one):
    """The same place again, after the reset: as if it had been seen for the first time."""
    pipeline = one.node._configured.pipeline
    gate = Gate(one)
    one.send_room(START)
    gate.wait_for(1)
    assert call(one, Trigger, "reset").success
    gate.open()
    outdated(one, 1)
    assert pipeline.state_dict() == {}


def test_a_snapshot_taken_before_a_reset_and_labelled_after_it_leaves_no_trace(one):
    pipeline = one.node._configured.pipeline
    infer, go_on, begun = pipeline.infer, threading.Event(), threading.Event()

    def late(*arguments, **options):
        begun.set()
        go_on.wait(DEADLINE)
        return infer(*arguments, **options)

    pipeline.infer = late
    one.send_room(START)
    assert begun.wait(DEADLINE)
    assert call(one, Trigger, "reset").success
    pipeline.infer = infer
    go_on.set()
    outdated(one, 1)
    assert pipeline.state_dict() == {} and stamps(one) == []


def test_calls_that_wait_for_labels_are_answered_from_the_map_after(one, tmp_path):
    points = one.send_room(START)
    one.labels(START)
    assert call(one, SaveMap, "save_map", SaveMap.Request(path="room.safetensors")).success
    x, y, z = map(float, points[3])
    here = GetLabelAt.Request(point=Point(x=x, y=y, z=z))

    gate = Gate(one)
    answer = begin(one, GetLabelAt, "get_label_at", here)
    gate.wait_for(1)
    assert call(one, Trigger, "reset").success
    gate.open()
    one.wait(answer.done, "the answer")
    assert not answer.result().success and answer.result().message == "the map is empty"

    far = room(seed=5) + np.float32([3, 0, 0])
    one.send(cloud_message(make_header("odom", START + SECOND), far))
    one.labels(START + SECOND)
    gate = Gate(one)
    answer = begin(one, GetLabelAt, "get_label_at", here)
    gate.wait_for(1)
    request = LoadMap.Request(path="room.safetensors")
    assert call(one, LoadMap, "load_map", request).success
    gate.open()
    one.wait(answer.done, "the answer")
    assert answer.result().success, answer.result().message  # the loaded map has the place


def test_a_class_that_is_taught_during_a_reset_is_taught_from_the_map_after(one):
    one.send_room(START)
    one.labels(START)
    gate = Gate(one)
    wall = {"shape": Teach.Request.SPHERE, "center": Point(x=4.0, y=0.0, z=1.0), "radius": 0.7}
    answer = begin(one, Teach, "teach", Teach.Request(class_name="plant", **wall))
    gate.wait_for(1)
    assert call(one, Trigger, "reset").success
    gate.open()
    one.wait(answer.done, "the answer")
    assert not answer.result().success and answer.result().message == "the map is empty"


def test_objects_of_the_map_before_a_reset_are_not_published(one):
    one.listen("/concerto/objects", SemanticObjectArray, QoSProfile(depth=20))
    finder = one.node._configured.finder
    find, begun, go_on = finder.find, threading.Event(), threading.Event()

    def slow(*arguments, **options):
        found = find(*arguments, **options)
        begun.set()
        go_on.wait(DEADLINE)
        return found

    finder.find = slow
    one.send_room(START)
    assert begun.wait(DEADLINE)
    assert call(one, Trigger, "reset").success
    finder.find = find
    go_on.set()
    outdated(one, 1)
    one.send_room(START + SECOND)
    one.wait(lambda: one.received["/concerto/objects"], "objects")
    assert stamps(one, "/concerto/objects")[0] == START + SECOND


def simulated_time(harness):
    """A node on ``/clock`` that is listened to, and a function that sets the clock and waits."""
    one = harness(**ONE_CLOUD, use_sim_time=True)
    one.listen_to_labels()
    clock = one.publisher("/clock", Clock, QoSProfile(depth=10))

    def set_clock(now: int):
        clock.publish(Clock(clock=make_header("", now).stamp))
        one.wait(lambda: one.node.get_clock().now().nanoseconds == now, "the clock")

    return one, set_clock


def test_no_cloud_is_ahead_of_a_clock_that_went_back(harness):
    one, set_clock = simulated_time(harness)
    set_clock(START)
    one.start()
    gate = Gate(one)
    one.send_room(START)
    gate.wait_for(1)
    # The intake thread is busy while the clock goes back: it cannot clear the map yet.
    pipeline = one.node._configured.pipeline
    insert, busy, go_on = pipeline.insert, threading.Event(), threading.Event()

    def slow(*arguments):
        busy.set()
        go_on.wait(DEADLINE)
        return insert(*arguments)

    pipeline.insert = slow
    one.send_room(START + SECOND // 10)
    assert busy.wait(DEADLINE)
    back = START - 100 * SECOND
    set_clock(back)
    gate.open()
    outdated(one, 1)
    pipeline.insert = insert
    go_on.set()
    one.wait(lambda: len(pipeline.snapshot()) == 0, "the map to be cleared")
    one.send_room(back)
    one.labels(back)
    assert stamps(one) == [back] * len(stamps(one))
    compute = one.wait(one.diagnosis("compute"), "diagnostics")
    assert "use_sim_time" not in compute.message
    # Labels are published before the status that tells of them; until then there is no latency.

    def told():
        return stamp_of(one.status) == back and not np.isnan(one.status.latency_ms)

    one.wait(told, "a status with the latency")
    assert one.status.latency_ms >= 0


def test_a_message_that_is_late_after_the_clock_went_back_is_dropped(harness):
    """In the map it would be the newest frame, and all of the new time would be out of order."""
    one, set_clock = simulated_time(harness)
    set_clock(START + 3 * SECOND)
    one.start()
    one.send_room(START + 3 * SECOND)
    one.labels(START + 3 * SECOND)
    set_clock(START)
    one.wait(lambda: len(one.node._configured.pipeline.snapshot()) == 0, "the map to be cleared")
    one.send_room(START + 3 * SECOND - SECOND // 10)
    one.wait_for_drop("restart")
    for number in range(3):
        one.send_room(START + number * SECOND // 10)
        one.labels(START + number * SECOND // 10)
    assert one.drops() == {"restart": 1}
    assert stamps(one) == [START + 3 * SECOND, *(START + n * SECOND // 10 for n in range(3))]


def test_a_transform_that_is_late_after_the_clock_went_back_places_nothing(harness):
    """Interpolated with the first transform of the new time, it would misplace every frame."""
    one, set_clock = simulated_time(harness)
    set_clock(START + 8 * SECOND)
    one.start()
    one.send_transform("odom", "lidar", START + 8 * SECOND, x=80.0)
    one.send_room(START + 8 * SECOND, frame="lidar")
    one.labels(START + 8 * SECOND)
    set_clock(START)
    one.wait(lambda: len(one.node._configured.pipeline.snapshot()) == 0, "the map to be cleared")
    one.send_transform("odom", "lidar", START, x=0.0)
    one.send_transform("odom", "lidar", START + 8 * SECOND, x=80.0)  # late
    points = one.send_room(START + SECOND // 10, frame="lidar")
    time.sleep(0.1)  # the frame waits for its transform
    one.send_transform("odom", "lidar", START + SECOND // 10, x=0.0)
    labels = one.labels(START + SECOND // 10)
    assert labels["x"].max() <= points[:, 0].max() + 0.05


def test_one_frame_is_published_once_however_often_the_thread_wakes(one):
    inference = one.node._activation.node.inference
    for number in range(4):
        one.send_room(START + number * SECOND)
        one.labels(START + number * SECOND)
        for _ in range(3):
            inference.notify()
            time.sleep(0.05)
    assert stamps(one) == [START + number * SECOND for number in range(4)]


def test_a_new_subscriber_of_another_topic_gets_the_map_and_nobody_else_again(one):
    one.send_room(START)
    one.labels(START)
    one.listen("/concerto/pca", PointCloud2, QoSProfile(depth=20))
    one.wait(lambda: one.received["/concerto/pca"], "the colours")
    time.sleep(0.3)
    assert stamps(one) == [START] and stamps(one, "/concerto/pca") == [START]


def test_a_call_that_needs_labels_sends_no_cloud_again(one):
    points = one.send_room(START)
    one.labels(START)
    x, y, z = map(float, points[3])
    here = GetLabelAt.Request(point=Point(x=x, y=y, z=z))
    assert call(one, GetLabelAt, "get_label_at", here).success
    time.sleep(0.2)
    assert stamps(one) == [START]


def test_a_click_computes_the_similarity_again_and_a_class_the_labels(one):
    one.listen("/concerto/similarity", PointCloud2, QoSProfile(depth=20))
    points = one.send_room(START)
    one.labels(START)
    publisher = one.publisher("/clicked_point", PointStamped, QoSProfile(depth=10))
    for count, point in enumerate(points[[3, 200]], start=1):
        x, y, z = map(float, point)
        publisher.publish(PointStamped(point=Point(x=x, y=y, z=z)))
        one.wait(
            lambda count=count: len(one.received["/concerto/similarity"]) == count, "a similarity"
        )
    assert stamps(one) == [START]
    wall = {"shape": Teach.Request.SPHERE, "center": Point(x=4.0, y=0.0, z=1.0), "radius": 0.7}
    taught = call(one, Teach, "teach", Teach.Request(class_name="plant", **wall))
    assert taught.success, taught.message
    one.wait(lambda: len(stamps(one)) == 2, "the labels with the new class")
    assert stamps(one) == [START] * 2
    assert call(one, Trigger, "clear_clicks").success
    one.wait(lambda: one.received["/concerto/similarity"][-1].width == 0, "an empty similarity")


def test_changed_counts_the_voxels_that_both_maps_have(one):
    """The map grows while a class is taught: rows move, voxels keep their keys."""
    one.send_room(START)
    one.labels(START)
    pipeline = one.node._configured.pipeline
    use = pipeline.use

    def grows(taught):
        more = room(seed=9) - np.float32([0.5, 0, 0])
        frame = Frame(more, stamp=START + SECOND, frame_id="odom", source="front")
        pipeline.insert(frame)
        use(taught)

    pipeline.use = grows
    before = one.labels(START)
    wall = {"shape": Teach.Request.SPHERE, "center": Point(x=4.0, y=0.0, z=1.0), "radius": 0.7}
    answer = call(one, Teach, "teach", Teach.Request(class_name="plant", **wall))
    assert answer.success, answer.message
    after = one.labels(START + SECOND)
    assert len(after["x"]) > len(before["x"])

    def by_voxel(labels):
        index = np.floor(np.stack([labels[axis] for axis in "xyz"], 1).astype(float) / 0.1 + 1e-4)
        return dict(zip(map(tuple, index.astype(int)), labels["label"], strict=True))

    old, new = by_voxel(before), by_voxel(after)
    changed = sum(old[voxel] != new[voxel] for voxel in old.keys() & new.keys())
    assert abs(answer.changed - changed) <= 0.02 * len(old) and answer.changed > 0
