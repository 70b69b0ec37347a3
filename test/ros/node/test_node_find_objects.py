# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects found by words through the real node: a file of an encoder, a file of words."""

from __future__ import annotations

import math
import sys
import threading

import numpy as np
import pytest
import torch
from node_harness import SECOND, START, call
from object_scene import BOXES, FIRST, OBJECTS, SCENE, block, label_by_height, objects_of
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from small_objects import tiny_recon

from concerto_ros.msg import SemanticObjectArray
from concerto_ros.objects.encoders.mixcon3d.encoder import BALLS, MixCon3D
from concerto_ros.objects.encoders.mixcon3d.network import PointPatchTransformer
from concerto_ros.srv import FindObjects, LoadMap
from concerto_ros.words.vocabulary import Vocabulary

#: Width of the vectors.
WIDTH = 24

#: What is as far from a mug as can be is not like one.
NAMES = ("mug", "anything but a mug", "lamp")


@pytest.fixture(scope="module")
def mixcon3d(tmp_path_factory):
    """A file of MixCon3D's form, of the smallest published size, with random weights."""
    torch.manual_seed(0)
    sizes, balls = next(iter(BALLS.items()))
    model = MixCon3D(PointPatchTransformer(sizes, balls, 4, 64), sizes.width, WIDTH, 10000)
    model.add_projections()
    # A random bias would be nearly all of every vector.
    torch.nn.init.zeros_(model.proj.bias)
    names = ("text_proj", "pc_img_proj")
    content = {name: getattr(model, name).state_dict() for name in names}
    content["state_dict"] = {
        name: value for name, value in model.state_dict().items() if not name.startswith(names)
    }
    path = tmp_path_factory.mktemp("encoder") / "mixcon3d.pt"
    torch.save(content, path)
    return path, model.text_proj


@pytest.fixture
def words(tmp_path):
    """Two vectors that are opposite to each other, and a third."""
    mug, lamp = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(1))
    vocabulary = Vocabulary(NAMES, torch.stack([mug, -mug, lamp]))
    vocabulary.save(tmp_path / "words.npz")
    return tmp_path / "words.npz", vocabulary


@pytest.fixture
def planner(harness):
    """Starts a node that looks for objects whether or not anybody listens."""

    def make(**parameters):
        one = harness(**(BOXES | {"objects.enabled": True} | parameters))
        assert one.configure()
        label_by_height(one)
        one.activate()
        return one

    return make


@pytest.fixture
def searching(planner, mixcon3d, words):
    """A node with an encoder and words, and what it says of two boxes on a table."""
    one = planner(
        **{
            "objects.encoder": str(mixcon3d[0]),
            "objects.words": str(words[0]),
            "objects.embeddings": True,
        }
    )
    one.listen(OBJECTS, SemanticObjectArray, QoSProfile(depth=20))
    return one


def find(one, *names: str, least: float = -1.0, limit: int = 0):
    request = FindObjects.Request(words=names, least_similarity=least, limit=limit)
    return call(one, FindObjects, "find_objects", request)


