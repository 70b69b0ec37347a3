# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects verify``: reference cases, array by array."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

HELP = "compare encoders with the reference, case by case"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder of cases and the device."""
    parser.description = (
        "Run the reference cases of a folder and print for each array the worst"
        " deviation as a multiple of its tolerance. Exit status 1 on any miss or unknown case."
    )
    parser.add_argument(
        "folder",
        type=Path,
        help="folder with the reference cases of one model, or a folder of such folders",
    )
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda (default cpu)")


def run(arguments: argparse.Namespace) -> int:
    """Print the table; return 1 where anything missed."""
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
