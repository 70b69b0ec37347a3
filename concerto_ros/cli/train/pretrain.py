# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train pretrain``: an encoder from nothing, without labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.cli.shared.scan_arguments import add_input_arguments, load_encoder_for

if TYPE_CHECKING:
    from concerto_ros.learning.adaptation.data_options import DataOptions
    from concerto_ros.learning.adaptation.run import RunConfig
    from concerto_ros.learning.data.labelled_scan import Scan
    from concerto_ros.learning.pretraining.presets import Preset
    from concerto_ros.ptv3 import Encoder

HELP = "an encoder from random weights, from recordings without labels"

#: What is said where nothing keeps the knowledge of images or of the encoder at the start.
NOTHING_KEPT = (
    "nothing to predict beside the encoder's own clusters: expected --pixel-features (a folder of"
    " feature images, or a model){}. Without, quality usually falls: in a trial a"
    " linear probe fell from 0.479 to 0.401. --without-images trains so all the same"
)

#: Numbers of a recipe that have an option, and the time limit: name, type and help.
NUMBERS: tuple[tuple[str, type, str], ...] = (
    ("steps", int, "optimiser steps"),
    ("batch_size", int, "scenes in a step"),
    ("points", int, "points of a view, at most"),
    ("frames_per_scan", int, "consecutive frames of a bag of clouds in one scene"),
    ("student_frames", int, "consecutive frames of a scene that the student has, at most"),
    ("learning_rate", float, "peak learning rate"),
    ("prototypes", int, "prototypes of a head"),
    ("heads_first", int, "first steps that train the heads alone"),
    ("stages", int, "stages of the encoder that are trained, the coarsest ones"),
    ("minutes", float, "time limit"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    parser.description = (
        "Pre-train an encoder as Concerto is: student and teacher, masked views, online clusters,"
        " and the patches of posed images. See docs/pretraining.md."
    )
    add_common_arguments(parser, "paper")
    shape = parser.add_argument_group("shape of the encoder")
    for name, what, example in (
        ("channels", "widths", "16,32,64,96,128"),
        ("depths", "blocks", "1,1,1,2,1"),
    ):
        shape.add_argument(
            f"--{name}",
            type=_numbers,
            metavar="N,N,...",
            help=f"{what} of its stages, finest first, such as {example} (default: those of"
            " --checkpoint)",
        )
    parser.set_defaults(distillation=False)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected whole numbers with commas between them, such as 1,1,1,2,1"
        ) from None


def add_common_arguments(parser: argparse.ArgumentParser, recipe: str) -> None:
    """Define the options of pretrain and adapt, which have different recipes by default."""
    from concerto_ros.learning.pretraining.presets import PRESETS
    from concerto_ros.settings.settings import TRAINING_PRECISIONS

    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        help="recordings: bags, folders of posed RGB-D images, or files of clouds",
    )
    parser.add_argument(
        "--checkpoint",
        default="demo",
        help="encoder to start from, or whose shape a new one gets (default: demo, the bundled"
        " model of the preset)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/train"),
        help="folder for the results (default out/train)",
    )
    add_input_arguments(parser)
    data = parser.add_argument_group("data")
    data.add_argument(
        "--pixel-features",
        metavar="MODEL",
        help="what the images show: a folder of feature images <scene>/<frame>.npy of any 2D"
        " model; transformers:FOLDER, a ViT such as DINOv2; efficientnet-lite0; or"
        " open_clip:MODEL/WEIGHTS (nothing is downloaded here)",
    )
    data.add_argument(
        "--without-images",
        action="store_true",
        help="train although nothing keeps what images or the encoder at the start know",
    )
    data.add_argument(
        "--write-split",
        action="store_true",
        help="also write the maps of posed images as samples of Pointcept's layout for Concerto,"
        " in <out>/maps",
    )
    data.add_argument(
        "--clouds-only", action="store_true", help="take the clouds of bags, not their images"
    )
    numbers: tuple[tuple[str, type, object, str], ...] = (
        ("max_frames", int, 200, "images of a scene, at most"),
        ("every", float, 1.0, "seconds between frames of a bag of clouds"),
        ("holdout", float, 0.2, "share of the scenes that the judge keeps to measure on"),
    )
    for name, kind, default, text in numbers:
        data.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            default=default,
            metavar="N",
            help=f"{text} (default {default})",
        )
    data.add_argument("--map-frame", metavar="FRAME", help="TF frame of the map of a bag")
    data.add_argument(
        "--probe",
        type=Path,
        nargs="+",
        default=[],
        metavar="DATA",
        help="labelled scans on which a linear probe judges, at least two in each",
    )
    data.add_argument("--label-map", metavar="MAP", help="meaning of the labels of --probe")
    run_group = parser.add_argument_group("training")
    run_group.add_argument(
        "--recipe",
        choices=list(PRESETS),
        default=recipe,
        help="all numbers that are not given: as published; for one small machine from a trained"
        f" encoder (adapt) or from nothing (small) (default {recipe})",
    )
    for name, kind, text in NUMBERS:
        run_group.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            metavar="N",
            help=f"{text} (default: {'none' if name == 'minutes' else 'that of the recipe'})",
        )
    run_group.add_argument(
        "--processes", type=int, default=1, metavar="N", help="processes on a CPU (default 1)"
    )
    run_group.add_argument(
        "--precision",
        choices=TRAINING_PRECISIONS,
        default="auto",
        help="of matrix products: bfloat16 or float32 (default auto: bfloat16 on a GPU that has"
        " it, float32 elsewhere)",
    )
    run_group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="random seed (default 0)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, measure before and after, and write encoder and report."""
    from concerto_ros.learning.adaptation.run import new_encoder

    like, voxel_size = load_encoder_for(arguments)
    encoder = new_encoder(like, arguments.seed, arguments.channels, arguments.depths)
    encoder = encoder.to(next(like.parameters()).device)
    return train(arguments, encoder, voxel_size, refuse=False)


