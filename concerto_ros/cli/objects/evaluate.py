# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects evaluate``: one subcommand for each protocol."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concerto_ros.cli.objects.arguments import add_data_arguments, options_of

if TYPE_CHECKING:
    import torch

    from concerto_ros.learning.objects.data.object_set import ObjectSet
    from concerto_ros.learning.objects.training.training_run import ObjectTrainingResult
    from concerto_ros.objects import ObjectEncoder

HELP = "evaluate an object encoder by a published protocol"

PROTOCOLS = {
    "classify": "the encoder's own head",
    "vote": "the encoder's own head by a vote over random views of each object",
    "parts": "part segmentation with a file of ReCon's, on ShapeNetPart",
    "svm": "a linear SVM on the frozen encoder's features",
    "few-shot": "w-way s-shot classification on ten folds",
    "zero-shot": "classification by class names, with vectors of a text encoder",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand for each protocol, with the data set and the encoder."""
    from concerto_ros.learning.objects.names import (
        EVIDENCE,
        FEW_SHOT_LAYOUT,
        VOTE_PASSES,
        WORD_LAYOUTS,
    )

    more = {"few-shot": (FEW_SHOT_LAYOUT,), "zero-shot": WORD_LAYOUTS}
    protocols = parser.add_subparsers(dest="protocol", required=True, metavar="PROTOCOL")
    for name, text in PROTOCOLS.items():
        protocol = protocols.add_parser(name, help=text, description=f"Evaluate {text}.")
        add_data_arguments(protocol, more.get(name, ()))
        if name in ("classify", "vote", "parts"):
            default = VOTE_PASSES if name == "vote" else 1
            protocol.add_argument("--passes", type=int, default=default, metavar="N",
                                  help="views of each object whose scores are averaged"
                                  f" (default {default}; {VOTE_PASSES} as published)")  # fmt: skip
        if name == "vote":
            protocol.add_argument("--rounds", type=int, default=1, metavar="N",
                                  help="votes, of which published numbers are the best"
                                  " (default 1)")  # fmt: skip
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
            protocol.add_argument(
                "--evidence",
                choices=EVIDENCE,
                default="points",
                help="with openshape_lvis, what is compared with the names: the cloud, four"
                " pictures, the sum of both cosines, or both fused (default points)",
            )


def run(arguments: argparse.Namespace) -> int:
    """Score by the chosen protocol."""
    from concerto_ros.learning.objects.names import WORD_LAYOUTS

    if arguments.layout in WORD_LAYOUTS:
        return _word_test(arguments)
    others = {"few-shot": _few_shot, "parts": _parts}
    return others.get(arguments.protocol, _whole_set)(arguments)


def _word_test(arguments: argparse.Namespace) -> int:
    """Score zero-shot on one of OpenShape's test sets."""
    from concerto_ros.learning.objects.data.openshape_tests import WORD_TESTS
    from concerto_ros.learning.objects.protocols.word_tests import score_by_words
    from concerto_ros.objects import load_object_encoder
    from concerto_ros.objects.encoders.mixcon3d.encoder import MixCon3D
    from concerto_ros.ptv3.kernels.usable_device import device_named

    if arguments.words is not None:
        raise ValueError("--words: OpenShape's test sets bring the vectors of their names")
    device = device_named(arguments.device)
    encoder = load_object_encoder(arguments.checkpoint, model="mixcon3d", **options_of(arguments))
    assert isinstance(encoder, MixCon3D)
    test = WORD_TESTS[arguments.layout.removeprefix("openshape_")](arguments.data.resolve())
    score = score_by_words(
        encoder.to(device), test, evidence=arguments.evidence, seed=arguments.seed,
        device=device, progress=True,
    )  # fmt: skip
    print(f"zero-shot by {arguments.evidence}, {len(test)} objects of {test.name}: {score}")
    return 0


def _parts(arguments: argparse.Namespace) -> int:
    """Score a part segmentation of ReCon."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.training.recon_parts import from_state, load_recon_parts
    from concerto_ros.learning.objects.training.train_parts import evaluate_parts
    from concerto_ros.objects.encoders.shared.base import check_options
    from concerto_ros.ptv3.kernels.usable_device import device_named

    options = options_of(arguments)
    check_options("part segmentation", from_state, options)
    test = read_objects(arguments.layout, arguments.data, "test")
    model = load_recon_parts(arguments.checkpoint, **options)
    score = evaluate_parts(
        model, test, device_named(arguments.device), passes=arguments.passes, seed=arguments.seed
    )
    print(
        f"parts, {len(test)} objects of {test.name}: {100 * score.instance_iou:.2f} % instance"
        f" mIoU, {100 * score.category_iou:.2f} % class mIoU, {100 * score.accuracy:.2f} % of"
        " points"
    )
    return 0


def _few_shot(arguments: argparse.Namespace) -> int:
    """Score fold by fold and print the mean."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.names import FEW_SHOT_LAYOUT
    from concerto_ros.learning.objects.protocols import few_shot, published_folds
    from concerto_ros.learning.objects.training.models import load_for, to_fine_tune
    from concerto_ros.learning.objects.training.recipes import recipe_for, svm_recipe
    from concerto_ros.ptv3.kernels.usable_device import device_named

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
    from concerto_ros.learning.objects.protocols import linear_svm
    from concerto_ros.learning.objects.training.models import check_classes, load_for
    from concerto_ros.learning.objects.training.recipes import svm_recipe
    from concerto_ros.learning.objects.training.scores import Accuracy, RankedAccuracy, class_table
    from concerto_ros.ptv3.kernels.usable_device import device_named

    layout, device = arguments.layout, device_named(arguments.device)
    test = read_objects(layout, arguments.data, "test")
    options, own_head = options_of(arguments), arguments.protocol in ("classify", "vote")
    encoder = load_for(
        arguments.checkpoint, layout, "classify" if own_head else arguments.protocol, options
    )
    ranked = ""
    if arguments.protocol == "svm":
        train = read_objects(layout, arguments.data, "train")
        recipe = svm_recipe(encoder, layout)
        score = linear_svm.linear_svm(encoder, train, test, recipe, device=device, progress=True)
    elif own_head:
        check_classes(encoder, test)
        rounds = _rounds(arguments, encoder, test, device)
        scores = [Accuracy.of(one.argmax(1), test.labels, len(test.classes)) for one in rounds]
        score = max(scores, key=lambda one: one.accuracy)
        if len(scores) > 1:
            mean = sum(one.accuracy for one in scores) / len(scores)
            ranked = f"; mean of {len(scores)} rounds {100 * mean:.2f} %, this is the best one"
    else:
        from concerto_ros.learning.objects.protocols import zero_shot

        cosines = zero_shot.zero_shot(
            encoder, test, layout, words=arguments.words, device=device, progress=True
        )
        score = Accuracy.of(cosines.argmax(1), test.labels, len(test.classes))
        ranked = f"; {RankedAccuracy.of(cosines, test.labels)}"
    print(class_table(score, test.classes))
    print(
        f"{arguments.protocol}, {encoder.name} on {test.name}: {100 * score.accuracy:.2f} %"
        f" right of {len(test)} objects, {100 * score.class_mean:.2f} % as the mean of classes"
        f"{ranked}"
    )
    return 0


def _rounds(
    arguments: argparse.Namespace, encoder: ObjectEncoder, test: ObjectSet, device: torch.device
) -> list[Any]:
    """Return the (S, classes) logits of each round: of one pass, or of votes."""
    from concerto_ros.learning.objects.training.embedding import classify_objects
    from concerto_ros.learning.objects.training.recipes import benchmark_of
    from concerto_ros.learning.objects.training.view_voting import vote_on_objects

    if arguments.protocol == "classify" and arguments.passes == 1:
        return [classify_objects(encoder, test, device=device, progress=True)]
    rounds = getattr(arguments, "rounds", 1)
    if rounds < 1:
        raise ValueError(f"--rounds is {rounds}, expected at least 1")
    change = encoder.vote_change(benchmark_of(arguments.layout))
    return [
        vote_on_objects(
            encoder, test, change, passes=arguments.passes, seed=arguments.seed + number,
            device=device, progress=True,
        )
        for number in range(rounds)
    ]  # fmt: skip
