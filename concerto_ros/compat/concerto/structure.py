# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The dict that the model takes and returns."""

from __future__ import annotations

from typing import Any

from concerto_ros.compat.concerto.utils import batch2offset, offset2batch


class Point(dict):
    """A batch of point clouds as a dict, whose entries are attributes as well.

    Of ``offset``, (B,) cumulative sizes of the clouds, and ``batch``, (N,) the cloud of each
    point, the one that is missing is derived from the other.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if "offset" in self and "batch" not in self:
            self["batch"] = offset2batch(self["offset"])
        elif "batch" in self and "offset" not in self:
            self["offset"] = batch2offset(self["batch"])

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"this point cloud has no {name!r}; it has {', '.join(map(repr, self))}"
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"this point cloud has no {name!r}") from None
