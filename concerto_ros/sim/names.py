# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fine names of what stands in simulated scenes: "office chair", where the class is chair.

A mesh holds a number for each triangle, as it does for the class. Names are numbered when they are
first used, as furniture libraries bring their own: a number means something within one process
only, and what is written to a file is the name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Protocol, Self, TypeVar

#: The number of what has no name.
NAMELESS = 0
#: Raised when pieces get other names: files with the names of scenes are then made again.
VERSION = 2

_numbers: dict[str, int] = {"": NAMELESS}
_names: list[str] = [""]


def number_of(name: str) -> int:
    """The number of a name in this process; a new one for a new name."""
    number = _numbers.setdefault(name, len(_names))
    if number == len(_names):
        _names.append(name)
    return number


def names() -> tuple[str, ...]:
    """All names by number; the first is that of what has none, the empty text."""
    return tuple(_names)


class Nameable(Protocol):
    """What can be given a name: a mesh."""

    def called(self, name: str) -> Self:
        """The same with ``name`` where it has none."""


_Made = TypeVar("_Made", bound=Nameable)


def named(name: str) -> Callable[[Callable[..., _Made]], Callable[..., _Made]]:
    """Decorate a builder: what it makes is called ``name``, where its parts have no own name."""

    def decorate(build: Callable[..., _Made]) -> Callable[..., _Made]:
        @wraps(build)
        def build_named(*args, **options) -> _Made:
            return build(*args, **options).called(name)

        return build_named

    return decorate
