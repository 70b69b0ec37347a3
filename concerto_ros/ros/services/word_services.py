# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The services about words: labels by words, what a text finds, and the vector of a text."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_msgs.msg import ColorRGBA

from concerto_ros.labels.output_clouds import SIMILARITY
from concerto_ros.objects.finding.matched_objects import matched_objects
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.outputs.object_messages import object_message
from concerto_ros.ros.services.active_node import Activation
from concerto_ros.ros.services.base import ServiceBase, ServiceError, in_thread
from concerto_ros.srv import Embed, Find, SetWords
from concerto_ros.words.word_list import checked_words

Color = tuple[int, int, int]


class WordServices(ServiceBase):
    """``~/set_words``, ``~/find`` and ``~/embed``.

    Args:
        node: The node.
        activation: Its active parts.
        changing_classes: The group of all services that change the classes.
    """

    def __init__(self, node: Node, activation: Activation, changing_classes: CallbackGroup):
        super().__init__(node, activation)
        for name, service_type, answer in (("set_words", SetWords, self._set_words),):
            self._serve(name, service_type, answer, changing_classes)
        for name, service_type, answer in (
            ("find", Find, self._find),
            ("embed", Embed, self._embed),
        ):
            self._serve(name, service_type, answer)

    async def _set_words(self, request: SetWords.Request, response: SetWords.Response) -> None:
        active = self._active()
        colors = _colors(request.colors, len(request.names))
        threshold = _threshold(request.threshold)
        words = checked_words(request.names, "names") if request.names else None
        taught = await self._result(
            in_thread(active.pipeline.classes_of, words, threshold, colors)
        )
        self._use(active, taught)
        names = ", ".join(entry.name for entry in taught.labels.classes)
        self._node.get_logger().info(f"the classes are now: {names or 'none'}")

    async def _find(self, request: Find.Request, response: Find.Response) -> None:
        active = self._active()
        pipeline = active.pipeline
        text = _text(request.text)
        question = await self._result(in_thread(pipeline.text_query, text))
        labelled = await self._result(active.inference.next_match(question))
        if labelled is None:
            raise self._no_map()
        snapshot, prediction = labelled.snapshot, labelled.prediction
        active.comparison.show(question, snapshot.stamp)
        active.inference.refresh(SIMILARITY)
        found = await self._result(
            in_thread(pipeline.matches, text, prediction, snapshot, snapshot.points)
        )
        known = active.objects.findings
        matches = matched_objects(found, snapshot, () if known is None else known.objects)
        matches = matches[: request.limit or None]
        active.outputs.objects.publish_found(matches, snapshot.stamp)
        response.header = make_header(active.settings.fixed_frame, snapshot.stamp)
        response.objects = [object_message(match) for match in matches]
        response.scores = [match.hypotheses[0][1] for match in matches]
        if not matches:
            response.message = (
                f"nothing in the map of {len(snapshot)} voxels matches {text!r}: the similarity of"
                f" its best voxel is {np.nanmax(prediction.similarity):.2f}, expected about 0.5 or"
                " more, on enough voxels that touch"
            )

    async def _embed(self, request: Embed.Request, response: Embed.Response) -> None:
        """Answer with a vector of length 1."""
        pipeline = self._active().pipeline
        vector = await self._result(in_thread(pipeline.text_vector, _text(request.text)))
        response.vector = array("f", vector.tolist())
        response.encoder = pipeline.words.head.text_encoder


def _text(text: str) -> str:
    return checked_words([text], "text")[0]


def _threshold(value: float) -> float | None:
    """The threshold that a request names; None for that of the parameter."""
    if not 0 <= value <= 1:
        raise ServiceError(f"threshold: got {value:g}, expected 0 to 1")
    return value or None


def _colors(colors: Sequence[ColorRGBA], count: int) -> list[Color] | None:
    """The colours that a request names, 0..255; None if it leaves them to the node."""
    if not colors:
        return None
    if len(colors) != count:
        raise ServiceError(
            f"colors: got {len(colors)}, expected {count}, one for each of names, or none"
        )
    channels = np.array([(color.r, color.g, color.b) for color in colors])
    if not ((channels >= 0) & (channels <= 1)).all():
        raise ServiceError(f"colors: got {channels.tolist()[:3]}, expected channels of 0 to 1")
    return [tuple(color) for color in np.rint(255 * channels).astype(int).tolist()]
