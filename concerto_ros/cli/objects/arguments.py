# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several actions on object encoders take."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def add_data_arguments(parser: argparse.ArgumentParser, more: Sequence[str] = ()) -> None:
    """The data set and the encoder; ``more`` layouts than those with two splits."""
    from concerto_ros.learning.objects.data.layouts import LAYOUTS

    parser.add_argument("data", type=Path, help="folder of the data set")
    layouts = [*LAYOUTS, *more]
    parser.add_argument("--layout", required=True, choices=layouts, metavar="LAYOUT",
                        help=", ".join(layouts))  # fmt: skip
    add_encoder_arguments(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")


def add_encoder_arguments(parser: argparse.ArgumentParser) -> None:
    """The file of the encoder and what it does not tell."""
    parser.add_argument("--checkpoint", default="demo", help="default: the encoder in the box")
    parser.add_argument("--keyword", action="append", default=[], metavar="NAME=VALUE",
                        help="what the file does not tell, see docs/objects.md")  # fmt: skip


def keywords_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """``--keyword`` as keywords: whole numbers, true and false are taken as such."""
    found = {}
    for text in arguments.keyword:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--keyword: got {text!r}, expected NAME=VALUE")
        plain = {"true": True, "false": False}
        found[name] = plain.get(value, int(value) if value.isdigit() else value)
    return found
