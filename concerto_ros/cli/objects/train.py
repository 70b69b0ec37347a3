# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects train`` and ``benchmark``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

METHODS = {
    "full": "the whole encoder and a new head of three layers",
    "mlp3": "a new head of three layers, and ReCon's class token, on a frozen encoder",
    "linear": "a new linear head, and ReCon's class token, on a frozen encoder",
    "adapters": "Any2Point's adapters, tokens and head round a frozen transformer",
}


def add_train(actions) -> None:
    """One subcommand per method."""
    parser = actions.add_parser("train", help="fine-tune an object encoder as published")
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
        method.set_defaults(action_run=run_train)
    text = "ReCon's part segmentation, on ShapeNetPart"
    parts = methods.add_parser("parts", help=text, description=f"Train {text}.")
    _add_training_arguments(parts)
    parts.set_defaults(action_run=run_parts)
    text = "the encoder in the box, from the synthetic benchmark alone"
    demo = methods.add_parser("demo", help=text, description=f"Train {text}.")
    demo.add_argument("--out", type=Path, default=Path("out/objects_demo"))
    demo.add_argument("--write", type=Path, help="default: the file of the package")
    demo.add_argument("--per-class", type=int, help="objects of each class to learn from")
    demo.add_argument("--epochs", type=int)
    demo.set_defaults(action_run=run_demo)


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, default=Path("out/objects"))
    for option, kind in (("epochs", int), ("learning-rate", float), ("batch-size", int)):
        parser.add_argument(f"--{option}", type=kind, help="default: as published")
    parser.add_argument("--test-every", type=int, default=1, help="epochs (default 1)")


def add_benchmark(actions) -> None:
    """The comparison of ``docs/objects.md``."""
    parser = actions.add_parser(
        "benchmark", help="compare protocols and encoders on the synthetic benchmark"
    )
    parser.add_argument("--out", type=Path, default=Path("out/objects_demo"))
    parser.add_argument("--document", type=Path, help="put the table into this file, too")
    parser.add_argument("--small", action="store_true", help="a few steps, to see that it runs")
    parser.set_defaults(action_run=run_benchmark)


def add_data_arguments(parser: argparse.ArgumentParser, more: Sequence[str] = ()) -> None:
    """The data set and the encoder; ``more`` layouts than those with two splits."""
    from concerto_ros.learning.objects.data.layouts import LAYOUTS

    parser.add_argument("data", type=Path, help="folder of the data set")
    layouts = [*LAYOUTS, *more]
    parser.add_argument("--layout", required=True, choices=layouts, metavar="LAYOUT",
                        help=", ".join(layouts))  # fmt: skip
    parser.add_argument("--checkpoint", default="demo", help="default: the encoder in the box")
    parser.add_argument(
        "--keyword", action="append", default=[], metavar="NAME=VALUE",
        help="what the file does not tell, see docs/objects.md",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")


def keywords_of(arguments: argparse.Namespace) -> dict:
    """``--keyword`` as keywords: whole numbers, true and false are taken as such."""
    found = {}
    for text in arguments.keyword:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--keyword: got {text!r}, wanted NAME=VALUE")
        plain = {"true": True, "false": False}
        found[name] = plain.get(value, int(value) if value.isdigit() else value)
    return found


def run_train(arguments: argparse.Namespace) -> int:
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
    recipe = recipe_for(encoder.name, arguments.method, arguments.layout, points=encoder.points)
    recipe = _changed(recipe, arguments)
    print(f"{len(train)} objects of {len(train.classes)} classes to learn, {len(test)} to test on")
    print(f"{encoder.name}, {arguments.method}: {count_trained(encoder, arguments.method)}")
    outcome = fine_tune(
        encoder,
        train,
        recipe,
        method=arguments.method,
        test=test,
        test_every=arguments.test_every,
        seed=arguments.seed,
        folder=arguments.out,
        device=device,
        about={"variant": variant, "keywords": options},
        progress=True,
    )
    path = arguments.out / "encoder.pth"
    save_object_encoder(path, encoder, train.classes)
    print(
        f"{outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes; right of the test set:"
        f" {100 * outcome.last:.2f} % after the last epoch, {100 * outcome.best:.2f} % after epoch"
        f" {outcome.best_epoch}, the best (published numbers are chosen so)"
    )
    print(f"wrote {path}, the weights of the last epoch")
    return 0


def run_parts(arguments: argparse.Namespace) -> int:
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
    outcome = train_parts(
        model,
        train,
        _changed(RECIPE, arguments),
        test=test,
        test_every=arguments.test_every,
        seed=arguments.seed,
        folder=arguments.out,
        device=device,
        about={"keywords": options},
        progress=True,
    )
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


def run_demo(arguments: argparse.Namespace) -> int:
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


def run_benchmark(arguments: argparse.Namespace) -> int:
    """Measure and print the table."""
    from concerto_ros.learning.objects.protocols.benchmark import FULL, SMALL, measure
    from concerto_ros.learning.objects.training.scores import write_between

    text = measure(arguments.out, SMALL if arguments.small else FULL, progress=True)
    print(text)
    if arguments.document is not None:
        write_between(arguments.document, "benchmark", text)
    return 0
