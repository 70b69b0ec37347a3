# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects train``: a subcommand for each method and for each special training."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.cli.objects import train_mixcon3d
from concerto_ros.cli.objects.arguments import (
    add_data_arguments,
    add_recipe_arguments,
    changed_recipe,
    options_of,
    run_options,
)
from concerto_ros.cli.train.arguments import add_furniture_argument

if TYPE_CHECKING:
    from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig

HELP = "train an object encoder as published"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand for each method, with its arguments."""
    from concerto_ros.learning.objects.names import METHODS

    methods = parser.add_subparsers(dest="method", required=True, metavar="METHOD")
    for name, text in METHODS.items():
        method = methods.add_parser(name, help=text, description=f"Train {text}.")
        _add_training_arguments(method)
        if name == "adapters":
            method.add_argument(
                "--variant",
                help="start from a source model, so that --checkpoint is the file of CLIP, DINOv2"
                " or ImageBind: clip_scan, clip_mn, dino_scan, dino_mn, ib_scan or ib_mn",
            )
    text = "ReCon's part segmentation, on ShapeNetPart"
    parts = methods.add_parser("parts", help=text, description=f"Train {text}.")
    _add_training_arguments(parts)
    text = train_mixcon3d.TEXT
    contrast = methods.add_parser("mixcon3d", help=text, description=f"Train {text}.")
    train_mixcon3d.add_arguments(contrast)
    text = "the bundled encoder, from generated objects and furniture models"
    demo = methods.add_parser("demo", help=text, description=f"Train {text}.")
    demo.add_argument("--out", type=Path, default=Path("out/objects_demo"),
                      help="folder for the synthetic objects and the training state"
                      " (default out/objects_demo)")  # fmt: skip
    demo.add_argument("--write", type=Path,
                      help="encoder file to write (default: replace the bundled one)")  # fmt: skip
    demo.add_argument("--per-class", type=int, help="training objects per class")
    demo.add_argument("--epochs", type=int, help="number of epochs")
    add_furniture_argument(demo, "are among the objects")


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, default=Path("out/objects"),
                        help="folder for the encoder, report.md and the training state, from which"
                        " training resumes (default out/objects)")  # fmt: skip
    add_recipe_arguments(parser)
    parser.add_argument("--test-every", type=int, default=1,
                        help="epochs between evaluations on the test set (default 1)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train by the chosen method."""
    others = {"parts": _parts, "mixcon3d": train_mixcon3d.run, "demo": _demo}
    return others.get(arguments.method, _fine_tune)(arguments)


def _fine_tune(arguments: argparse.Namespace) -> int:
    """Fine-tune, score, and write the encoder."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.training.fine_tune import fine_tune
    from concerto_ros.learning.objects.training.models import (
        count_trained,
        save_object_encoder,
        to_fine_tune,
    )
    from concerto_ros.learning.objects.training.recipes import recipe_for
    from concerto_ros.learning.objects.training.report import write_report
    from concerto_ros.learning.objects.training.training_run import tested
    from concerto_ros.ptv3.kernels.usable_device import device_named

    device = device_named(arguments.device)
    train = read_objects(arguments.layout, arguments.data, "train")
    test = read_objects(arguments.layout, arguments.data, "test")
    variant, options = getattr(arguments, "variant", None), options_of(arguments)
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
    recipe = changed_recipe(recipe, arguments)
    objects = f"{len(train)} training and {len(test)} test objects of {len(train.classes)} classes"
    trained = count_trained(encoder, arguments.method)
    print(objects)
    print(f"{encoder.name}, {arguments.method}: {trained}")
    identity = {"variant": variant, "keywords": options}
    how = run_options(arguments, device, test, identity)
    outcome = fine_tune(encoder, train, recipe, how, method=arguments.method)
    path = arguments.out / "encoder.pth"
    save_object_encoder(path, encoder, train.classes)
    scores = tested(outcome)
    said = (
        f"{outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes; accuracy on the test set:"
        f" {100 * scores.last:.2f} % after the last epoch, {100 * scores.best:.2f} % after epoch"
        f" {scores.best_epoch}, the best one (published results are those of the best epoch)"
    )
    print(said)
    facts = {"method": f"{encoder.name}, {arguments.method}: {trained}", "objects": objects}
    facts |= _facts(arguments, recipe)
    write_report(arguments.out / "report.md", "Fine-tuning", facts, said, outcome)
    best = None
    if outcome.best_weights is not None:
        best = arguments.out / "best.pth"
        encoder.load_state_dict(outcome.best_weights)
        save_object_encoder(best, encoder, train.classes)
    print(_written(path, best))
    return 0


def _written(last: Path, best: Path | None) -> str:
    """Say which files hold the weights of the last and of the best epoch."""
    text = f"wrote {last}, the weights of the last epoch"
    text = text if best is None else f"{text}, {best}, those of the best one"
    return f"{text}, and report.md"


def _facts(
    arguments: argparse.Namespace, recipe: ObjectTrainingConfig, unused: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return what the report says of files and used hyper-parameters, by name."""
    used = {name: value for name, value in asdict(recipe).items() if name not in unused}
    return {
        "data": f"{arguments.data}, layout {arguments.layout}",
        "start": str(arguments.checkpoint),
        "recipe": ", ".join(f"{name} {value}" for name, value in used.items()),
        "seed": str(arguments.seed),
    }


