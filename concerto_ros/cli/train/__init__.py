# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Train your own classes on a pretrained encoder, from labelled scans.

  concerto-ros train head DATA       a linear head on the frozen encoder: minutes on a CPU
  concerto-ros train decoder DATA    a decoder and a head on the frozen encoder
  concerto-ros train lora DATA       low-rank adapters (LoRA) in the encoder, and a head
  concerto-ros train full DATA       the whole encoder, a decoder and a head
  concerto-ros train language DATA   a language head: points are found by words
  concerto-ros train adapt DATA      the encoder learns from recordings without labels
  concerto-ros train pretrain DATA   a new encoder, from recordings without labels
  concerto-ros train verify DIR      compare the pre-training with reference cases
  concerto-ros train demo            the bundled demo model, from simulated rooms
  concerto-ros train demo --outdoor  the one for outdoors, from simulated streets
  concerto-ros train demo --language the language head of the bundled model

The folder --out gets head.pth, classes.yaml, a report and, for every method but head, encoder.pth.
A run that was interrupted resumes when the same command is started again.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from concerto_ros.cli.shared.former_names import add_former_name
from concerto_ros.cli.train import adapt, demo, from_predictions, language, pretrain, verify
from concerto_ros.cli.train.arguments import (
    add_augmentation_argument,
    add_model_arguments,
    augmentation,
)

if TYPE_CHECKING:
    from concerto_ros.learning.data.formats import Cached
    from concerto_ros.learning.methods.config import TrainingConfig

HELP = "train a head, decoder or encoder on your own labelled scans"

#: Of so few scans the points of each class are counted: a class may be missing.
FEW_SCANS = 20

#: Subcommands with a module of their own.
COMMANDS = {
    "language": language,
    "adapt": adapt,
    "pretrain": pretrain,
    "verify": verify,
    "demo": demo,
}

