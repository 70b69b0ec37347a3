# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Foxglove: the shipped layout fits the topics, and labelled bags say what their messages are."""

from __future__ import annotations

import json

import numpy as np
from bag_recordings import START, write
from paths import REPOSITORY
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from concerto_ros.bags import messages
from concerto_ros.bags.reader import open_bag
from concerto_ros.bags.writer import write_copy, writing_outputs
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.packed_cloud import pack_labels

LAYOUT = json.loads((REPOSITORY / "config/foxglove/concerto.json").read_text("utf-8"))


def panels(node):
    """The panels of a layout, which is a tree of two halves each."""
    if isinstance(node, str):
        return [node]
    return panels(node["first"]) + panels(node["second"])


def texts(value):
    if isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in texts(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in texts(part))
    elif isinstance(value, str):
        yield value


def test_every_panel_has_its_place_and_its_configuration():
    assert sorted(panels(LAYOUT["layout"])) == sorted(LAYOUT["configById"])


def test_the_layout_names_topics_of_the_node_only():
    page = (REPOSITORY / "docs" / "topics.md").read_text(encoding="utf-8")
    named = {text.split(".")[0] for text in texts(LAYOUT) if text.startswith("/concerto/")}
    assert len(named) > 4
    assert {topic for topic in named if f"`~/{topic.rpartition('/')[2]}`" not in page} == set()


def test_a_labelled_bag_contains_the_definitions_of_all_its_types(tmp_path):
    """A viewer that knows no type decodes every message by what the file says alone."""
    labels = LabelSet.load("demo")
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    label = np.array([0, 1, 2, 255], np.uint8)
    packed = pack_labels(points, label, np.ones(4, np.float32), labels.palette)
    cloud = messages.cloud_message(packed, "odom", START)
    source = write(
        tmp_path / "bag", [(0, "/points", (messages.POINT_CLOUD, cloud))], StoragePlugin.MCAP
    )
    with writing_outputs(tmp_path / "outputs") as output:
        output("labels", START, cloud)
        output("classes", START, messages.classes_message(labels, "demo", "odom", START))
    with open_bag(source) as bag:
        write_copy(bag, [tmp_path / "outputs"], tmp_path / "out", "/concerto/", lambda: None)

    with open_bag(tmp_path / "out") as bag:
        assert bag.storage == "mcap"
        decoded = {}
        for connection, _, raw in bag.records():
            store = get_typestore(Stores.EMPTY)
            store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
            decoded[connection.topic] = store.deserialize_cdr(raw, connection.msgtype)
    assert set(decoded) == {"/points", "/concerto/labels", "/concerto/classes"}
    # Foxglove colours a cloud by a packed field of this name without being told to.
    assert "rgb" in [field.name for field in decoded["/concerto/labels"].fields]
    names = [each.name for each in decoded["/concerto/classes"].classes]
    assert names == [each.name for each in labels.classes]
