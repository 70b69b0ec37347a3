# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects evaluate``: one subcommand for each protocol."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.cli.objects.arguments import add_data_arguments, options_of

if TYPE_CHECKING:
    from concerto_ros.learning.objects.training.training_run import ObjectTrainingResult

HELP = "evaluate an object encoder by a published protocol"

PROTOCOLS = {
    "classify": "the encoder's own head",
    "svm": "a linear SVM on the frozen encoder's features",
    "few-shot": "w-way s-shot classification on ten folds",
    "zero-shot": "classification by class names, with vectors of a text encoder",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand for each protocol, with the data set and the encoder."""
    from concerto_ros.learning.objects.names import FEW_SHOT_LAYOUT

    protocols = parser.add_subparsers(dest="protocol", required=True, metavar="PROTOCOL")
    for name, text in PROTOCOLS.items():
        protocol = protocols.add_parser(name, help=text, description=f"Evaluate {text}.")
        add_data_arguments(protocol, (FEW_SHOT_LAYOUT,) if name == "few-shot" else ())
        if name == "few-shot":
            protocol.add_argument("--way", type=int, default=5,
                                  help="classes per fold (default 5)")  # fmt: skip
            protocol.add_argument("--shot", type=int, default=10,
                                  help="labelled examples per class (default 10)")  # fmt: skip
            protocol.add_argument(
                "--method",
                default="svm",
                choices=("svm", "full", "mlp3", "linear"),
                help="a linear SVM, or fine-tuning as published (default svm)",
            )
            protocol.add_argument("--epochs", type=int,
                                  help="number of epochs (default: as published)")  # fmt: skip
        if name == "zero-shot":
            protocol.add_argument(
                "--words",
                type=Path,
                help="file with text embeddings of the class names (default: encoded with"
                " open_clip)",
            )


def run(arguments: argparse.Namespace) -> int:
    """Score by the chosen protocol."""
    return _few_shot(arguments) if arguments.protocol == "few-shot" else _whole_set(arguments)


def _few_shot(arguments: argparse.Namespace) -> int:
    """Score fold by fold and print the mean."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.names import FEW_SHOT_LAYOUT
    from concerto_ros.learning.objects.protocols import few_shot, published_folds
    from concerto_ros.learning.objects.training.models import load_for, to_fine_tune
    from concerto_ros.learning.objects.training.recipes import recipe_for, svm_recipe
    from concerto_ros.segmentation.model_options import device_named

    layout, device = arguments.layout, device_named(arguments.device)
    options, size = options_of(arguments), (arguments.way, arguments.shot)
    if layout == FEW_SHOT_LAYOUT:
        chosen = published_folds.published_folds(arguments.data, *size)
        classes = published_folds.CLASSES
    else:
        train, test = (read_objects(layout, arguments.data, part) for part in ("train", "test"))
        chosen = few_shot.folds(train, test, *size, seed=arguments.seed)
        classes = len(train.classes)
    if arguments.method == "svm":
        encoder = load_for(arguments.checkpoint, layout, "svm", options)
        svm = svm_recipe(encoder, layout)
        right = str(few_shot.few_shot_svm(encoder, chosen, svm, device=device))
    else:
        encoder = to_fine_tune(
            arguments.checkpoint, layout, arguments.method, classes,
            options=options, seed=arguments.seed,
        )  # fmt: skip
        recipe = recipe_for(
            encoder, arguments.method, layout, points=encoder.points, few_shot=True
        )
        if arguments.epochs is not None:
            recipe = recipe.shortened(arguments.epochs)
        tuned = few_shot.few_shot_fine_tuned(
            encoder, chosen, recipe, method=arguments.method, seed=arguments.seed,
            test_every=1, on_fold=_print_fold, device=device,
        )  # fmt: skip
        right = (
            f"{tuned.best} after the best epoch of each fold (the published protocol),"
            f" {tuned.last} after the last"
        )
    print(f"{arguments.way}-way {arguments.shot}-shot, {few_shot.FOLDS} folds: {right}")
    return 0


def _print_fold(outcome: ObjectTrainingResult) -> None:
    from concerto_ros.learning.objects.training.training_run import tested

    scores = tested(outcome)
    best, last = (f"{100 * share:.1f} %" for share in (scores.best, scores.last))
    print(f"fold: {best} after epoch {scores.best_epoch}, {last} after the last", flush=True)


def _whole_set(arguments: argparse.Namespace) -> int:
    """Score on the test split and print a table."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.protocols import linear_svm, zero_shot
    from concerto_ros.learning.objects.training import embedding
    from concerto_ros.learning.objects.training.models import check_classes, load_for
    from concerto_ros.learning.objects.training.recipes import svm_recipe
    from concerto_ros.learning.objects.training.scores import Accuracy, class_table
    from concerto_ros.segmentation.model_options import device_named

    layout, device = arguments.layout, device_named(arguments.device)
    test = read_objects(layout, arguments.data, "test")
    options = options_of(arguments)
    encoder = load_for(arguments.checkpoint, layout, arguments.protocol, options)
    if arguments.protocol == "svm":
        train = read_objects(layout, arguments.data, "train")
        recipe = svm_recipe(encoder, layout)
        score = linear_svm.linear_svm(encoder, train, test, recipe, device=device, progress=True)
    elif arguments.protocol == "classify":
        check_classes(encoder, test)
        logits = embedding.classify_objects(encoder, test, device=device, progress=True)
        score = Accuracy.of(logits.argmax(1), test.labels, len(test.classes))
    else:
        guesses = zero_shot.zero_shot(
            encoder, test, layout, words=arguments.words, device=device, progress=True
        )
        score = Accuracy.of(guesses, test.labels, len(test.classes))
    print(class_table(score, test.classes))
    print(
        f"{arguments.protocol}, {encoder.name} on {test.name}: {100 * score.accuracy:.2f} %"
        f" right of {len(test)} objects, {100 * score.class_mean:.2f} % as the mean of classes"
    )
    return 0
