# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of a verification, array by array."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concerto_ros.verification.cases import Comparison


def print_comparisons(comparisons: Iterable[Comparison]) -> int:
    """Print a row for each comparison as it comes, and what they say together.

    Returns:
        The exit status: 1 where anything missed or there was nothing to compare.
    """
    results = []
    print(f"{'model':<12}{'case':<28}{'array':<28}{'deviation':>10}")
    for result in comparisons:
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
