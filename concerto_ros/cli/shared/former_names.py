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
        present=option,
    )


class _FormerName(argparse.Action):
    """Hands its value to the present option, and prints a notice on stderr."""

    def __init__(self, *, present: argparse.Action, **options: Any) -> None:
        super().__init__(**options)
        self._present = present

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        present = self._present.option_strings[0]
        print(f"{option_string} is now called {present}", file=sys.stderr)
        self._present(parser, namespace, values, present)
