# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Teach a pretrained encoder your own classes, from labelled scans.

  concerto-ros train head DATA       a linear head on the frozen encoder: minutes on a CPU
  concerto-ros train decoder DATA    a decoder and a head on the frozen encoder
  concerto-ros train lora DATA       low-rank adapters in the encoder, and a head
  concerto-ros train full DATA       everything
  concerto-ros train demo            the model that comes with the package, from simulated rooms

The folder --out gets head.pth, encoder.pth where it changed, classes.yaml and a report. The same
command in the same folder goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from concerto_ros.cli.scan_arguments import add_input_arguments

HELP = "teach heads, decoders or encoders your own classes"

METHODS = {
    "head": "a linear head on the frozen encoder",
    "decoder": "a decoder and a linear head on the frozen encoder",
    "lora": "low-rank adapters in the encoder's attention and a linear head",
    "full": "the whole encoder, a decoder and a linear head",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand per method."""
    methods = parser.add_subparsers(dest="method", required=True, metavar="METHOD")
    for name, text in METHODS.items():
        method = methods.add_parser(name, help=text, description=f"Train {text}.")
        _add_model_arguments(method)
        _add_training_arguments(method, name)
    text = "the model that comes with the package, from simulated rooms"
    _add_demo_arguments(methods.add_parser("demo", help=text, description=f"Train {text}."))


def _add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/demo_model"),
        help="folder for the rooms and the state of the run (default out/demo_model)",
    )
    parser.add_argument(
        "--write", type=Path, help="file to write the model to (default: that of the package)"
    )
    for name, kind, text in (
        ("rooms", int, "rooms to learn from"),
        ("steps", int, "steps of the optimiser"),
        ("minutes", float, "end after this time"),
    ):
        parser.add_argument(f"--{name}", type=kind, help=f"{text} (default: as it was trained)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    parser.add_argument(
        "--report",
        action="store_true",
        help="only measure the model in the box, into docs/demo_model.md",
    )


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    from concerto_ros.cli.scan_arguments import add_data_arguments

    parser.add_argument("data", type=Path, help="labelled scans: a folder, or a bag")
    parser.add_argument(
        "--validation", type=Path, help="scans to test on (default: part of DATA is held out)"
    )
    parser.add_argument(
        "--checkpoint", default="demo", help="encoder to start from (default demo)"
    )
    parser.add_argument("--out", type=Path, default=Path("out/train"), help="default out/train")
    add_data_arguments(parser)
    add_input_arguments(parser)


def _add_training_arguments(parser: argparse.ArgumentParser, method: str) -> None:
    from concerto_ros.learning.methods.train import DROP_PATH, METHODS, TrainingConfig

    run = parser.add_argument_group("training")

    def number(name: str, kind: type, text: str, default=None) -> None:
        shown = getattr(TrainingConfig, name, None) if default is None else default
        run.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            default=shown,
            help=f"{text} (default {shown})",
        )

    number("steps", int, "steps of the optimiser")
    number("batch_size", int, "scans in a batch")
    number("accumulate_batches", int, "batches in a step", 1)
    number("learning_rate", float, "the highest", METHODS[method][1])
    number("weight_decay", float, "of AdamW")
    number("seed", int, "of every random choice")
    number("validate_every", int, "steps between validations")
    number("patience", int, "validations without a better one before it stops early, 0: never")
    run.add_argument("--minutes", type=float, help="end after this time (default: no limit)")
    run.add_argument(
        "--balance", action="store_true", help="weight rare classes up, by 1 / sqrt(frequency)"
    )
    run.add_argument(
        "--augment", choices=("indoor", "outdoor", "none"), help="default: as the preset"
    )
    if method == "head":
        number("views", int, "versions of each scan: itself, the others augmented")
    if method != "head":
        text = "probability with which two augmented scans of a batch are laid over each other"
        number("mix", float, text, 0.8)
    if method == "lora":
        number("rank", int, "of the adapters")
        number("alpha", float, "of the adapters")
        number("dropout", float, "of the adapters")
    if method in DROP_PATH:
        text = "how often branches of the deepest blocks are left out of a voxel's sum"
        number("drop_path", float, text, DROP_PATH[method])
    if method == "full":
        run.add_argument(
            "--no-decoder", action="store_true", help="no new decoder: encoder and head alone"
        )


def run(arguments: argparse.Namespace) -> int:
    """Train, evaluate and write."""
    if arguments.method == "demo":
        return _train_demo(arguments)
    from concerto_ros.cli.scan_arguments import ScansOfCommand, load_encoder_for
    from concerto_ros.heads.linear import save_head
    from concerto_ros.learning.data.collate import ScanCollate
    from concerto_ros.learning.data.label_map import write_label_set
    from concerto_ros.learning.evaluation.evaluate import evaluate
    from concerto_ros.learning.evaluation.report import class_table, summary, write_report
    from concerto_ros.learning.methods.segmenter import Segmenter
    from concerto_ros.learning.methods.train import METHODS, train
    from concerto_ros.ptv3.checkpoint import save_encoder
    from concerto_ros.segmentation.convention import preset_with
    from concerto_ros.segmentation.model_options import convention_of

    encoder, voxel_size = load_encoder_for(arguments)
    convention = convention_of(encoder, arguments.preset)
    if arguments.validation is not None:
        arguments.holdout = 0.0  # what is tested on lies elsewhere
    scans = ScansOfCommand(arguments, voxel_size)
    data = scans.open("train")
    validation = scans.open("val", arguments.validation)
    print(
        f"{len(data)} scans to learn {len(data.classes)} classes from, {len(validation)} to test "
        f"on; {METHODS[arguments.method][0]}, voxels of {voxel_size} m, encoder {encoder.name}, "
        f"input convention of the preset {preset_with(convention, encoder.rotary)}"
    )
    collate = ScanCollate(
        convention,
        voxel_size,
        _augmentation(arguments, voxel_size),
        mix=getattr(arguments, "mix", 0.0),
    )
    encoder, head, outcome = train(
        arguments.method,
        encoder,
        data,
        validation,
        len(data.classes),
        collate,
        _recipe(arguments),
    )
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
            "scans": f"{len(data)} to learn from, {len(validation)} held out and tested here",
            "steps": f"{outcome.steps} ({outcome.stopped}), best at {outcome.best_step}",
            "time": f"{outcome.seconds / 60:.1f} minutes",
            "seed": arguments.seed,
        }
        title = f"{arguments.method} on {arguments.data}"
        written += write_report(folder, score, data.classes, title=title, facts=facts)
        print(class_table(score, data.classes))
        print(summary(score))
    print("wrote " + ", ".join(str(path) for path in written))
    checkpoint = arguments.checkpoint if arguments.method == "head" else written[2]
    print(
        f"for the node: checkpoint:={checkpoint} head:={written[0]} label_set:={written[1]} "
        f"preset:={arguments.preset} voxel_size:={voxel_size}"
    )
    return 0


def _train_demo(arguments: argparse.Namespace) -> int:
    from concerto_ros.files.shared_files import source_path, source_tree
    from concerto_ros.learning.demo_model.report import write_report
    from concerto_ros.learning.demo_model.training import DOCUMENT, train
    from concerto_ros.segmentation.model_options import device_named

    if arguments.report:
        print(write_report(arguments.out, source_path(DOCUMENT)))
        return 0
    names = ("rooms", "steps", "minutes")
    given = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    device = str(device_named(arguments.device))
    outcome = train(arguments.out, device=device, output=arguments.write, **given)
    print(f"{outcome.steps} steps in {outcome.seconds / 60:.1f} minutes: {outcome.stopped}")
    if arguments.write is None and source_tree() is not None:
        print(write_report(arguments.out, source_path(DOCUMENT)))
    return 0


def _recipe(arguments: argparse.Namespace):
    from concerto_ros.learning.methods.train import TrainingConfig

    names = ("steps", "batch_size", "learning_rate", "weight_decay", "seed", "validate_every")
    names += ("patience", "minutes", "balance", "views", "rank", "alpha", "dropout", "drop_path")
    given = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    return TrainingConfig(
        folder=arguments.out,
        accumulate=arguments.accumulate_batches,
        decoder=not getattr(arguments, "no_decoder", False),
        **given,
    )


def _augmentation(arguments: argparse.Namespace, voxel_size: float):
    from concerto_ros.learning.data import augment

    chosen = arguments.augment or arguments.preset
    return None if chosen == "none" else getattr(augment, chosen)(voxel_size)