METHODS = {
    "head": "a linear head on the frozen encoder",
    "decoder": "a decoder and a linear head on the frozen encoder",
    "lora": "low-rank adapters (LoRA) in the encoder's attention and a linear head",
    "full": "the whole encoder, a decoder and a linear head",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define one subcommand per method."""
    methods = parser.add_subparsers(dest="method", required=True, metavar="METHOD")
    for name, text in METHODS.items():
        method = methods.add_parser(name, help=text, description=f"Train {text}.")
        add_model_arguments(method)
        _add_training_arguments(method, name)
        if name == "head":
            from_predictions.add_arguments(method)
    for name, module in COMMANDS.items():
        module.add_arguments(methods.add_parser(name, help=module.HELP))


def _add_training_arguments(parser: argparse.ArgumentParser, method: str) -> None:
    from concerto_ros.learning.methods.config import (
        DROP_PATH,
        LARGE_RATE,
        METHODS,
        TrainingConfig,
    )

    run = parser.add_argument_group("training")

    def number(
        name: str, number_type: type, text: str, default: float | None = None
    ) -> argparse.Action:
        value = getattr(TrainingConfig, name, None) if default is None else default
        return run.add_argument(
            f"--{name.replace('_', '-')}",
            type=number_type,
            default=value,
            metavar="N",
            help=f"{text} (default {value})",
        )

    number("steps", int, "number of optimiser steps")
    number("batch_size", int, "scans per batch")
    text = "batches whose gradients are accumulated for one optimiser step"
    accumulation = number("gradient_accumulation", int, text, 1)
    add_former_name(run, "--accumulate-batches", accumulation)
    run.add_argument(
        "--learning-rate",
        type=float,
        metavar="N",
        help="peak learning rate of the one-cycle schedule (default: as published,"
        f" {METHODS[method][1]}; with an encoder as wide as concerto_large {LARGE_RATE})",
    )
    number("weight_decay", float, "AdamW weight decay")
    text = "random seed of initial weights, order of scans, augmentation and validation split"
    number("seed", int, text)
    number("validate_every", int, "optimiser steps between validations")
    text = "stop after this many validations without a better result; 0: never stop early"
    number("patience", int, text)
    run.add_argument(
        "--minutes",
        type=float,
        metavar="N",
        help="time limit of the training; the learning rate schedule adapts to it"
        " (default: no limit)",
    )
    run.add_argument(
        "--balance",
        action="store_true",
        help="weight the loss of each class by 1 / sqrt(frequency): rare classes count more",
    )
    add_augmentation_argument(run)
    if method == "head":
        text = "versions of each scan to train on: the scan itself and augmented copies"
        number("views", int, text)
    if method != "head":
        text = "probability that two augmented scans of a batch are merged into one scene (Mix3D)"
        number("mix", float, text, 0.8)
    if method == "lora":
        number("rank", int, "LoRA rank")
        number("alpha", float, "LoRA alpha: the adapters' output is scaled by alpha / rank")
        number("dropout", float, "LoRA dropout rate")
    if method in DROP_PATH:
        text = "stochastic depth: drop rate of the residual branches in the deepest blocks"
        number("drop_path", float, text, DROP_PATH[method])
    if method == "full":
        run.add_argument(
            "--no-decoder",
            action="store_true",
            help="add no decoder: a linear head on the fine-tuned encoder",
        )


def run(arguments: argparse.Namespace) -> int:
    """Train, evaluate on the validation scans and write the results."""
    if arguments.method in COMMANDS:
        return COMMANDS[arguments.method].run(arguments)
    from concerto_ros.cli.shared.scan_arguments import ScanOpener, load_encoder_for
    from concerto_ros.heads.linear import save_head
    from concerto_ros.learning.data.collate import ScanCollate
    from concerto_ros.learning.data.label_map import write_label_set
    from concerto_ros.learning.data.scan_identity import points_by_label, require_labels
    from concerto_ros.learning.evaluation.evaluate import evaluate
    from concerto_ros.learning.evaluation.report import class_table, summary, write_report
    from concerto_ros.learning.methods.config import METHODS
    from concerto_ros.learning.methods.segmenter import Segmenter
    from concerto_ros.learning.methods.train import train
    from concerto_ros.ptv3.checkpoint import save_encoder
    from concerto_ros.segmentation.convention import preset_with
    from concerto_ros.segmentation.model_options import convention_of

    encoder, voxel_size = load_encoder_for(arguments)
    convention = convention_of(encoder, arguments.preset)
    if arguments.validation is not None:
        arguments.holdout = 0.0  # the validation scans come from elsewhere
    data: Cached
    validation: Cached
    if getattr(arguments, "from_predictions", False):
        data, validation = from_predictions.open_scans(arguments, voxel_size)
    else:
        scans = ScanOpener(arguments, voxel_size)
        data = scans.open("train")
        validation = scans.open("val", arguments.validation)
        require_labels(data, "to learn from")
        if len(validation):
            require_labels(validation, "to validate on")
    preset = preset_with(convention, encoder.rotary, encoder.conventions)
    print(
        f"{len(data)} training and {len(validation)} validation scans,"
        f" {len(data.classes)} classes; {METHODS[arguments.method][0]}, "
        f"voxels of {voxel_size} m, encoder {encoder.name}, "
        f"input convention of the preset {preset}"
    )
    if len(data) <= FEW_SCANS:
        names = [each.name for each in data.classes.classes]
        print(_learnt_from(dict(zip(names, points_by_label(data, len(names)), strict=True))))
    collate = ScanCollate(
        convention,
        voxel_size,
        augmentation(arguments, voxel_size),
        mix=getattr(arguments, "mix", 0.0),
    )
    encoder, head, outcome = train(
        arguments.method,
        encoder,
        data,
        validation,
        len(data.classes),
        collate,
        _training_config(arguments),
    )
    head.intensity_white = arguments.intensity_white
    folder = arguments.out
    written = [folder / "head.pth", folder / "classes.yaml"]
    save_head(written[0], head)
    write_label_set(data.classes, written[1])
    if arguments.method != "head":
        written.append(folder / "encoder.pth")
        save_encoder(written[-1], encoder)
    print(f"{outcome.steps} steps in {outcome.seconds / 60:.1f} minutes: {outcome.stopped}")
    if len(validation):
        score = evaluate(
            Segmenter(encoder, head),
            validation,
            convention,
            voxel_size,
            device=next(head.parameters()).device,
            progress=True,
        )
        facts = {
            "trained": METHODS[arguments.method][0],
            "encoder": encoder.name,
            "voxel size": f"{voxel_size} m",
            "scans": f"{len(data)} for training, {len(validation)} for validation, evaluated here",
            "steps": f"{outcome.steps} ({outcome.stopped}), best at {outcome.best_step}",
            "time": f"{outcome.seconds / 60:.1f} minutes",
            "seed": arguments.seed,
        } | from_predictions.facts(arguments)
        title = f"{arguments.method} on {arguments.data}"
        written += write_report(folder, score, data.classes, title=title, facts=facts)
        print(class_table(score, data.classes))
        print(summary(score))
    else:
        print("no score: there is no scan to validate on; --validation FILE names one")
    print("wrote " + ", ".join(str(path) for path in written))
    checkpoint = arguments.checkpoint if arguments.method == "head" else written[2]
    print(
        f"for the node: checkpoint:={checkpoint} head:={written[0]} label_set:={written[1]} "
        f"preset:={arguments.preset} voxel_size:={voxel_size}"
        + (f" intensity_white:={head.intensity_white}" if head.intensity_white else "")
    )
    return 0


def _learnt_from(points: dict[str, int]) -> str:
    """Say how many labelled points each class has, and which have none."""
    seen = ", ".join(f"{name} {count}" for name, count in points.items() if count)
    missing = ", ".join(name for name, count in points.items() if not count)
    text = f"labelled points: {seen}"
    return f"{text}; none, so never found: {missing}" if missing else text


def _training_config(arguments: argparse.Namespace) -> TrainingConfig:
    from concerto_ros.learning.methods.config import TrainingConfig

    of_all_methods = ("steps", "batch_size", "learning_rate", "weight_decay", "seed", "balance")
    of_all_runs = ("validate_every", "patience", "minutes")
    of_some_methods = ("views", "rank", "alpha", "dropout", "drop_path")
    options = {
        name: getattr(arguments, name)
        for name in (*of_all_methods, *of_all_runs, *of_some_methods)
        if hasattr(arguments, name)
    }
    return TrainingConfig(
        folder=arguments.out,
        accumulate=arguments.gradient_accumulation,
        decoder=not getattr(arguments, "no_decoder", False),
        **options,
    )
