# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects train``: one subcommand for each method, for parts and for the demo."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from concerto_ros.cli.objects.arguments import add_data_arguments, keywords_of

HELP = "fine-tune an object encoder as published"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The method, and for each what it needs."""
    from concerto_ros.learning.objects.training.recipes import METHODS

    methods = parser.add_subparsers(dest="method", required=True, metavar="METHOD")
    for name, text in METHODS.items():
        method = methods.add_parser(name, help=text, description=f"Train {text}.")
        _add_training_arguments(method)
        if name == "adapters":
            method.add_argument(
                "--variant",
                help="start anew: --checkpoint is then the file of CLIP, DINOv2 or ImageBind;"
                " clip_scan, clip_mn, dino_scan, dino_mn, ib_scan or ib_mn",
            )
    text = "ReCon's part segmentation, on ShapeNetPart"
    parts = methods.add_parser("parts", help=text, description=f"Train {text}.")
    _add_training_arguments(parts)
    text = "the encoder in the box, from the synthetic benchmark alone"
    demo = methods.add_parser("demo", help=text, description=f"Train {text}.")
    demo.add_argument("--out", type=Path, default=Path("out/objects_demo"))
    demo.add_argument("--write", type=Path, help="default: the file of the package")
    demo.add_argument("--per-class", type=int, help="objects of each class to learn from")
    demo.add_argument("--epochs", type=int)


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, default=Path("out/objects"))
    for option, kind in (("epochs", int), ("learning-rate", float), ("batch-size", int)):
        parser.add_argument(f"--{option}", type=kind, help="default: as published")
    parser.add_argument("--test-every", type=int, default=1, help="epochs (default 1)")


def run(arguments: argparse.Namespace) -> int:
    """Train by the chosen method."""
    return {"parts": _parts, "demo": _demo}.get(arguments.method, _fine_tune)(arguments)


def _fine_tune(arguments: argparse.Namespace) -> int:
    """Fine-tune, score, write."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.training.fine_tune import fine_tune
    from concerto_ros.learning.objects.training.models import (
        count_trained,
        save_object_encoder,
        to_fine_tune,
    )
    from concerto_ros.learning.objects.training.recipes import recipe_for
    from concerto_ros.segmentation.model_options import device_named

    device = device_named(arguments.device)
    train = read_objects(arguments.layout, arguments.data, "train")
    test = read_objects(arguments.layout, arguments.data, "test")
    variant, options = getattr(arguments, "variant", None), keywords_of(arguments)
    encoder = to_fine_tune(
        arguments.checkpoint,
        arguments.layout,
        arguments.method,
        len(train.classes),
        variant=variant,
        options=options,
        seed=arguments.seed,
    )
    recipe = recipe_for(encoder, arguments.method, arguments.layout, points=encoder.points)
    recipe = _changed(recipe, arguments)
    print(f"{len(train)} objects of {len(train.classes)} classes to learn, {len(test)} to test on")
    print(f"{encoder.name}, {arguments.method}: {count_trained(encoder, arguments.method)}")
    about = {"variant": variant, "keywords": options}
    how = _run_options(arguments, device, test, about)
    outcome = fine_tune(encoder, train, recipe, how, method=arguments.method)
    path = arguments.out / "encoder.pth"
    save_object_encoder(path, encoder, train.classes)
    print(
        f"{outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes; right of the test set:"
        f" {100 * outcome.last:.2f} % after the last epoch, {100 * outcome.best:.2f} % after epoch"
        f" {outcome.best_epoch}, the best (published numbers are chosen so)"
    )
    print(f"wrote {path}, the weights of the last epoch")
    return 0


def _parts(arguments: argparse.Namespace) -> int:
    """Train part segmentation, score, write."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.training.train_parts import (
        RECIPE,
        evaluate_parts,
        save_parts,
        start_parts,
        train_parts,
    )
    from concerto_ros.objects.encoders.shared.base import check_options
    from concerto_ros.segmentation.model_options import device_named

    device = device_named(arguments.device)
    train, test = (read_objects(arguments.layout, arguments.data, s) for s in ("train", "test"))
    options = keywords_of(arguments)
    check_options("part segmentation", start_parts, options)
    model = start_parts(arguments.checkpoint, **{"seed": arguments.seed} | options)
    how = _run_options(arguments, device, test, {"keywords": options})
    outcome = train_parts(model, train, _changed(RECIPE, arguments), how)
    path = arguments.out / "parts.pth"
    save_parts(path, model)
    score = evaluate_parts(model, test, device)
    print(
        f"{outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes; after the last"
        f" {100 * score.instance_iou:.2f} % instance mIoU, {100 * score.category_iou:.2f} % of"
        f" categories, {100 * score.accuracy:.2f} % of points; best instance mIoU"
        f" {100 * outcome.best:.2f} % after epoch {outcome.best_epoch}"
    )
    print(f"wrote {path}, the weights of the last epoch")
    return 0


def _changed(recipe, arguments: argparse.Namespace):
    """A recipe with what was given in its place."""
    if arguments.epochs is not None:
        recipe = recipe.shortened(arguments.epochs)
    given = {name: getattr(arguments, name) for name in ("learning_rate", "batch_size")}
    return replace(recipe, **{name: v for name, v in given.items() if v is not None})


def _run_options(arguments: argparse.Namespace, device, test, about: dict[str, Any]):
    """How the run of the arguments goes, scored on ``test``."""
    from concerto_ros.learning.objects.training.training_run import RunOptions

    return RunOptions(
        test=test,
        test_every=arguments.test_every,
        seed=arguments.seed,
        folder=arguments.out,
        device=device,
        about=about,
        progress=True,
    )


def _demo(arguments: argparse.Namespace) -> int:
    """Train the encoder in the box."""
    from concerto_ros.files.shared_files import source_path, source_tree
    from concerto_ros.learning.objects.demo_encoder.training import DOCUMENT, train
    from concerto_ros.learning.objects.training.scores import write_between

    given = {name: getattr(arguments, name) for name in ("per_class", "epochs")}
    given = {name: value for name, value in given.items() if value is not None}
    outcome, report = train(arguments.out, output=arguments.write, progress=True, **given)
    print(report)
    print(f"{outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes")
    if arguments.write is None and source_tree() is not None:
        write_between(source_path(DOCUMENT), "demo", report)
    return 0
