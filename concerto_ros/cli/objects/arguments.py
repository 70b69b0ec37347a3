# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several actions on object encoders share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concerto_ros.cli.shared.former_names import add_former_name

if TYPE_CHECKING:
    import torch

    from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
    from concerto_ros.learning.objects.training.training_run import RunOptions


def add_data_arguments(parser: argparse.ArgumentParser, more: Sequence[str] = ()) -> None:
    """Add the arguments of the data set and the encoder.

    Args:
        parser: Takes the arguments.
        more: Names of layouts beside those with two splits.
    """
    from concerto_ros.learning.objects.names import LAYOUTS

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


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the hyper-parameters that replace published ones."""
    parser.add_argument("--epochs", type=int,
                        help="number of epochs (default: as published)")  # fmt: skip
    parser.add_argument("--learning-rate", type=float,
                        help="peak learning rate (default: as published)")  # fmt: skip
    parser.add_argument("--batch-size", type=int,
                        help="objects per batch (default: as published)")  # fmt: skip


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


def changed_recipe(
    recipe: ObjectTrainingConfig, arguments: argparse.Namespace
) -> ObjectTrainingConfig:
    """Return the recipe with the values of the command line."""
    if arguments.epochs is not None:
        recipe = recipe.shortened(arguments.epochs)
    values = {name: getattr(arguments, name) for name in ("learning_rate", "batch_size")}
    return replace(recipe, **{name: v for name, v in values.items() if v is not None})


def run_options(
    arguments: argparse.Namespace, device: torch.device, test: Any, identity: dict[str, Any]
) -> RunOptions:
    """Return the options of a run that is scored on ``test``."""
    from concerto_ros.learning.objects.training.training_run import RunOptions

    return RunOptions(
        test=test,
        test_every=arguments.test_every,
        seed=arguments.seed,
        folder=arguments.out,
        device=device,
        about=identity,
        progress=True,
    )
