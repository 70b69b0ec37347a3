# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The transforms of a bag, as far as it was read."""

from __future__ import annotations

from typing import Any

from concerto_ros.bags.transforms import insert_all
from concerto_ros.intake.placing import Lookup
from concerto_ros.sensors.transform_tree import Transform, TransformTree


class BagTransforms(Lookup):
    """Looks up the transforms read so far."""

    #: Seconds that moving transforms are kept, as long as tf2 does.
    CACHE_SECONDS = 10.0

    def __init__(self) -> None:
        self._tree = TransformTree(cache_seconds=self.CACHE_SECONDS)

    def insert(self, message: Any, *, static: bool) -> int:
        """Insert the transforms of a TFMessage; return how many of them are invalid."""
        return insert_all(self._tree, message, static=static)

    def clear(self) -> None:
        """Forget every moving transform."""
        self._tree.clear()

    def _find(self, target: str, source: str, stamp: int) -> Transform:
        return self._tree.lookup(target, source, stamp)
