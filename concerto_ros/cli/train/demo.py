# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train demo``: the models that come with the package."""

from __future__ import annotations

import argparse
from pathlib import Path

from concerto_ros.cli.train import language
from concerto_ros.cli.train.arguments import add_furniture_argument

#: Options that mean nothing beside another one, which comes first, and why. Devices but the CPU
#: mean nothing where nothing is computed on them.
MEANINGLESS = (
    (
        "language",
        ("rooms", "steps", "minutes", "confidence"),
        "whose head is made of what the bundled model has learned, without a training of its own",
    ),
    (
        "report",
        ("rooms", "steps", "minutes", "device", "confidence"),
        "which only measures a model, on the CPU, as it is",
    ),
    (
        "confidence",
        ("steps", "minutes", "device"),
        "which fits the temperature and what is unfamiliar, on the CPU, and trains no weights",
    ),
)

HELP = "the bundled demo model, from simulated rooms, or the one for outdoors from streets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.description = f"Train {HELP}."
    parser.add_argument(
        "--outdoor",
        action="store_true",
        help="the bundled model of the preset outdoor, from simulated streets",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for the simulated scenes and the training state (default out/demo_model, "
        "outdoors out/demo_outdoor_model)",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="file to write the model to (default: the bundled one is replaced)",
    )
    numbers: dict[str, tuple[type, str]] = {
        "rooms": (int, "number of simulated rooms, or streets, to train on"),
        "steps": (int, "number of optimiser steps"),
        "minutes": (float, "time limit of the training; the learning rate schedule adapts to it"),
    }
    for name, (number_type, text) in numbers.items():
        parser.add_argument(
            f"--{name}",
            type=number_type,
            metavar="N",
            help=f"{text} (default: as the bundled model was trained)",
        )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)"
    )
    add_furniture_argument(parser)
    parser.add_argument(
        "--report",
        action="store_true",
        help="do not train: only measure the bundled model and write docs/demo_model.md, or with"
        " --language the language head and docs/words.md",
    )
    parser.add_argument(
        "--language",
        action="store_true",
        help="the language head of the bundled model, made of what it has learned of fine names",
    )
    parser.add_argument(
        "--confidence",
        action="store_true",
        help="do not train: only fit the temperature of the bundled model, and the distance from"
        " which features are unfamiliar to it, again; labels stay the same",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, or only measure or calibrate, a bundled model.

    Raises:
        ValueError: Options have no effect together.
    """
    from concerto_ros.files.shared_files import source_path, source_tree
    from concerto_ros.learning.demo_model.furniture import furnished, furniture_folder
    from concerto_ros.learning.demo_model.recipe import RECIPES
    from concerto_ros.learning.demo_model.report.document import write_report
    from concerto_ros.learning.demo_model.training import DOCUMENT, renew_confidence, train
    from concerto_ros.learning.language.word_list import documented_words
    from concerto_ros.ptv3.kernels.usable_device import device_named

    _check(arguments)
    recipe = RECIPES["outdoor" if arguments.outdoor else "indoor"]
    folder = arguments.out or Path(
        "out", "demo_outdoor_model" if arguments.outdoor else "demo_model"
    )
    furniture = furniture_folder(arguments.furniture)
    if arguments.language:
        return language.run_bundled(arguments, furnished(recipe, furniture))
    if arguments.report:
        print(write_report(recipe, folder, source_path(DOCUMENT), furniture))
        return 0
    if arguments.confidence:
        scenes = {} if arguments.rooms is None else {"scenes": arguments.rooms}
        furnished_recipe = furnished(recipe, furniture)
        temperature, farthest = renew_confidence(
            folder, furnished_recipe, output=arguments.write, **scenes
        )
        print(f"temperature {temperature:.3f}, unfamiliar from a distance of {farthest:.3f} on")
        return 0
    outcome = train(
        folder,
        furnished(recipe, furniture),
        scenes=arguments.rooms,
        steps=arguments.steps,
        minutes=arguments.minutes,
        device=str(device_named(arguments.device)),
        output=arguments.write,
        names=[word.name for word in documented_words()] if recipe.named else (),
    )
    print(f"{outcome.steps} steps in {outcome.seconds / 60:.1f} minutes: {outcome.stopped}")
    if arguments.write is None and source_tree() is not None:
        print(write_report(recipe, folder, source_path(DOCUMENT), furniture))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Raise an error for options that would have no effect."""
    unset = {"device": ("auto", "cpu"), "confidence": (False,)}
    for mode, others, why in MEANINGLESS:
        if not getattr(arguments, mode):
            continue
        if mode == "report" and not arguments.language:
            others = (*others, "write")
        given = [f"--{o}" for o in others if getattr(arguments, o) not in unset.get(o, (None,))]
        if given:
            raise ValueError(f"{', '.join(given)}: expected none of them with --{mode}, {why}")
