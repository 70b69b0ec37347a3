# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the node's services answer: what went wrong in words, and never by waiting in a callback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.task import Future as RosFuture

from concerto_ros.objects.words.word_search import WordSearch
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.transforms import Transforms
from concerto_ros.ros.stages.inference_stage import Inference, Labelled
from concerto_ros.ros.stages.intake_stage import Intake
from concerto_ros.ros.stages.object_stage import ObjectStage
from concerto_ros.settings.outputs import FilterSettings
from concerto_ros.settings.settings import Settings

DEACTIVATED = "the node was deactivated meanwhile"


class ServiceError(ValueError):
    """A call that cannot be answered; the text says why."""


@dataclass(frozen=True)
class Running:
    """What an active node has to answer with."""

    pipeline: SemanticPipeline
    intake: Intake
    inference: Inference
    objects: ObjectStage
    word_search: WordSearch | None
    transforms: Transforms
    settings: Settings
    filters: Sequence[FilterSettings]


class Answering:
    """Services that are there in every state of the node.

    ``running`` gives None where it is not active, and the answer then says so.
    """

    def __init__(self, node: Node, running: Callable[[], Running | None]):
        self._node = node
        self._running = running

    def _serve(
        self,
        name: str,
        kind: type,
        answer: Callable[[Any, Any], Any],
        group: CallbackGroup | None = None,
    ) -> None:
        """Offer ``~/name``. Calls of one ``group`` are answered one after the other."""
        # A call that waits holds its group: in the node's own one, clouds and timers as well.
        group = group or MutuallyExclusiveCallbackGroup()
        self._node.create_service(kind, f"~/{name}", _answering(answer), callback_group=group)

    def _active(self) -> Running:
        running = self._running()
        if running is None:
            raise ServiceError("the node is not active")
        return running

    async def _labelled(self, running: Running) -> Labelled:
        """The map with labels that are no older than the call."""
        labelled = await self._result(running.inference.labelled())
        if labelled is None:
            raise ServiceError("the map is empty" if self._running() else DEACTIVATED)
        return labelled

    async def _result(self, future: Future) -> Any:
        """The result of what another thread does; the executor goes on meanwhile."""
        done = RosFuture()

        def tell(_: Future) -> None:
            done.set_result(None)
            executor = self._node.executor
            if executor is not None:
                executor.wake()

        future.add_done_callback(tell)
        await done
        return future.result()


def in_thread(work: Callable[[], Any]) -> Future:
    """What ``work`` gives: disks and text encoders may be slow."""
    future: Future = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, name="service", daemon=True).start()
    return future


def _answering(answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A callback that says what went wrong, and never raises."""

    async def respond(request: Any, response: Any) -> Any:
        try:
            await answer(request, response)
            response.success = True
        except Exception as error:
            response.success = False
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            response.message = f"{kind}{error}"
        return response

    return respond
