# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The transforms of a recording."""

from __future__ import annotations

from itertools import islice
from typing import Any

from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.sensors.transform_tree import TransformTree

TRANSFORMS = "tf2_msgs/msg/TFMessage"


def transform_topics(bag: Bag) -> dict[str, bool]:
    """Return the topics with transforms, and whether they are static."""
    names = (name for name, topic in bag.topics.items() if topic.type == TRANSFORMS)
    return {name: name.endswith("tf_static") for name in names}


def insert_all(tree: TransformTree, message: Any, *, static: bool) -> int:
    """Insert the transforms of a TFMessage; return how many of them are invalid."""
    refused = 0
    for transform in message.transforms:
        try:
            tree.insert(transform, static=static)
        except ValueError:
            refused += 1
    return refused


def fill_tree(tree: TransformTree, bag: Bag, limit: int | None = None) -> int:
    """Insert the transforms of a bag.

    Args:
        tree: Where to insert them.
        bag: The bag.
        limit: Maximum messages of each topic; None: all.

    Returns:
        The number of invalid transforms and unreadable messages, which are skipped.
    """
    refused = 0
    for name, static in transform_topics(bag).items():
        for _, message_type, _, raw in islice(bag.messages([name]), limit):
            try:
                message = bag.deserialize(raw, message_type)
            except BagError:
                refused += 1
            else:
                refused += insert_all(tree, message, static=static)
    return refused
