# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train language``: a language head from labelled scans and words."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.cli.train import language_images
from concerto_ros.cli.train.arguments import (
    add_augmentation_argument,
    add_model_arguments,
    augmentation,
    word_vectors,
)
from concerto_ros.cli.train.zero_shot_report import zero_shot_report

if TYPE_CHECKING:
    from concerto_ros.learning.demo_model.recipe import Recipe
    from concerto_ros.learning.language.config import LanguageConfig

HELP = "a language head on the frozen encoder: points are found by words"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    from concerto_ros.learning.language.config import SOLVERS, LanguageConfig

    parser.description = (
        "Train a language head on the frozen encoder, from labelled scans: the names of the label"
        " set and their synonyms are the words that points are taught. Or, with --pixel-features,"
        " from posed RGB-D images without labels."
    )
    add_model_arguments(parser)
    words = parser.add_argument_group("words")
    words.add_argument(
        "--words",
        type=Path,
        metavar="FILE",
        help="list of words with synonyms, see docs/words.md (default: the documented ones)",
    )
    words.add_argument(
        "--text-encoder",
        metavar="NAME",
        help="text encoder whose space the head learns (default minilm; of pixel features of"
        " open_clip theirs)",
    )
    words.add_argument(
        "--template",
        metavar="TEXT",
        help="prompt that words are put into, with {name} (default: the text encoder's own)",
    )
    words.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="table of word vectors to use before the text encoder is asked",
    )
    run = parser.add_argument_group("training")
    run.add_argument(
        "--solver",
        choices=SOLVERS,
        default=LanguageConfig.solver,
        help="steps of AdamW, or the least-squares solution in one pass (default %(default)s)",
    )
    for name, number, text in (
        ("steps", int, "optimiser steps of adamw"),
        ("batch_size", int, "scans per batch of adamw"),
        ("views", int, "versions of each scan: the scan itself and augmented copies"),
        ("learning_rate", float, "peak learning rate of adamw"),
        ("weight_decay", float, "weight decay of adamw"),
        ("strength", float, "penalty of the ridge, a share of the features' variance"),
        ("validate_every", int, "optimiser steps between validations"),
        ("seed", int, "random seed"),
        ("minutes", float, "time limit of adamw"),
    ):
        value = getattr(LanguageConfig, name)
        run.add_argument(
            f"--{name.replace('_', '-')}",
            type=number,
            default=value,
            metavar="N",
            help=f"{text} (default {'none' if value is None else value})",
        )
    run.add_argument(
        "--voxels",
        type=int,
        metavar="N",
        help=f"voxels of each scan to learn from, at most (default {LanguageConfig.voxels}; of"
        f" each scene of images {language_images.VOXELS}, the ridge takes all)",
    )
    add_augmentation_argument(run)
    language_images.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, measure on the validation scans and write the head and a report."""
    if arguments.pixel_features is not None:
        return language_images.run(arguments, _config(arguments, language_images.VOXELS))
    from concerto_ros.cli.shared.scan_arguments import ScanOpener, load_encoder_for
    from concerto_ros.heads.language import save_language_head
    from concerto_ros.learning.data.collate import ScanCollate
    from concerto_ros.learning.language.config import LanguageConfig
    from concerto_ros.learning.language.train import Vocabularies, train_language
    from concerto_ros.learning.language.word_list import (
        CONTRAST,
        TEXT_ENCODER,
        documented_words,
        read_words,
        words_for,
    )
    from concerto_ros.segmentation.model_options import convention_of

    encoder, voxel_size = load_encoder_for(arguments)
    convention = convention_of(encoder, arguments.preset)
    if arguments.validation is not None:
        arguments.holdout = 0.0  # the validation scans come from elsewhere
    scans = ScanOpener(arguments, voxel_size)
    data, validation = scans.open("train"), scans.open("val", arguments.validation)
    known = documented_words() if arguments.words is None else read_words(arguments.words)
    labels = words_for([each.name for each in data.classes.classes], known)
    text_encoder = arguments.text_encoder or TEXT_ENCODER
    vectors = word_vectors(text_encoder, arguments.template, arguments.table)
    print(
        f"{len(data)} training and {len(validation)} validation scans, {len(labels)} classes with"
        f" {sum(len(word.texts) for word in labels)} words; encoder {encoder.name}, text encoder"
        f" {vectors.encoder}, prompt {vectors.template!r}"
    )
    collate = ScanCollate(convention, voxel_size, augmentation(arguments, voxel_size))
    head, outcome = train_language(
        encoder,
        data,
        validation,
        Vocabularies(labels, (), CONTRAST),
        vectors,
        collate,
        _config(arguments, LanguageConfig.voxels),
    )
    written = [arguments.out / "language.safetensors"]
    save_language_head(written[0], head)
    facts = {
        "trained": HELP,
        "encoder": encoder.name,
        "text encoder": vectors.encoder,
        "solver": arguments.solver,
        "voxel size": f"{voxel_size} m",
        "scans": f"{len(data)} for training, {len(validation)} for validation, evaluated here",
        "seed": arguments.seed,
    }
    if outcome is not None:
        facts["steps"] = f"{outcome.steps} ({outcome.stopped}), best at {outcome.best_step}"
    names = vectors.of([word.name for word in labels]).vectors
    title = f"language on {arguments.data}"
    written += zero_shot_report(
        arguments.out, encoder, head, validation, names, collate, title, facts
    )
    print("wrote " + ", ".join(str(path) for path in written))
    return 0


def run_bundled(arguments: argparse.Namespace, recipe: Recipe) -> int:
    """Make the language head of the bundled model, or measure it only."""
    from concerto_ros.files.shared_files import source_path, source_tree
    from concerto_ros.learning.language.bundled import make_bundled
    from concerto_ros.learning.language.document import DOCUMENT, write_report
    from concerto_ros.ptv3.kernels.usable_device import device_named

    folder = arguments.out or Path("out", "demo_language")
    if not arguments.report:
        device = str(device_named(arguments.device))
        head = make_bundled(folder, recipe, device=device, output=arguments.write)
        print(f"made; what is found has at least the probability {head.find_threshold:.3f}")
    if arguments.report or (arguments.write is None and source_tree() is not None):
        print(write_report(folder, source_path(DOCUMENT), recipe, arguments.write))
    return 0


def _config(arguments: argparse.Namespace, voxels: int) -> LanguageConfig:
    """The options of the training; ``voxels`` is how many are taken where none is given."""
    from concerto_ros.learning.language.config import LanguageConfig

    names = [name for name in LanguageConfig.__dataclass_fields__ if hasattr(arguments, name)]
    options = {name: getattr(arguments, name) for name in names}
    return LanguageConfig(
        **(options | {"folder": arguments.out, "voxels": arguments.voxels or voxels})
    )
