# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Options that were renamed: the former name still works, with a notice."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Protocol


class HasArguments(Protocol):
    """An ``ArgumentParser`` or one of its groups of arguments."""

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """Define an argument, as ``ArgumentParser.add_argument``."""


def add_former_name(parser: HasArguments, former: str, option: argparse.Action) -> None:
    """Accept ``former`` as another name of ``option``, which ``--help`` does not show.

    Args:
        parser: The parser or the group that ``option`` belongs to.
        former: The name that the option had in an earlier release, e.g. ``--accumulate``.
        option: What ``add_argument`` returned for the present name. It takes one value.
    """
    parser.add_argument(
        former,
        action=_FormerName,
        dest=option.dest,
        type=option.type,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
        present=option.option_strings[0],
    )


class _FormerName(argparse.Action):
    """Stores the value like the present option does, and prints a notice on stderr."""

    def __init__(self, *, present: str, **options: Any) -> None:
        super().__init__(**options)
        self._present = present

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        print(f"{option_string} is now called {self._present}", file=sys.stderr)
        setattr(namespace, self.dest, values)