def cosines(objects, vocabulary: Vocabulary, projection, *names: str) -> np.ndarray:
    """(objects, names) in float64, from the vectors that the node publishes."""
    vectors = projection(vocabulary.of(names).vectors).detach().double().numpy()
    embedded = np.array([found.embedding for found in objects], np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return embedded @ vectors.T / np.linalg.norm(embedded, axis=1, keepdims=True)


def test_objects_come_by_their_cosine_with_the_word_that_suits_best(searching, mixcon3d, words):
    objects = objects_of(searching).objects
    ids = np.array([found.id for found in objects])
    for asked in (["mug"], ["anything but a mug"], ["lamp"], ["mug", " lamp "]):
        names = [name.strip() for name in asked]
        wanted = cosines(objects, words[1], mixcon3d[1], *names).max(axis=1)
        answer = find(searching, *asked)
        assert answer.success and answer.message == ""
        order = np.argsort(-wanted)
        assert abs(wanted[0] - wanted[1]) > 1e-3  # else there is no order to speak of
        assert [found.id for found in answer.objects] == ids[order].tolist()
        np.testing.assert_allclose(answer.similarities, wanted[order], atol=1e-5)
        assert answer.header.frame_id == "odom"
        assert answer.header.stamp.sec == START // SECOND
    by_id = {found.id: found for found in objects}
    assert all(found == by_id[found.id] for found in answer.objects)


def test_the_least_similarity_and_the_limit_leave_objects_out(searching):
    objects_of(searching)
    best, second = find(searching, "mug").similarities
    between = find(searching, "mug", least=(best + second) / 2)
    assert list(between.similarities) == [best]
    assert list(find(searching, "mug", limit=1).similarities) == [best]
    assert len(find(searching, "mug", limit=9).objects) == 2
    none = find(searching, "mug", least=1.0)
    assert none.success and none.objects == [] and len(none.similarities) == 0


def test_what_cannot_be_asked_is_named(searching):
    early = find(searching, "mug")
    assert not early.success and "no search for objects has finished" in early.message
    objects_of(searching)
    for names, least, wanted in (
        ([], -1.0, "words: got [], expected at least one"),
        (["mug", " "], -1.0, "none empty"),
        (["spoon", "mug"], -1.0, "no vector of spoon; it has mug"),
        (["mug"], math.nan, "least_similarity: got nan, expected -1 to 1"),
        (["mug"], 1.5, "least_similarity: got 1.5, expected -1 to 1"),
    ):
        answer = find(searching, *names, least=least)
        assert not answer.success and wanted in answer.message and answer.objects == []


def test_where_nothing_stands_the_answer_is_empty(searching):
    assert objects_of(searching, points=block((1, 0, 0), (2, 1, 0.04))).objects == []
    answer = find(searching, "mug")
    assert answer.success and answer.objects == [] and len(answer.similarities) == 0
    assert not find(searching, "spoon").success


def test_an_encoder_that_raises_is_no_empty_answer(searching):
    def broken(_batch):
        raise RuntimeError("out of memory")

    searching.node._configured.finder._namer.encoder.embed_words = broken
    assert len(objects_of(searching).objects) == 2
    answer = find(searching, "mug")
    assert not answer.success
    assert answer.message == "the object encoder failed: RuntimeError: out of memory"


def test_an_object_that_the_encoder_refuses_is_left_out(planner, mixcon3d, words):
    parameters = {"objects.encoder": str(mixcon3d[0]), "objects.words": str(words[0])}
    one = planner(**parameters, **{"objects.min_voxels": 3})
    one.listen(OBJECTS, SemanticObjectArray, QoSProfile(depth=20))
    three = (FIRST[:3] + [0, 0, 2]).astype("f4")
    assert len(objects_of(one, points=np.concatenate([SCENE, three])).objects) == 3
    answer = find(one, "mug")
    assert len(answer.objects) == 2 and all(found.point_count > 3 for found in answer.objects)
    assert all(len(found.embedding) == 0 for found in answer.objects)  # not asked for


def test_words_of_another_text_encoder_are_refused(planner, mixcon3d, tmp_path):
    Vocabulary(("mug",), torch.ones(1, 5)).save(tmp_path / "other.npz")
    parameters = {
        "objects.encoder": str(mixcon3d[0]),
        "objects.words": str(tmp_path / "other.npz"),
    }
    one = planner(**parameters)
    one.listen(OBJECTS, SemanticObjectArray, QoSProfile(depth=20))
    objects_of(one)
    answer = find(one, "mug")
    assert not answer.success
    assert "vectors of the names have 5 channels, expected 24 for mixcon3d" in answer.message


def test_a_node_that_is_not_active_or_has_no_words_says_so(harness):
    one = harness(**BOXES)
    assert find(one, "mug").message == "the node is not active"
    one.start()
    answer = find(one, "mug")
    assert not answer.success
    assert answer.message == "no text encoder: set objects.encoder and objects.words"


def test_words_that_nothing_can_be_compared_with_do_not_configure(
    harness, mixcon3d, words, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    torch.save({"base_model": tiny_recon().published_state()}, tmp_path / "recon.pth")
    one = harness(**BOXES)
    for encoder, source, wanted in (
        ("", words[0], "expected objects.encoder as well"),
        (
            tmp_path / "recon.pth",
            words[0],
            "the recon file of objects.encoder was not trained with words",
        ),
        (
            tmp_path / "recon.pth",
            "open_clip",
            "the recon file of objects.encoder was not trained with words",
        ),
        (mixcon3d[0], "none.npz", "No such file or directory: 'none.npz'"),
        (mixcon3d[0], "open_clip", "pip install open_clip_torch"),
    ):
        values = {"objects.encoder": str(encoder), "objects.words": str(source)}
        one.node.set_parameters([Parameter(name, value=value) for name, value in values.items()])
        assert not one.configure()

        def said(wanted=wanted):
            state = one.diagnosis("state")()
            return state and "objects.words: " in state.message and wanted in state.message

        one.wait(said, wanted)


def test_a_text_encoder_is_asked_once_about_each_word_and_nothing_waits_for_it(
    planner, mixcon3d, words, monkeypatch
):
    asked, answer_now = [], threading.Event()

    def encode(texts):
        asked.append(list(texts))
        assert answer_now.wait(20.0)
        return torch.stack([words[1].of([text]).vectors[0] for text in texts])

    load = "concerto_ros.objects.words.word_search.load_text_encoder"
    monkeypatch.setattr(load, lambda name, download: encode)
    one = planner(**{"objects.encoder": str(mixcon3d[0]), "objects.words": "open_clip"})
    one.listen(OBJECTS, SemanticObjectArray, QoSProfile(depth=20))
    objects_of(one)
    client = one.robot.create_client(FindObjects, "/concerto/find_objects")
    assert client.wait_for_service(20.0)
    slow = client.call_async(FindObjects.Request(words=["lamp"], least_similarity=-1.0))
    one.wait(lambda: asked, "the question")
    # Meanwhile another service answers, clouds come in, and objects are looked for.
    assert call(one, LoadMap, "load_map").message.startswith("map_directory")
    assert len(objects_of(one, START + SECOND).objects) == 2
    assert not slow.done()
    answer_now.set()
    first = one.wait(lambda: slow.done() and slow.result(), "the answer")
    again = find(one, "lamp", "mug")
    assert first.success and again.success
    assert asked == [["lamp"], ["mug"]]
    assert max(again.similarities) >= max(first.similarities) - 1e-6
