# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects train mixcon3d``: clouds, pictures and texts in one space."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

TEXT = "MixCon3D's contrast of clouds, pictures and texts, on OpenShape's data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the data, the recipe and how the run goes."""
    parser.add_argument("data", type=Path, help="OpenShape's folder, with meta_data in it")
    parser.add_argument(
        "--split",
        default="train_all",
        help="list in meta_data/split: train_all (default), train_no_lvis,"
        " ablation/train_shapenet_only, or another",
    )
    parser.add_argument("--preset", default="mixcon3d",
                        help="published hyper-parameters (default mixcon3d)")  # fmt: skip
    parser.add_argument("--backbone", default="PointBERT",
                        help="the paper's backbone; only PointBERT (default) is"
                        " implemented")  # fmt: skip
    for name, text in (
        ("size", "size of the encoder, 1 to 6"),
        ("points", "points of a cloud"),
        ("epochs", "number of epochs"),
        ("batch-size", "shapes per batch"),
        ("accumulate", "batches per step, whose shapes the loss compares all together"),
    ):
        parser.add_argument(f"--{name}", type=int, metavar="N",
                            help=f"{text} (default: as published)")  # fmt: skip
    parser.add_argument("--learning-rate", type=float, metavar="N",
                        help="peak learning rate (default: as published)")  # fmt: skip
    parser.add_argument(
        "--no-fusion",
        action="store_true",
        help="leave the joint representation out of the loss, as in the paper's ablation",
    )
    parser.add_argument("--checkpoint", type=Path,
                        help="file of MixCon3D or OpenShape to start from"
                        " (default: random weights)")  # fmt: skip
    parser.add_argument(
        "--test",
        action="append",
        metavar="SET",
        help="test set in meta_data: lvis, modelnet40 or scanobjectnn; may be repeated, the first"
        " chooses the best weights (default: all that are there)",
    )
    parser.add_argument("--test-every", type=int, default=1, metavar="N",
                        help="epochs between tests (default 1)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=4, metavar="N",
                        help="processes that read shapes (default 4)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/mixcon3d"),
                        help="folder for last.pt, best.pt, report.md and the training state, from"
                        " which training resumes (default out/mixcon3d)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")


def run(arguments: argparse.Namespace) -> int:
    """Train, test and write the report."""
    from concerto_ros.files.atomic_write import replacing
    from concerto_ros.learning.objects.data.openshape import TrainingSplit
    from concerto_ros.learning.objects.data.openshape_tests import WORD_TESTS, present_tests
    from concerto_ros.learning.objects.mixcon3d.report import contrast_report
    from concerto_ros.learning.objects.mixcon3d.start import start_contrast
    from concerto_ros.learning.objects.mixcon3d.training import ContrastOptions, train_contrast
    from concerto_ros.ptv3.kernels.usable_device import device_named

    device, folder = device_named(arguments.device), arguments.data.resolve()
    recipe = _recipe(arguments)
    split = TrainingSplit(folder, arguments.split)
    names = arguments.test or present_tests(folder)
    unknown = [name for name in names if name not in WORD_TESTS]
    if unknown:
        raise ValueError(f"--test is {unknown[0]!r}, expected one of {', '.join(WORD_TESTS)}")
    tests = {name: WORD_TESTS[name](folder) for name in names}
    model = start_contrast(
        split, recipe, arguments.checkpoint, backbone=arguments.backbone, seed=arguments.seed
    )
    shapes = f"{len(split)} shapes of {split.name}"
    sets = ", ".join(f"{len(test)} of {test.name}" for test in tests.values()) or "none"
    print(f"{shapes}; test objects: {sets}")
    options = ContrastOptions(
        folder=arguments.out, tests=tests, test_every=arguments.test_every, seed=arguments.seed,
        workers=arguments.workers, device=device, progress=True,
    )  # fmt: skip
    result = train_contrast(model, split, recipe, options)
    with replacing(arguments.out / "report.md") as partial:
        partial.write_text(contrast_report(result, recipe, shapes), encoding="utf-8")
    total = result.epochs[-1].losses["total"]
    print(f"{len(result.epochs)} epochs in {result.seconds / 60:.1f} minutes; loss {total:.4f}")
    written = [arguments.out / "last.pt", arguments.out / "report.md"]
    if result.best_epoch is not None and result.best_top1 is not None:
        print(
            f"best: epoch {result.best_epoch}, {100 * result.best_top1:.2f} % top-1 on {names[0]}"
        )
        written.insert(1, arguments.out / "best.pt")
    print(f"wrote {', '.join(map(str, written))}")
    return 0


def _recipe(arguments: argparse.Namespace):
    from concerto_ros.learning.objects.mixcon3d.recipe import PRESETS

    if arguments.preset not in PRESETS:
        raise ValueError(f"--preset is {arguments.preset!r}, expected one of {', '.join(PRESETS)}")
    recipe = PRESETS[arguments.preset]
    if arguments.epochs is not None:
        recipe = recipe.shortened(arguments.epochs)
    if arguments.learning_rate is not None:
        recipe = recipe.with_rate(arguments.learning_rate)
    values = {name: getattr(arguments, name) for name in ("size", "points", "batch_size",
                                                          "accumulate")}  # fmt: skip
    given = {name: value for name, value in values.items() if value is not None}
    return replace(recipe, fusion=not arguments.no_fusion, **given)
