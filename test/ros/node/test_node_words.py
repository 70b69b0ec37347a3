# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words at the real node: they label the map, find things in it, and change while it runs."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from geometry_msgs.msg import Point
from node_harness import DEADLINE, LATCHED, ONE_CLOUD, SECOND, START, call, cloud_message, stamp_of
from object_scene import BOXES, FIRST, SCENE, SECOND_BOX
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray
from word_space import CLASSES, language_head, word_parameters

from concerto_ros.files.safetensors_file import read_tensors
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.msg import SemanticClasses, SemanticObjectArray
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.srv import Embed, Find, GetLabelAt, LoadMap, SaveHead, SaveMap, SetWords, Teach

LABELS, CLASS_TOPIC, SIMILARITY = "/concerto/labels", "/concerto/classes", "/concerto/similarity"
GROUND = "/concerto/filtered/ground"
QOS = QoSProfile(depth=20)


@pytest.fixture
def start(harness, tmp_path):
    """Starts a node that knows the words of the classes, with a map of a table with boxes."""

    def started(points=SCENE, **parameters):
        directories = {"map_directory": str(tmp_path), "head_directory": str(tmp_path)}
        scene = ONE_CLOUD if points is None else BOXES
        own = scene | word_parameters(tmp_path) | directories | {"precision": "float32"}
        one = harness(**(own | parameters))
        one.listen_to_labels()
        one.listen(CLASS_TOPIC, SemanticClasses, LATCHED)
        one.start()
        if points is None:
            one.points = one.send_room()
        else:
            one.points = points
            one.send(cloud_message(make_header("odom", START), points))
        one.labels(START)
        return one

    return started


def set_words(one, *names: str, **request):
    return call(one, SetWords, "set_words", SetWords.Request(names=names, **request))


def find(one, text: str, limit: int = 0):
    return call(one, Find, "find", Find.Request(text=text, limit=limit))


def classes(one, last: str) -> SemanticClasses:
    """The newest classes, once ``last`` is the last of them."""

    def found():
        message = one.received[CLASS_TOPIC][-1]
        return message.classes[-1].name == last and message

    return one.wait(found, f"classes up to {last}")


def labels_in(one, topic: str) -> set[int]:
    """The labels in the newest cloud of ``topic``."""
    messages = one.received[topic]
    return set(point_cloud_fields(messages[-1])["label"].ravel().tolist()) if messages else set()


def labelled_by(one, count: int) -> dict[str, np.ndarray]:
    """The newest labels, once they are those of ``count`` words."""

    def found():
        fields = one.labels()
        return set(fields["label"].tolist()) <= {*range(count), UNLABELLED} and fields

    return one.wait(found, f"labels of {count} words")


def test_words_are_classes_wherever_labels_are_used(start, tmp_path):
    filters = {"filter_names": ["ground"], "filters.ground.include": ["floor"]}
    one = start(points=None, **filters)
    one.listen(GROUND, PointCloud2, QOS)
    before = one.labels()
    by_head = {name: before["label"] == label for label, name in enumerate(CLASSES)}
    assert by_head["wall"].any() and by_head["floor"].any()
    red, blue = ColorRGBA(r=1.0), ColorRGBA(b=1.0)
    answer = set_words(one, "wall", "floor|ground", colors=[red, blue])
    assert answer.success and answer.message == ""
    told = classes(one, "floor")
    assert told.label_set == "words" and "words of" in told.model
    assert [entry.name for entry in told.classes] == ["wall", "floor"]
    assert [(entry.color.r, entry.color.b) for entry in told.classes] == [(1, 0), (0, 1)]

    one.wait(
        lambda: np.array_equal(one.labels()["label"] == 1, by_head["floor"]), "the same floor"
    )
    fields = one.labels()
    assert (fields["rgb"].view(np.uint32)[fields["label"] == 1] == 255).all()
    one.wait(lambda: labels_in(one, GROUND) == {1}, "the floor by its new label")
    assert one.received[GROUND][-1].width == by_head["floor"].sum()

    refused = set_words(one, "wall", "door")
    assert not refused.success and "filters.ground.include: got 'floor'" in refused.message
    assert [e.name for e in one.node._configured.pipeline.labels.classes] == ["wall", "floor"]

    assert call(one, SaveMap, "save_map", SaveMap.Request(path="a.safetensors")).success
    assert read_tensors(tmp_path / "a.safetensors")[1]["classes"] == '["wall", "floor"]'

    assert set_words(one).success
    assert len(classes(one, CLASSES[-1]).classes) == len(CLASSES)
    one.wait(lambda: np.array_equal(one.labels()["label"], before["label"]), "the head's labels")