def train(arguments: argparse.Namespace, encoder: Encoder, voxel_size: float, refuse: bool) -> int:
    """Train an encoder, judge it, and write what came out.

    Args:
        arguments: Of :func:`add_common_arguments`, and ``distillation``.
        encoder: To start from; it is changed.
        voxel_size: Metres.
        refuse: Whether a result that is worse than the start is not written as the encoder.

    Returns:
        The exit status: 1 for a result that was refused.
    """
    from concerto_ros.heads.pca import PcaColors
    from concerto_ros.learning.adaptation.judge import Judge, worse
    from concerto_ros.learning.adaptation.opening import open_recordings
    from concerto_ros.learning.adaptation.report import measures_table, write_picture, write_report
    from concerto_ros.learning.adaptation.run import pretrain
    from concerto_ros.learning.adaptation.scenes import SomeScenes
    from concerto_ros.learning.data.formats.splits import held_out_rows
    from concerto_ros.ptv3.checkpoint import save_encoder
    from concerto_ros.segmentation.convention import preset_with
    from concerto_ros.segmentation.model_options import convention_of

    if not (arguments.pixel_features or arguments.distillation or arguments.without_images):
        raise ValueError(NOTHING_KEPT.format(" or distillation" if refuse else ""))
    convention = convention_of(encoder, arguments.preset)
    preset = _preset(arguments, trained=refuse)
    options = _options(arguments, voxel_size, preset)
    scenes = open_recordings(
        arguments.data,
        options,
        pixel_features=arguments.pixel_features,
        clouds_only=arguments.clouds_only,
        device=next(encoder.parameters()).device,
    )
    if not 0 <= arguments.holdout < 1:
        raise ValueError(f"--holdout: got {arguments.holdout}, expected 0 to less than 1")
    rows, held_out = (
        part.tolist() for part in held_out_rows(range(len(scenes)), arguments.holdout, None)
    )
    training, others = SomeScenes(scenes, rows), SomeScenes(scenes, held_out or rows)
    judge = Judge(others, _probes(arguments, voxel_size), convention, voxel_size, arguments.seed)
    where = f"{len(others)} held-out" if held_out else "the same (there are too few to hold out)"
    print(
        f"{len(training)} scenes to learn from, {where} to judge; encoder {encoder.name},"
        f" recipe {arguments.recipe}, voxels of {voxel_size} m"
    )
    before = judge.measure(encoder)
    shown, colors = others[0].scan, PcaColors()
    colors_before = judge.colored(encoder, shown, colors)
    outcome = pretrain(encoder, training, convention, voxel_size, _config(arguments, preset))
    encoder.preset = preset_with(convention, encoder.rotary, encoder.conventions)
    after = judge.measure(encoder)
    faults = worse(before, after)
    picture = arguments.out / "features.png"
    write_picture(picture, shown, colors_before, judge.colored(encoder, shown, colors))
    facts = {
        "data": ", ".join(map(str, arguments.data)),
        "encoder at the start": f"{arguments.checkpoint if refuse else 'random weights'}",
        "recipe": f"{arguments.recipe}, {preset.batch_size} scenes in a step",
        "kept": _kept(arguments),
        "steps": f"{outcome.steps} in {outcome.seconds / 60:.1f} minutes ({outcome.stopped})",
        "scenes": f"{len(training)} to learn from, {where} to judge",
        "seed": arguments.seed,
    }
    title = f"{'adapt' if refuse else 'pretrain'} on {facts['data']}"
    report = write_report(arguments.out, title, facts, before, after, faults)
    refused = bool(faults) and refuse
    path = arguments.out / ("worse.pth" if refused else "encoder.pth")
    save_encoder(path, encoder)
    print(measures_table(before, after))
    print(f"wrote {path}, {report}, {picture}")
    if refused:
        print(f"the encoder stays as it was: {'; '.join(faults)}. {path} is for your own eyes")
        return 1
    print(
        f"for the node: checkpoint:={path}. Heads, taught classes and words of the former encoder"
        f" do not fit it: concerto-ros train head DATA --checkpoint {path} makes one from"
        " labelled scans, with --from-predictions from recordings by what the former one says"
    )
    return 0


