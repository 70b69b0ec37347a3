# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sequence whose items are read or computed when they are indexed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

Item = TypeVar("Item", covariant=True)


class LazySequence(Sequence[Item], ABC):
    """Indices and slices of a sequence that defines its length and :meth:`read_item` only."""

    @abstractmethod
    def read_item(self, index: int) -> Item:
        """The item at ``index``, which is at least 0 and less than the length."""

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [self.read_item(i) for i in range(len(self))[index]]
        return self.read_item(range(len(self))[index])