def test_no_label_comes_by_the_classes_of_before_once_they_changed(start):
    """The number of a class of before may be that of any other now."""
    one = start(points=None)
    pipeline = one.node._configured.pipeline
    infer, begun, go_on = pipeline.infer, threading.Event(), threading.Event()

    def late(*arguments):
        prediction = infer(*arguments)
        begun.set()
        go_on.wait(DEADLINE)
        return prediction

    pipeline.infer = late
    one.send_room(START + SECOND)
    assert begun.wait(DEADLINE)
    heard = len(one.received[LABELS])
    assert set_words(one, "floor").success
    classes(one, "floor")
    pipeline.infer = infer
    go_on.set()
    one.wait(lambda: len(one.received[LABELS]) > heard, "labels")
    labels = [point_cloud_fields(m)["label"].ravel() for m in one.received[LABELS]]
    assert not set(labels[0]) <= {0, UNLABELLED}
    assert {label for cloud in labels[heard:] for label in cloud} <= {0, UNLABELLED}
    one.wait(lambda: one.status.results_outdated == 1, "one outdated")


def test_a_click_and_a_word_give_one_list_of_classes(start):
    one = start(points=None)
    wall = {"shape": Teach.Request.SPHERE, "center": Point(x=4.0, y=0.0, z=1.0), "radius": 0.7}
    request = Teach.Request(class_name="couch", **wall)
    assert set_words(one, "floor").success
    assert call(one, Teach, "teach", request).success
    assert [entry.name for entry in classes(one, "couch").classes] == ["floor", "couch"]
    fields = one.wait(lambda: one.labels()["label"].min() < UNLABELLED and one.labels(), "labels")
    inside = np.linalg.norm(np.stack([fields[a] for a in "xyz"], 1) - (4, 0, 1), axis=1) < 0.5
    one.wait(lambda: (one.labels()["label"][inside] == 1).mean() > 0.9, "the taught class")

    refused = call(one, SaveHead, "save_head", SaveHead.Request(path="a.pth"))
    assert not refused.success and "labelled by words" in refused.message

    assert set_words(one, "wall", "couch|sofa", "floor").success
    assert [entry.name for entry in classes(one, "floor").classes] == ["wall", "couch", "floor"]
    one.wait(lambda: (one.labels()["label"][inside] == 1).mean() > 0.9, "the refined word")
    assert set_words(one).success  # the head, with what was taught beside it
    assert len(classes(one, "couch").classes) == len(CLASSES) + 1
    one.wait(
        lambda: (one.labels()["label"][inside] == len(CLASSES)).mean() > 0.9, "the taught row"
    )
    assert call(one, SaveHead, "save_head", SaveHead.Request(path="a.pth")).success


