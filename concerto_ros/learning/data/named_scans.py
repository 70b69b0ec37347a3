# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans whose fine names are positions in one list."""

from __future__ import annotations

from collections.abc import Sequence

from concerto_ros.learning.data.augment import renamed
from concerto_ros.learning.data.labelled_scan import LabelledScans, Scan
from concerto_ros.learning.data.lazy_sequence import LazySequence


class NamedScans(LazySequence[Scan]):
    """The scans of a data set with their fine names as positions in one list.

    Args:
        data: The scans; those without fine names have none afterwards either.
        names: The list.
    """

    def __init__(self, data: LabelledScans, names: Sequence[str]):
        self.data, self.names, self.classes = data, tuple(names), data.classes

    def __len__(self) -> int:
        return len(self.data)

    def read_item(self, index: int) -> Scan:
        """The scan at ``index``."""
        return renamed(self.data[index], self.names)
