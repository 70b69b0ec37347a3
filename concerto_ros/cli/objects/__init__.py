# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Object encoders: train them, judge them, use them on files, check them against the reference.

concerto-ros objects train full DATA --layout modelnet40_h5 --checkpoint recon_pretrain.pth
concerto-ros objects evaluate svm DATA --layout modelnet40_h5 --checkpoint recon_pretrain.pth
concerto-ros objects embed mug.ply chair.pcd           what they are, by the encoder in the box
concerto-ros objects train demo                        the encoder in the box
concerto-ros objects benchmark                         the table of docs/objects.md
concerto-ros objects verify golden/objects             reference outputs
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from concerto_ros.cli.objects import evaluate as objects_use
from concerto_ros.cli.objects import train as objects_learn

HELP = "object encoders: train, evaluate, embed, verify"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand each."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    objects_learn.add_train(actions)
    objects_use.add_evaluate(actions)
    objects_use.add_embed(actions)
    objects_learn.add_benchmark(actions)
    command = actions.add_parser(
        "verify",
        help="run reference cases and compare",
        description="Run the reference cases of a folder and print for each array the worst"
        " deviation as a multiple of its tolerance. Exit status 1 on any miss or unknown case.",
    )
    command.add_argument("folder", type=Path, help="one model's folder of cases, or their parent")
    command.add_argument("--device", default="cpu", help="auto, cpu or cuda (default cpu)")
    command.set_defaults(action_run=run_verify)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    return arguments.action_run(arguments)


def run_verify(arguments: argparse.Namespace) -> int:
    """Print the table; 1 where anything missed."""
    from concerto_ros.segmentation.model_options import device_named
    from concerto_ros.verification.cases import verify

    device, results = device_named(arguments.device), []
    print(f"{'model':<12}{'case':<28}{'array':<28}{'deviation':>10}")
    for result in verify(arguments.folder, device):
        results.append(result)
        amount = f"{result.deviation:10.4f}" if math.isfinite(result.deviation) else f"{'-':>10}"
        verdict = "" if result.passed else f"  MISSED {result.note}"
        print(
            f"{result.model:<12}{result.case:<28}{result.array:<28}{amount}{verdict}", flush=True
        )
    cases = {(result.model, result.case) for result in results}
    missed = sum(not result.passed for result in results)
    worst = max((result.deviation for result in results), default=math.inf)
    print(
        f"{len(results)} arrays of {len(cases)} cases, worst {worst:.4f} of the tolerance,", end=""
    )
    print(f" {missed} missed" if missed else " all within")
    return 1 if missed or not results else 0