def test_a_text_finds_its_objects_and_shows_them(start):
    one = start(**{"objects.enabled": True})
    one.listen("/concerto/objects", SemanticObjectArray, QOS)
    one.listen("/concerto/found_markers", MarkerArray, QOS)
    one.listen(SIMILARITY, PointCloud2, QOS)
    objects = one.wait(lambda: one.received["/concerto/objects"], "objects")[-1].objects
    answer = find(one, "other")
    assert answer.success and answer.message == ""
    assert answer.header.frame_id == "odom" and stamp_of(answer) == START
    assert len(answer.objects) == 2 and list(answer.scores) == sorted(answer.scores)[::-1]
    assert 0 < min(answer.scores) <= max(answer.scores) <= 1
    assert {found.id for found in answer.objects} == {found.id for found in objects}
    centroids = sorted([found.centroid.x, found.centroid.z] for found in answer.objects)
    wanted = [block[:, [0, 2]].mean(axis=0) for block in (FIRST, SECOND_BOX)]
    np.testing.assert_allclose(centroids, wanted, atol=0.05)
    assert answer.objects[0].hypotheses[0].class_name == "other"
    assert answer.objects[0].hypotheses[0].score == answer.scores[0]
    markers = one.wait(lambda: one.received["/concerto/found_markers"], "markers")[-1].markers
    assert [m.type for m in markers[1:]] == 2 * [Marker.LINE_LIST, Marker.TEXT_VIEW_FACING]
    assert markers[2].text.startswith("other ")

    heat = one.wait(lambda: one.received[SIMILARITY], "a heat map")[-1]
    fields = point_cloud_fields(heat)
    above = fields["z"] > 0.8
    assert fields["intensity"][above].min() > fields["intensity"][~above].max() - 0.5
    assert heat.width == len(one.labels()["x"])
    assert len(find(one, "other", limit=1).objects) == 1
    assert set_words(one, "wall|couch", "floor").success
    passes = one.status.object_passes
    one.wait(lambda: one.status.object_passes > passes, "objects of the words")
    nothing = find(one, "couch")
    assert nothing.success and nothing.objects == [] and len(nothing.scores) == 0
    assert nothing.message.startswith("nothing in the map of 1128 voxels matches 'couch'")
    one.wait(lambda: len(one.received["/concerto/found_markers"][-1].markers) == 1, "no markers")
    # The newest text is compared with the next map, until the comparison is ended.
    one.send(cloud_message(make_header("odom", START + SECOND), SCENE))
    one.wait(lambda: stamp_of(one.received[SIMILARITY][-1]) == START + SECOND, "the next heat map")
    assert point_cloud_fields(one.received[SIMILARITY][-1])["intensity"].max() < 0.5
    assert one.status.object_passes_failed == 0
    assert call(one, Trigger, "clear_clicks").success
    one.wait(lambda: one.received[SIMILARITY][-1].width == 0, "an empty heat map")


def test_what_was_found_is_found_again_in_a_saved_map(start):
    one = start()
    before = find(one, "other|couch")
    assert call(one, SaveMap, "save_map", SaveMap.Request(path="a.safetensors")).success
    assert call(one, Trigger, "reset").success
    assert find(one, "other").message == "the map is empty"
    assert call(one, LoadMap, "load_map", LoadMap.Request(path="a.safetensors")).success
    again = find(one, "other|couch")
    assert len(again.objects) == len(before.objects) == 2
    assert [found.id for found in again.objects] == [0, 0]  # nobody looks for objects
    assert [f.point_count for f in again.objects] == [f.point_count for f in before.objects]
    np.testing.assert_allclose(again.scores, before.scores, atol=1e-3)


def test_a_text_has_a_vector(start):
    one = start()
    answer = call(one, Embed, "embed", Embed.Request(text=" couch "))
    assert answer.success and answer.encoder == language_head().text_encoder
    assert np.array_equal(answer.vector, np.eye(len(CLASSES), dtype="f4")[CLASSES.index("sofa")])
    both = call(one, Embed, "embed", Embed.Request(text="couch|chair"))
    assert np.linalg.norm(both.vector) == pytest.approx(1, abs=1e-6)


LONG = "a" * 1_000_000

WRONG_WORDS = [
    ({"names": [""]}, "names[0]: got ''"),
    ({"names": ["wall", "  "]}, "names[1]: got"),
    ({"names": [f"word {i}" for i in range(10_000)]}, "names: got 10000 words, expected 1 to 255"),
    ({"names": [LONG]}, "names[0]: got 1000000 characters"),
    ({"names": ["wall", "wall"]}, "is there twice"),
    ({"names": ["wall\n"]}, "expected printable characters"),
    ({"names": ["spoon"]}, "word 'spoon'"),
    ({"names": ["wall"], "threshold": math.nan}, "threshold: got nan, expected 0 to 1"),
    ({"names": ["wall"], "threshold": -0.5}, "threshold: got -0.5, expected 0 to 1"),
    ({"names": ["wall"], "colors": [ColorRGBA()] * 2}, "colors: got 2, expected 1"),
    ({"names": ["wall"], "colors": [ColorRGBA(r=2.0)]}, "expected channels of 0 to 1"),
    ({"names": ["wall"], "colors": [ColorRGBA(g=math.nan)]}, "expected channels of 0 to 1"),
    ({"colors": [ColorRGBA()]}, "colors: got 1, expected 0"),
]

