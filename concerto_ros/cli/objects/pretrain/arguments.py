# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that all pre-trainings share: shapes, hyper-parameters, and what judges the model."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concerto_ros.cli.objects.arguments import add_recipe_arguments

if TYPE_CHECKING:
    from torch import nn

    from concerto_ros.learning.objects.data.shape_set import ShapeSet
    from concerto_ros.learning.objects.training.training_run import ObjectTrainingResult
    from concerto_ros.objects.encoders.shared.base import ObjectEncoder

#: Layouts of the shapes.
LAYOUTS = {
    "shapenet55": "ShapeNet55-34, with shapenet_pc, ShapeNet-55/train.txt and so on",
    "synthetic": "generated objects, which are cached in the folder",
}


def add_pretraining_arguments(parser: argparse.ArgumentParser, presets: Iterable[str]) -> None:
    """Add shapes, output, hyper-parameters and the judge.

    Args:
        parser: Takes the arguments.
        presets: Names of hyper-parameters; the first, named after the paper, is the default.
    """
    from concerto_ros.learning.objects.names import LAYOUTS as LABELLED

    names = list(presets)
    parser.add_argument("data", type=Path, help="folder of the shapes")
    parser.add_argument("--layout", required=True, choices=LAYOUTS, metavar="LAYOUT",
                        help="; ".join(f"{n}: {text}" for n, text in LAYOUTS.items()))  # fmt: skip
    parser.add_argument("--preset", choices=names, default=names[0],
                        help=f"size and hyper-parameters (default {names[0]})")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/pretrain"),
                        help="folder for the weights, the report, curves for TensorBoard and the"
                        " state, from which training resumes (default out/pretrain)")  # fmt: skip
    add_recipe_arguments(parser)
    parser.add_argument("--svm-data", type=Path, help="folder of a labelled data set: a linear SVM"
                        " on the frozen features judges the weights, and the best are kept as"
                        " well (default: the loss on the test list judges them)")  # fmt: skip
    parser.add_argument("--svm-layout", choices=LABELLED, metavar="LAYOUT",
                        help=f"its layout: {', '.join(LABELLED)}")  # fmt: skip
    parser.add_argument("--test-every", type=int, default=1,
                        help="epochs between judgements (default 1)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")


def read_shapes(arguments: argparse.Namespace, *splits: str) -> ShapeSet:
    """Read the shapes of the given splits, ``train``, ``test`` or both.

    Raises:
        ValueError: If the folder does not have the layout; the text names the file.
    """
    if arguments.layout == "shapenet55":
        from concerto_ros.learning.objects.data.shapenet55 import ShapeNet55

        return ShapeNet55(arguments.data, splits)
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.data.shape_set import ObjectShapes

    sets = [read_objects(arguments.layout, arguments.data, split) for split in splits]
    return ObjectShapes(f"synthetic, {' and '.join(splits)}", *sets)


def given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return those of the options that are on the command line; the others are the preset's."""
    values = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def say_start(shapes: ShapeSet, model: nn.Module, score: str) -> None:
    """Print what is about to be learned, by what, and what judges it."""
    count = sum(value.numel() for value in model.parameters())
    print(f"{len(shapes)} shapes of {shapes.name}; {count:,} parameters; score: {score}")


def svm_judge(
    arguments: argparse.Namespace, encoder_of: Callable[[nn.Module], ObjectEncoder]
) -> Callable[[nn.Module], float] | None:
    """Return the accuracy of a linear SVM as a function of the model; None without ``--svm-data``.

    Args:
        arguments: The command line.
        encoder_of: From the model that is pre-trained to the encoder in it.

    Raises:
        ValueError: If only one of ``--svm-data`` and ``--svm-layout`` is there.
    """
    if (arguments.svm_data is None) != (arguments.svm_layout is None):
        raise ValueError(
            f"--svm-data is {arguments.svm_data} and --svm-layout {arguments.svm_layout}, expected"
            " both or none"
        )
    if arguments.svm_data is None:
        return None
    from concerto_ros.learning.objects.data.layouts import read_objects
    from concerto_ros.learning.objects.protocols.linear_svm import linear_svm
    from concerto_ros.learning.objects.training.recipes import svm_recipe
    from concerto_ros.ptv3.kernels.usable_device import device_named

    layout, device = arguments.svm_layout, device_named(arguments.device)
    train, test = (read_objects(layout, arguments.svm_data, part) for part in ("train", "test"))

    def accuracy(model: nn.Module) -> float:
        encoder = encoder_of(model)
        recipe = svm_recipe(encoder, layout)
        return linear_svm(encoder, train, test, recipe, device=device).accuracy

    return accuracy


def write_pretrained(
    folder: Path,
    model: nn.Module,
    outcome: ObjectTrainingResult,
    facts: Mapping[str, str],
    stored: Mapping[str, Any] | None = None,
) -> None:
    """Write the last and the best weights and ``report.md``, and say what was written.

    Args:
        folder: Where they go.
        model: The model after its last epoch.
        outcome: The result of its run.
        facts: What the report says before the losses, by name.
        stored: What the files need beside the weights, see ``ObjectEncoder.stored_facts``.
    """
    from concerto_ros.learning.objects.pretraining.run import save_pretrained
    from concerto_ros.learning.objects.training.report import write_report

    save_pretrained(folder / "pretrained.pth", model.state_dict(), stored)
    if outcome.best_weights is not None:
        save_pretrained(folder / "pretrained_best.pth", outcome.best_weights, stored)
    said = f"{outcome.epochs} epochs in {outcome.seconds / 60:.1f} minutes"
    if outcome.best is not None:
        said += (
            f"; score {outcome.last:.4f} after the last, {outcome.best:.4f} after epoch"
            f" {outcome.best_epoch}, the best one"
        )
    write_report(folder / "report.md", "Pre-training", facts, said, outcome)
    print(said)
    print(
        f"wrote {folder / 'pretrained.pth'} (the last weights), pretrained_best.pth (the best) and"
        " report.md"
    )
