# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The services that teach the node new classes while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import wait

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from concerto_ros.files.confined_path import file_below
from concerto_ros.heads.added_rows import MAX_ROWS, Examples
from concerto_ros.heads.linear import save_head
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.heads.taught_regions import Ball, Box, Region, Sample, examples_of, sample_rows
from concerto_ros.labels.output_clouds import SIMILARITY
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.ros.inputs.clicks import Clicks
from concerto_ros.ros.outputs.labelled_map import LabelledMap
from concerto_ros.ros.services.active_node import Activation, ActiveNode
from concerto_ros.ros.services.base import ServiceBase, ServiceError, in_thread, vector_of
from concerto_ros.ros.services.click_listener import TOPIC
from concerto_ros.segmentation.convention import preset_with
from concerto_ros.srv import Forget, SaveHead, Teach

SUFFIX = ".pth"


class TeachServices(ServiceBase):
    """``~/teach``, ``~/forget``, ``~/save_head`` and ``~/clear_clicks``.

    Args:
        node: The node.
        activation: Its active parts.
        changing_classes: The group of all services that change the classes, one at a time.
    """

    def __init__(self, node: Node, activation: Activation, changing_classes: CallbackGroup):
        super().__init__(node, activation)
        for name, service_type, answer in (
            ("teach", Teach, self._teach),
            ("forget", Forget, self._forget),
            ("save_head", SaveHead, self._save_head),
            ("clear_clicks", Trigger, self._clear_clicks),
        ):
            self._serve(name, service_type, answer, changing_classes)

    async def _teach(self, request: Teach.Request, response: Teach.Response) -> None:
        active = self._active()
        known = active.pipeline.taught
        known.check_name(request.class_name)
        before = await self._labels(active)
        if request.shape == Teach.Request.CLICKS:
            taught = await self._taught_by_clicks(active.clicks, known, request.class_name)
        else:
            examples = await self._examples_in(active, request)
            taught = await self._learned(known, request.class_name, examples)
        self._use(active, taught)
        after = await self._labels(active)
        response.label = taught.label_of(request.class_name)
        response.examples = taught.newest_examples
        if after is not None:
            response.voxels = int(np.count_nonzero(after.prediction.label == response.label))
            response.changed = 0 if before is None else _changed(before, after)
        self._node.get_logger().info(
            f"class {request.class_name!r} learned from {response.examples} voxels:"
            f" {response.voxels} of the map have its label now"
        )

    async def _forget(self, request: Forget.Request, _response: Forget.Response) -> None:
        active = self._active()
        known = active.pipeline.taught
        taught = await self._result(in_thread(known.without, request.class_name))
        self._use(active, taught)
        self._node.get_logger().info(f"class {request.class_name!r} forgotten")

    async def _save_head(self, request: SaveHead.Request, response: SaveHead.Response) -> None:
        active = self._active()
        directory = active.settings.head_directory
        path = file_below(directory, request.path, "head_directory", SUFFIX)
        pipeline = active.pipeline
        head = pipeline.taught.named_head()
        encoder = pipeline.encoder
        head.preset = preset_with(pipeline.convention, encoder.rotary, encoder.conventions)
        head.encoder = encoder.digest
        await self._result(in_thread(save_head, path, head))
        response.classes = head.num_classes
        self._node.get_logger().info(f"head of {response.classes} classes written to {path}")

    async def _clear_clicks(self, _request: Trigger.Request, response: Trigger.Response) -> None:
        """Forget the clicked points and the text to find, and end ``~/similarity``."""
        active = self._active()
        response.message = f"{active.clicks.clear()} clicked points are forgotten"
        active.inference.refresh(SIMILARITY)

    async def _labels(self, active: ActiveNode) -> LabelledMap | None:
        """The current map with labels; None if it is empty."""
        return await self._result(active.inference.next_labels())

    async def _learned(self, known: TaughtClasses, name: str, examples: Examples) -> TaughtClasses:
        return await self._result(in_thread(known.taught, name, examples))

    async def _taught_by_clicks(
        self, source: Clicks, known: TaughtClasses, name: str
    ) -> TaughtClasses:
        await self._result(in_thread(wait, source.waiting()))
        clicks = source.take()
        if not clicks:
            topic = self._node.resolve_topic_name(TOPIC)
            raise ServiceError(
                "no point of the map was clicked since the last call; publish points on"
                f" {topic}, or request a sphere or a box"
            )
        try:
            samples = [click.sample for click in clicks]
            examples = examples_of(samples, [click.region for click in clicks])
            return await self._learned(known, name, examples)
        except Exception:
            source.put_back(clicks)
            raise

    async def _examples_in(self, active: ActiveNode, request: Teach.Request) -> Examples:
        """The features of the map inside and outside of the requested sphere or box."""
        make = _region_maker(active, request)
        regions: list[Region] = []

        def choose(snapshot: MapSnapshot) -> np.ndarray:
            regions[:] = [make(snapshot.stamp)]  # called again where the map was cleared meanwhile
            return sample_rows(snapshot.points, regions[0], MAX_ROWS)

        result = await self._result(active.inference.next_features(choose))
        if result is None:
            raise self._no_map()
        points = result.labelled.snapshot.points[result.rows]
        return examples_of([Sample(points, result.features)], regions)


def _changed(before: LabelledMap, after: LabelledMap) -> int:
    """How many voxels that are in both maps have another label; 0 where the map was cleared."""
    if before.snapshot.generation is not after.snapshot.generation:
        return 0
    rows = after.snapshot.rows_in(before.snapshot.keys, before.snapshot.first_seen)
    same = rows >= 0
    label = before.prediction.label[rows[same]]
    return int(np.count_nonzero(label != after.prediction.label[same]))


def _region_maker(active: ActiveNode, request: Teach.Request) -> Callable[[int], Region]:
    """A function from the stamp of a map to the region of ``request`` in the fixed frame."""
    center = vector_of("center", request.center)
    fixed = active.settings.fixed_frame
    frame = request.frame_id or fixed
    if request.shape == Teach.Request.SPHERE:
        extents: Sequence[float] = [request.radius]
        name = "radius"
    elif request.shape == Teach.Request.BOX:
        extents, name = vector_of("size", request.size).tolist(), "size"
    else:
        raise ServiceError(f"shape: got {request.shape}, expected 0 CLICKS, 1 SPHERE or 2 BOX")
    if not (np.isfinite(extents).all() and np.min(extents) > 0):
        raise ServiceError(f"{name}: got {extents}, expected metres above 0")

    def make(stamp: int) -> Region:
        pose = active.transforms.lookup(fixed, frame, stamp)
        if request.shape == Teach.Request.SPHERE:
            return Ball(pose.rotation @ center + pose.translation, float(request.radius))
        return Box(center, np.asarray(extents), pose.rotation, pose.translation)

    return make