def _preset(arguments: argparse.Namespace, trained: bool) -> Preset:
    from dataclasses import replace

    from concerto_ros.learning.adaptation.run import shortened
    from concerto_ros.learning.pretraining.presets import PRESETS

    preset = PRESETS[arguments.recipe]
    names = [name for name, _, _ in NUMBERS if hasattr(preset, name)]
    preset = shortened(preset, **{name: getattr(arguments, name) for name in names})
    if arguments.points is not None:
        preset = replace(preset, sizes=replace(preset.sizes, most=arguments.points))
    # Random weights are no teacher, and nothing for heads to learn from.
    return preset if trained else replace(preset, fixed_teacher=False, heads_first=0)


def _config(arguments: argparse.Namespace, preset: Preset) -> RunConfig:
    from concerto_ros.learning.adaptation.run import RunConfig

    return RunConfig(
        arguments.out,
        preset,
        distilled=arguments.distillation,
        minutes=arguments.minutes,
        processes=arguments.processes,
        precision=arguments.precision,
        seed=arguments.seed,
    )


def _options(arguments: argparse.Namespace, voxel_size: float, preset: Preset) -> DataOptions:
    from concerto_ros.learning.adaptation.data_options import DataOptions

    return DataOptions(
        voxel_size,
        arguments.preset,
        arguments.out,
        preset.frames_per_scan,
        arguments.every,
        arguments.max_frames,
        arguments.map_frame,
        preset.patches,
        arguments.write_split,
        not arguments.no_fitted_normals,
    )


def _probes(arguments: argparse.Namespace, voxel_size: float) -> dict[str, list[Scan]]:
    from concerto_ros.learning.data.collate import FittedNormals
    from concerto_ros.learning.data.formats import open_dataset
    from concerto_ros.learning.data.scan_identity import require_labels

    probes = {}
    for path in arguments.probe:
        data = open_dataset(
            path, split="all", label_map=arguments.label_map, preset=arguments.preset
        )
        require_labels(data, "to judge by")
        if len(data) < 2:
            raise ValueError(f"--probe: {path} has one scan, expected two or more")
        scans = data if arguments.no_fitted_normals else FittedNormals(data, voxel_size)
        probes[str(path)] = [scans[index] for index in range(len(scans))]
    return probes


def _kept(arguments: argparse.Namespace) -> str:
    kept = [f"patches of {arguments.pixel_features}"] if arguments.pixel_features else []
    kept += ["features of the encoder at the start"] if arguments.distillation else []
    return " and ".join(kept) or "nothing (--without-images)"
