# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that the methods of ``train`` share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.cli.shared.scan_arguments import add_input_arguments

if TYPE_CHECKING:
    from concerto_ros.learning.data.augment import Compose
    from concerto_ros.words.word_vectors import WordVectors


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the scans, the encoder, how scans become its input, and the folder of results."""
    from concerto_ros.cli.shared.scan_arguments import add_data_arguments

    parser.add_argument(
        "data", type=Path, help="labelled scans: a folder, or a bag with a labelled map"
    )
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="DATA",
        help="labelled scans to validate on (default: the folder val, else the share --holdout)",
    )
    parser.add_argument(
        "--checkpoint",
        default="demo",
        help="encoder to start from: an official name or a file (default: demo, the bundled model"
        " of the preset)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/train"),
        help="folder for the results (default out/train)",
    )
    add_data_arguments(parser)
    add_input_arguments(parser)


def add_augmentation_argument(group: argparse._ActionsContainer) -> None:
    """Define how training scans are augmented."""
    group.add_argument(
        "--augment",
        choices=("indoor", "outdoor", "none"),
        help="random augmentation of the training scans (default: that of --preset)",
    )
    group.add_argument(
        "--random-points",
        action="store_true",
        help="train on a random point of each voxel, as published, instead of their mean",
    )


def add_furniture_argument(
    parser: argparse.ArgumentParser, where: str = "stand in the rooms"
) -> None:
    """Define whose models a training has beside built furniture.

    Args:
        parser: Takes the argument.
        where: What the models do there, for the help.
    """
    parser.add_argument(
        "--furniture",
        metavar="DIR",
        help=f"furniture library whose models {where}: a folder of .sh3f files, or one"
        " with a table furniture.csv of OBJ or GLB files; none: built furniture only (default:"
        " Debian's package sweethome3d-furniture where it is installed)",
    )


def augmentation(arguments: argparse.Namespace, voxel_size: float) -> Compose | None:
    """The augmentation that ``--augment`` and ``--random-points`` ask for; None for none."""
    from concerto_ros.learning.data import augment
    from concerto_ros.learning.data.random_point import RandomPoint

    chosen = arguments.augment or arguments.preset
    steps = () if chosen == "none" else getattr(augment, chosen)(voxel_size).steps
    if arguments.random_points:
        steps = (*steps, RandomPoint(voxel_size))
    return augment.Compose(steps) if steps else None


def word_vectors(text_encoder: str, template: str | None, table: Path | None) -> WordVectors:
    """The vectors of words in the space of a text encoder, those of ``--table`` first."""
    from concerto_ros.words.vocabulary import read_vocabulary
    from concerto_ros.words.word_vectors import WordVectors

    tables = [] if table is None else [read_vocabulary(table)]
    return WordVectors(text_encoder, tables, template)
