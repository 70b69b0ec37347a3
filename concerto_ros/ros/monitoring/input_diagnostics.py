# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tasks of ``/diagnostics`` about the inputs and their transforms."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus

from concerto_ros.ros.monitoring.recent_values import Window
from concerto_ros.ros.monitoring.statistics import HARMLESS, InputStatistics, Report
from concerto_ros.ros.monitoring.topic_state import TopicState, loss
from concerto_ros.sensors.input_error import REASONS
from concerto_ros.settings.inputs import InputSettings
from concerto_ros.settings.settings import Settings

#: Level, message and values of a DiagnosticStatus.
Task = tuple[bytes, str, dict[str, object]]

#: Events of the last seconds that decide about the level of a status.
RECENT = 5.0

#: Reasons for dropped messages that are about transforms.
TRANSFORM_REASONS = ("no_transform", "transform_loop")

CLIPPED = "a cloud has more points than max_points: only the nearest points are used"


def of_input(
    counts: InputStatistics,
    config: InputSettings,
    report: Report,
    topics: Sequence[TopicState],
) -> Task:
    """The task of one input.

    Its rate and age have the keys of diagnostic_updater's FrequencyStatus and TimeStampStatus.
    """
    now = report.time
    values: dict[str, object] = {topic.topic.parameter: topic.text for topic in topics}
    values |= {"received": counts.received, "fused": counts.fused}
    values |= {f"dropped: {reason}": count for reason, count in counts.drops.items()}
    if counts.last_error:
        values["last error"] = counts.last_error
    if counts.clipped:
        values["points clipped"] = counts.clipped
    if counts.ignored:
        values["points ignored"] = counts.ignored
    if counts.decimation > 1:
        values["decimation"] = counts.decimation
    if counts.off_lattice:
        values["points off the map"] = counts.off_lattice
    if counts.uncolored:
        values["frames without colour"] = counts.uncolored
        values["why without colour"] = counts.why_uncolored
    values |= frequency(counts.ages, counts.received, config.min_rate, config.max_rate)
    ages = counts.ages.not_nan
    if ages:
        values["Earliest timestamp delay (s)"] = f"{min(ages):.4f}"
        values["Latest timestamp delay (s)"] = f"{max(ages):.4f}"
    if config.max_age:
        values["Latest acceptable timestamp delay (s)"] = f"{config.max_age:g}"
    reasons = _recent_drops(counts, now)
    fusing = now - counts.last_fused < RECENT
    silent = [topic.silence for topic in topics if topic.silence]
    lost = [text] if (text := loss(topics)) else []
    if reasons:
        level = DiagnosticStatus.WARN if fusing else DiagnosticStatus.ERROR
        texts = {reason: _explained(counts, reason) for reason in reasons}
        if "unpaired" in texts:
            texts["unpaired"] = "; ".join(silent) or counts.errors["unpaired"]
        wrong = [f"{reason}: {text}" for reason, text in texts.items()]
        return level, "; ".join(wrong + lost), values
    if now - counts.last_clipped < RECENT:
        return DiagnosticStatus.ERROR, CLIPPED, values
    if not fusing:
        level, text = _silence(counts, report)
        return level, "; ".join(silent + lost) or text, values
    refused = [text for topic in topics if not topic.silence for text in topic.refusals]
    wrong = _out_of_bounds(counts, config) + silent + refused + lost
    if now - counts.last_uncolored < RECENT:
        wrong.append(f"used without colour: {counts.why_uncolored}")
    if wrong:
        return DiagnosticStatus.WARN, "; ".join(wrong), values
    return DiagnosticStatus.OK, "frames are fused into the map", values


def _recent_drops(counts: InputStatistics, now: float) -> list[str]:
    return [
        reason
        for reason, last in counts.last_drop.items()
        if reason not in HARMLESS and now - last < RECENT
    ]


def _explained(counts: InputStatistics, reason: str) -> str:
    """The newest error of a reason with its values, and what the reason means."""
    newest, meaning = counts.errors[reason], REASONS[reason]
    return meaning if newest == meaning else f"{newest} ({meaning})"


def _silence(counts: InputStatistics, report: Report) -> tuple[bytes, str]:
    """Level and message for an input of which nothing was fused lately."""
    if report.time - counts.last_received < RECENT:
        return (
            DiagnosticStatus.WARN,
            f"messages arrive, but no frame was fused in the last {RECENT:g} s",
        )
    if counts.received:
        return DiagnosticStatus.ERROR, f"no message in the last {RECENT:g} s; check the sensor"
    waiting = report.time - report.started < RECENT
    level = DiagnosticStatus.WARN if waiting else DiagnosticStatus.ERROR
    return level, "no message yet; check the topic name and its QoS"


def _out_of_bounds(counts: InputStatistics, config: InputSettings) -> list[str]:
    """Sentences about a rate or an age outside of the bounds that the parameters set."""
    rate, ages = counts.ages.rate, counts.ages.not_nan
    wrong: list[str] = []
    if config.min_rate and rate < config.min_rate:
        wrong.append(f"Frequency too low: {rate:.2f} Hz, expected {config.min_rate:g} or more")
    if config.max_rate and rate > config.max_rate:
        wrong.append(f"Frequency too high: {rate:.2f} Hz, expected {config.max_rate:g} or less")
    if config.max_age and ages and max(ages) > config.max_age:
        wrong.append(f"Timestamps too old: {max(ages):.3f} s, expected {config.max_age:g} or less")
    return wrong


def frequency(window: Window, ever: int, low: float, high: float) -> dict[str, object]:
    """The values of diagnostic_updater's FrequencyStatus, by its keys.

    Args:
        window: The recent events.
        ever: Number of events since startup.
        low: Lowest acceptable rate, Hz; 0: no bound.
        high: Highest acceptable rate, Hz; 0: no bound.
    """
    values: dict[str, object] = {
        "Events in window": len(window.values),
        "Events since startup": ever,
        "Duration of window (s)": f"{window.seconds:.3f}",
        "Actual frequency (Hz)": f"{window.rate:.3f}",
    }
    if low:
        values["Minimum acceptable frequency (Hz)"] = f"{low:g}"
    if high:
        values["Maximum acceptable frequency (Hz)"] = f"{high:g}"
    return values


def of_transforms(report: Report, settings: Settings) -> Task:
    """The task about the transforms of all inputs."""
    drops, inputs = report.drops, report.inputs.values()
    values: dict[str, object] = {
        "fixed frame": settings.fixed_frame,
        "robot frame": settings.robot_frame or "none",
    }
    values["frames placed"] = sum(counts.fused for counts in inputs)
    values |= {f"dropped: {reason}": drops[reason] for reason in TRANSFORM_REASONS}
    missing = {
        name: reason
        for name, counts in report.inputs.items()
        for reason in _recent_drops(counts, report.time)
        if reason in TRANSFORM_REASONS
    }
    for name, reason in missing.items():
        values[f"last error of {name}"] = report.inputs[name].errors[reason]
    if missing:
        fusing = any(report.time - counts.last_fused < RECENT for counts in inputs)
        level = DiagnosticStatus.WARN if fusing else DiagnosticStatus.ERROR
        text = "; ".join(
            f"{name}: {_explained(report.inputs[name], reason)}"
            for name, reason in missing.items()
        )
        return level, text, values
    if report.stamp:
        return DiagnosticStatus.OK, "all frames are transformed into the fixed frame", values
    return DiagnosticStatus.OK, "no frame has been transformed yet", values
