# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Base of the node's services: errors become a message, and no callback blocks the executor."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Vector3
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.task import Future as RosFuture

from concerto_ros.files.error_text import in_words
from concerto_ros.heads.taught_classes import TaughtClasses
from concerto_ros.labels.class_filter import check_filters
from concerto_ros.labels.output_clouds import LABELS
from concerto_ros.ros.middleware.process_end import WorkThread
from concerto_ros.ros.outputs.labelled_map import LabelledMap
from concerto_ros.ros.services.active_node import Activation, ActiveNode
from concerto_ros.sensors.transform_tree import TransformUnavailable

#: Answers a request by filling in the response.
Answer = Callable[[Any, Any], Any]

#: Errors whose text is meant for the caller; any other is a fault of the node.
EXPECTED = (ValueError, OSError, ImportError, TransformUnavailable)

DEACTIVATED = "the node was deactivated during the call"


class ServiceError(ValueError):
    """A call that cannot be answered; the text is the ``message`` of the response."""


class ServiceBase:
    """Services that exist in every state of the node; they fail while it is not active."""

    def __init__(self, node: Node, activation: Activation):
        self._node = node
        self._activation = activation

    def _serve(
        self,
        name: str,
        service_type: type,
        answer: Answer,
        group: CallbackGroup | None = None,
    ) -> None:
        """Offer ``~/name``. Calls of one ``group`` are answered one after the other."""
        # A call that waits blocks its group: in the node's default group also inputs and timers.
        group = group or MutuallyExclusiveCallbackGroup()
        self._node.create_service(
            service_type, f"~/{name}", self._answering(name, answer), callback_group=group
        )

    def _answering(
        self, name: str, answer: Callable[[Any, Any], Any]
    ) -> Callable[[Any, Any], Any]:
        """A callback that reports exceptions in the response, and never raises."""

        async def respond(request: Any, response: Any) -> Any:
            try:
                await answer(request, response)
                response.success = True
            except Exception as error:
                response.success = False
                response.message = in_words(error)
                if not isinstance(error, EXPECTED):
                    kind = type(error).__name__
                    response.message = (
                        f"an error inside the node, see its log: {response.message} ({kind})"
                    )
                    trace = "".join(traceback.format_exception(error))
                    self._node.get_logger().error(f"~/{name} failed:\n{trace}")
            return response

        return respond

    def _active(self) -> ActiveNode:
        if self._activation.node is None:
            raise ServiceError("the node is not active")
        return self._activation.node

    def _use(self, active: ActiveNode, taught: TaughtClasses) -> None:
        """Use the classes ``taught`` for labels from now on, and publish them."""
        now = self._activation.node
        if now is None or now.pipeline is not active.pipeline:
            raise ServiceError(DEACTIVATED)
        # The filters may have changed during the call; none may name a class that is gone.
        check_filters(active.parameters.filters, taught.labels)
        active.pipeline.use(taught)
        active.inference.refresh(LABELS)  # label the map again, even if no new frame comes
        active.outputs.publish_classes()

    async def _labelled(self, active: ActiveNode) -> LabelledMap:
        """The map with labels that are computed after the call came in."""
        labelled = await self._result(active.inference.next_labels())
        if labelled is None:
            raise self._no_map()
        return labelled

    def _no_map(self) -> ServiceError:
        return ServiceError("the map is empty" if self._activation.node else DEACTIVATED)

    async def _result(self, future: Future) -> Any:
        """Wait for the result of another thread while the executor serves other callbacks."""
        done = RosFuture()

        def wake(_: Future) -> None:
            done.set_result(None)
            executor = self._node.executor
            if executor is not None:
                executor.wake()

        future.add_done_callback(wake)
        await done
        return future.result()


def vector_of(name: str, value: Point | Vector3) -> np.ndarray:
    """The (3,) numbers of a field of a message.

    Raises:
        ServiceError: They are not finite.
    """
    vector = np.array([value.x, value.y, value.z])
    if not np.isfinite(vector).all():
        raise ServiceError(f"{name}: got {vector.tolist()}, expected finite numbers")
    return vector


def in_fixed_frame(
    active: ActiveNode, points: np.ndarray, frame_id: str, stamp: int
) -> np.ndarray:
    """Points (N, 3) of a frame in the fixed frame, by TF.

    Args:
        active: The active node.
        points: Metres.
        frame_id: Their frame; empty: the fixed frame.
        stamp: Of the transform, nanoseconds.

    Raises:
        TransformUnavailable: There is no transform.
    """
    fixed = active.settings.fixed_frame
    pose = active.transforms.lookup(fixed, frame_id or fixed, stamp)
    return points @ pose.rotation.T + pose.translation


def in_thread(work: Callable[..., Any], *arguments: Any) -> Future:
    """Call ``work`` in a thread of its own, for disks and text encoders, which may be slow."""
    future: Future = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)

    WorkThread(run, "service").start()
    return future