WRONG_TEXTS = [
    ("", "text[0]: got ''"),
    (LONG, "text[0]: got 1000000 characters"),
    ("|", "text[0]: got ''"),
    ("spoon", "word 'spoon'"),
]


def test_wrong_words_are_named_and_nothing_is_lost(start):
    one = start()
    assert set_words(one, "other", "floor").success
    fields = labelled_by(one, 2)
    for request, wanted in WRONG_WORDS:
        answer = call(one, SetWords, "set_words", SetWords.Request(**request))
        assert not answer.success and wanted in answer.message
        assert len(answer.message) < 500
    for text, wanted in WRONG_TEXTS:
        for kind, name in ((Find, "find"), (Embed, "embed")):
            answer = call(one, kind, name, kind.Request(text=text))
            assert not answer.success and wanted in answer.message
            assert len(answer.message) < 500
    one.send(cloud_message(make_header("odom", START + SECOND), SCENE))
    assert np.array_equal(one.labels(START + SECOND)["label"], fields["label"])


def test_words_need_an_active_node_and_a_language_head(harness, tmp_path):
    one = harness(**(ONE_CLOUD | {"words.head": str(tmp_path / "none.safetensors")}))
    requests = (
        (SetWords, "set_words", SetWords.Request(names=["chair"])),
        (Find, "find", Find.Request(text="chair")),
        (Embed, "embed", Embed.Request(text="chair")),
    )
    for kind, name, request in requests:
        assert call(one, kind, name, request).message == "the node is not active"
    one.start()
    one.send_room()
    one.wait_for_fused(1)
    for kind, name, request in requests:
        answer = call(one, kind, name, request)
        assert not answer.success and answer.message.startswith("words.head: ")
        assert "none.safetensors" in answer.message
    assert call(one, GetLabelAt, "get_label_at").message  # lives


def test_words_may_be_parameters(start):
    one = start(**{"words.names": ["other", "sofa|couch"], "words.threshold": 0.5})
    assert [entry.name for entry in classes(one, "sofa").classes] == ["other", "sofa"]
    fields = one.labels(START)
    assert set(fields["label"].tolist()) == {0, UNLABELLED}
    without = int((fields["label"] == UNLABELLED).sum())
    one.wait(lambda: one.status.voxels_no_word == without, "the voxels without a word in ~/status")
    row = np.flatnonzero(fields["label"] == UNLABELLED)[0]
    x, y, z = (float(fields[axis][row]) for axis in "xyz")
    where = GetLabelAt.Request(point=Point(x=x, y=y, z=z))
    refused = call(one, GetLabelAt, "get_label_at", where)
    assert not refused.success and "no word matches it" in refused.message


def test_objects_carry_their_vectors_of_the_text_space(start):
    one = start(**{"objects.enabled": True, "objects.text_vectors": True})
    one.listen("/concerto/objects", SemanticObjectArray, QOS)

    def described():
        messages = one.received["/concerto/objects"]
        return messages and len(messages[-1].objects) and messages[-1].objects

    objects = one.wait(described, "objects")
    vectors = np.array([found.text_vector for found in objects])
    assert vectors.shape == (2, len(CLASSES))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    texts = {
        text: np.array(call(one, Embed, "embed", Embed.Request(text=text)).vector)
        for text in CLASSES
    }
    best = [max(texts, key=lambda text: vector @ texts[text]) for vector in vectors]
    assert best == ["other", "other"]
    found = find(one, "other").objects
    assert [list(f.text_vector) for f in found]  # the vectors of the objects that they are
    assert {f.id for f in found} == {f.id for f in objects}