def _parts(arguments: argparse.Namespace) -> int:
    """Train part segmentation, score, and write the model."""
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.training.report import write_report
    from concerto_ros.learning.objects.training.train_parts import (
        RECIPE,
        evaluate_parts,
        save_parts,
        start_parts,
        train_parts,
    )
    from concerto_ros.learning.objects.training.training_run import tested
    from concerto_ros.objects.encoders.shared.base import check_options
    from concerto_ros.ptv3.kernels.usable_device import device_named

    device = device_named(arguments.device)
    train, test = (read_objects(arguments.layout, arguments.data, s) for s in ("train", "test"))
    options = options_of(arguments)
    check_options("part segmentation", start_parts, options)
    model = start_parts(arguments.checkpoint, **{"seed": arguments.seed} | options)
    how = run_options(arguments, device, test, {"keywords": options})
    recipe = changed_recipe(RECIPE, arguments)
    outcome = train_parts(model, train, recipe, how)
    path = arguments.out / "parts.pth"
    save_parts(path, model)
    score, scores = evaluate_parts(model, test, device), tested(outcome)
    said = (
        f"{outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes; after the last"
        f" {100 * score.instance_iou:.2f} % instance mIoU, {100 * score.category_iou:.2f} % of"
        f" categories, {100 * score.accuracy:.2f} % of points; best instance mIoU"
        f" {100 * scores.best:.2f} % after epoch {scores.best_epoch}"
    )
    print(said)
    facts = {"method": "part segmentation", "objects": f"{len(train)} training, {len(test)} test"}
    facts |= _facts(arguments, recipe, unused=("change", "change_first", "smoothing"))
    write_report(arguments.out / "report.md", "Part segmentation", facts, said, outcome)
    best = None
    if outcome.best_weights is not None:
        best = arguments.out / "best.pth"
        model.load_state_dict(outcome.best_weights)
        save_parts(best, model)
    print(_written(path, best))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    """Train the bundled encoder."""
    from concerto_ros.files.shared_files import source_path, source_tree
    from concerto_ros.learning.demo_model.furniture import furniture_folder
    from concerto_ros.learning.objects.demo_encoder.training import DOCUMENT, train
    from concerto_ros.learning.objects.training.scores import write_between

    values = {name: getattr(arguments, name) for name in ("per_class", "epochs")}
    values = {name: value for name, value in values.items() if value is not None}
    outcome, report = train(
        arguments.out,
        furniture=furniture_folder(arguments.furniture),
        output=arguments.write,
        progress=True,
        **values,
    )
    print(report)
    print(f"{outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes")
    if arguments.write is None and source_tree() is not None:
        write_between(source_path(DOCUMENT), "demo", report)
    return 0
