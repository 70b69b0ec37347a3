# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a node that ran for a long time leaks memory, slows down or loses frames."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import percentiles
from concerto_ros.sensors.input_error import REASONS

#: Share of the run at its beginning in which the map fills and memory settles.
WARM = 0.25

#: Allowed difference between the first and the last third of the rest of the run: the larger of a
#: share and an amount, of memory (MB) and of latency (ms).
MEMORY_SHARE, MEMORY_LEAST = 0.05, 30.0
LATENCY_SHARE, LATENCY_LEAST = 0.25, 50.0


@dataclass(frozen=True)
class Sample:
    """The node at one moment; counts are since activation."""

    seconds: float
    megabytes: float
    descriptors: int
    threads: int
    latency_ms: float  # NaN after a restart, until the first labels
    received: int
    fused: int
    dropped: int
    inferences: int
    failures: int
    voxels: int


@dataclass(frozen=True)
class Check:
    """One condition, what was measured, and whether it held."""

    name: str
    measured: str
    held: bool


def judge(
    samples: Sequence[Sample],
    sent: Mapping[str, int],
    drops: Mapping[str, int],
    alive: bool,
) -> list[Check]:
    """Check all conditions. The last sample is taken after the sensors have stopped.

    Args:
        samples: of the node, over the run.
        sent: messages by input; empty where it is not known.
        drops: dropped frames by reason, at the end.
        alive: whether the node lived to the end.
    """
    if not alive or len(samples) < 12:
        return [Check("the node lives", f"{len(samples)} samples of it", False)]
    running, last = samples[:-1], samples[-1]
    warm = running[int(WARM * len(running)) :]
    third = len(warm) // 3
    early, late = warm[:third], warm[-third:]
    counted = last.fused + sum(drops.values())
    unnamed = set(drops) - set(REASONS)
    by_reason = ", ".join(f"{count:,} {reason}" for reason, count in drops.items()) or "none"
    latencies = percentiles([s.latency_ms for s in warm if not math.isnan(s.latency_ms)])
    return [
        Check("the node lives", "to the end", True),
        Check(
            "every frame is accounted for",
            f"{last.received:,} received = {last.fused:,} fused + {by_reason}",
            last.received == counted and last.dropped == counted - last.fused and not unnamed,
        ),
        Check(
            "no frame is lost inside",
            f"{drops.get('internal', 0)} internal, {last.failures} inferences failed",
            not drops.get("internal") and not last.failures,
        ),
        _sent(sent, last),
        _flat("memory", "MB", early, late, "megabytes", MEMORY_SHARE, MEMORY_LEAST),
        _flat("descriptors", "", early, late, "descriptors", 0.0, 2.0),
        _flat("threads", "", early, late, "threads", 0.0, 2.0),
        _flat("stamp to labels", "ms", early, late, "latency_ms", LATENCY_SHARE, LATENCY_LEAST),
        Check(
            "labels",
            f"{last.inferences:,} maps of {last.voxels:,} voxels, stamp to labels p50"
            f" {latencies['p50']:.0f}, p95 {latencies['p95']:.0f}, p99 {latencies['p99']:.0f} ms",
            late[-1].inferences > early[0].inferences,
        ),
    ]


def _sent(sent: Mapping[str, int], last: Sample) -> Check:
    if not sent:
        return Check("the node receives", f"{last.received:,} frames", last.received > 0)
    total = sum(sent.values())
    return Check(
        "sent by the sensors",
        f"{total:,}, of which {total - last.received:,} did not reach the node (best effort)",
        0 < last.received <= total + len(sent),
    )


def _flat(
    name: str,
    unit: str,
    early: Sequence[Sample],
    late: Sequence[Sample],
    attribute: str,
    share: float,
    least: float,
) -> Check:
    """Whether a number did not grow, by the medians of two times; NaN is no number."""

    def middle(samples: Sequence[Sample]) -> float:
        values = [getattr(sample, attribute) for sample in samples]
        return statistics.median([value for value in values if not math.isnan(value)])

    first, then = middle(early), middle(late)
    return Check(
        f"{name} is flat",
        f"{first:.0f} to {then:.0f} {unit}".strip(),
        then <= first + max(share * first, least),
    )


def table(checks: Sequence[Check]) -> str:
    """One line for each check."""
    width = max(len(check.name) for check in checks)
    return "\n".join(
        f"{'ok ' if check.held else 'NOT'}  {check.name:<{width}}  {check.measured}"
        for check in checks
    )
