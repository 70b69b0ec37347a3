# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several actions on object encoders share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from concerto_ros.cli.former_names import add_former_name


def add_data_arguments(parser: argparse.ArgumentParser, more: Sequence[str] = ()) -> None:
    """Add the arguments of the data set and the encoder.

    Args:
        parser: Takes the arguments.
        more: Names of layouts beside those with two splits.
    """
    from concerto_ros.learning.objects.data.layouts import LAYOUTS

    parser.add_argument("data", type=Path, help="folder of the data set")
    layouts = [*LAYOUTS, *more]
    parser.add_argument("--layout", required=True, choices=layouts, metavar="LAYOUT",
                        help=", ".join(layouts))  # fmt: skip
    add_encoder_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")


def add_encoder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the encoder's file and of its options."""
    parser.add_argument("--checkpoint", default="demo",
                        help="file of the encoder (default: the bundled encoder)")  # fmt: skip
    option = parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE",
                                 dest="options", help="encoder option not stored in the file, see"
                                 " docs/objects.md; may be repeated")  # fmt: skip
    add_former_name(parser, "--keyword", option)


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Parse the values of ``--option``: whole numbers, true and false become int and bool.

    Raises:
        ValueError: If one is not of the form NAME=VALUE.
    """
    options: dict[str, Any] = {}
    for text in arguments.options:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--option: got {text!r}, expected NAME=VALUE")
        plain = {"true": True, "false": False}
        options[name] = plain.get(value, int(value) if value.isdigit() else value)
    return options
