# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings in the viewer: their inputs, their transforms, and the labels added to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from concerto_ros.bags.input_plan import found_inputs
from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.bags.transforms import transform_topics
from concerto_ros.settings.inputs import InputSettings
from concerto_ros.viewer.layout import layout, whole_view
from concerto_ros.viewer.scene import Scene
from concerto_ros.viewer.topics import CLASSES, CLOUD, FILTERED, TopicView


@dataclass(frozen=True)
class BagContent:
    """What of a recording is shown.

    Attributes:
        inputs: The inputs.
        fixed_frame: The frame in which clouds are shown.
        prefix: Of the topics with labels; empty: there are none.
        filtered: Names of the clouds below ``<prefix>filtered/``.
        remarks: Sentences on it for the user.
    """

    inputs: tuple[InputSettings, ...]
    fixed_frame: str
    prefix: str
    filtered: tuple[str, ...]
    remarks: tuple[str, ...]


def content_of(bag: Bag) -> BagContent:
    """Find what a recording has to show.

    Raises:
        BagError: It has neither inputs nor labels.
    """
    prefixes = sorted(
        name.removesuffix("classes") for name, topic in bag.topics.items() if topic.type == CLASSES
    )
    prefix = prefixes[0] if prefixes else ""
    remarks = [f"{other}: not shown, as {prefix} is" for other in prefixes[1:]]
    if not prefix:
        remarks.append(f"no labels in it: concerto-ros bag {bag.path} OUT adds them")
    try:
        found = found_inputs(bag)
    except BagError:
        if not prefix:
            raise
        inputs: tuple[InputSettings, ...] = ()
        fixed_frame = _frame_of(bag, f"{prefix}labels")
        remarks.append("no inputs in it, labels alone")
    else:
        # A recording without inputs has its own results detected as such.
        inputs = tuple(
            each
            for each in found.inputs
            if not (prefix and any(name.startswith(prefix) for name in each.topics.values()))
        )
        fixed_frame = _frame_of(bag, f"{prefix}labels") if prefix else ""
        fixed_frame = fixed_frame or found.settings["fixed_frame"]
        remarks += found.why if inputs else ()
    below = f"{prefix}{FILTERED}"
    filtered = tuple(
        name.removeprefix(below)
        for name, topic in bag.topics.items()
        if prefix and name.startswith(below) and topic.type == CLOUD
    )
    return BagContent(inputs, fixed_frame, prefix, filtered, tuple(remarks))


def show_bag(
    bag: Bag,
    content: BagContent,
    scene: Scene,
    *,
    rate: float,
    on_message: Callable[[], object] = lambda: None,
) -> TopicView:
    """Write a recording into the viewer.

    Args:
        bag: The recording.
        content: What to show of it.
        scene: Where to show it.
        rate: Most clouds and images per second of each topic, by their log times.
        on_message: Called for each message that is read.

    Returns:
        What showed the topics, with the counts of what could not be shown.
    """
    view = TopicView(scene, content.inputs, content.prefix, content.filtered, rate=rate)
    static = transform_topics(bag)
    shown = [name for name in view.topics if name in bag.topics]
    for topic, message_type, time, raw in bag.messages([*static, *shown]):
        on_message()
        if topic not in static and not view.is_due(topic, time):
            continue
        try:
            message = bag.deserialize(raw, message_type)
        except BagError as error:
            view.not_shown[f"{topic}: {error}"] += 1
            continue
        if topic in static:
            view.show_transforms(message, time, static=static[topic])
        else:
            view.show(topic, message, time)
    look = whole_view(scene.labelled)
    scene.look(layout(scene.entities, fixed_frame=content.fixed_frame, view_from=look))
    return view


def _frame_of(bag: Bag, topic: str) -> str:
    """Return the frame of the first message of a topic that names one; empty: none does."""
    if topic not in bag.topics:
        return ""
    for _, message_type, _, raw in bag.messages([topic]):
        try:
            message = bag.deserialize(raw, message_type)
        except BagError:
            continue
        if message.header.frame_id:
            return message.header.frame_id.removeprefix("/")
    return ""
