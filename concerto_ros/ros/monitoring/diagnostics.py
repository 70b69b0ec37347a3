# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts as ``/diagnostics``, with the reason a person needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.monitoring.memory_use import MemoryUse
from concerto_ros.ros.monitoring.recent_values import Window
from concerto_ros.ros.monitoring.statistics import HARMLESS, InputStatistics, Report, Statistics
from concerto_ros.ros.monitoring.status import ModelInfo
from concerto_ros.sensors.input_error import REASONS
from concerto_ros.settings.inputs import InputSettings
from concerto_ros.settings.settings import Settings

#: What happened in the last so many seconds decides the level.
RECENT = 5.0

#: Reasons for a drop that are about transforms.
OF_TRANSFORMS = ("no_transform", "transform_loop")

#: A latency, in milliseconds, that no computing explains.
OTHER_CLOCK = 3.6e6

#: How the state of a node begins that could not be configured.
FAILED = "unconfigured: "

#: Level, message and values of a DiagnosticStatus.
Task = tuple[bytes, str, dict[str, object]]

CLIPPED = "a cloud has more points than max_points: only the nearest are used"


@dataclass(frozen=True)
class Activity:
    """What an active node did, with what, and what is expected of it."""

    report: Report
    model: ModelInfo
    settings: Settings
    inputs: Mapping[str, InputSettings]
    memory: MemoryUse

    @classmethod
    def now(
        cls,
        pipeline: SemanticPipeline,
        statistics: Statistics,
        settings: Settings,
        inputs: Mapping[str, InputSettings],
    ) -> Activity:
        """That of this moment."""
        return cls(
            statistics.report(),
            ModelInfo.of(pipeline),
            settings,
            inputs,
            MemoryUse.now(pipeline.device),
        )


def diagnostics(
    node: str, state: str, hardware_id: str, activity: Activity | None
) -> list[DiagnosticStatus]:
    """One DiagnosticStatus for each task, named ``<node>: <task>`` as by diagnostic_updater."""
    tasks = {"state": _state(state)}
    if activity is not None:
        report, model, settings = activity.report, activity.model, activity.settings
        for name, counts in report.inputs.items():
            tasks[f"input {name}"] = _input(counts, activity.inputs[name], report)
        tasks["TF"] = _transforms(report, settings)
        tasks["model"] = _model(model)
        tasks["inference"] = _inference(report)
        tasks["compute"] = _compute(report, settings)
        tasks["memory"] = _memory(activity.memory, report, settings)
        tasks["objects"] = _objects(report)
        tasks["outputs"] = _outputs(report)
    return [
        DiagnosticStatus(
            name=f"{node}: {task}",
            hardware_id=hardware_id,
            level=level,
            message=message,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        for task, (level, message, values) in tasks.items()
    ]


def _state(state: str) -> Task:
    failed = state.startswith(FAILED)
    return DiagnosticStatus.ERROR if failed else DiagnosticStatus.OK, state, {}


def _input(counts: InputStatistics, about: InputSettings, report: Report) -> Task:
    """Rate and age by the keys of diagnostic_updater's FrequencyStatus and TimeStampStatus."""
    now = report.time
    values = {"received": counts.received, "fused": counts.fused}
    values |= {f"dropped: {reason}": count for reason, count in counts.drops.items()}
    if counts.last_error:
        values["last error"] = counts.last_error
    if counts.clipped:
        values["points clipped"] = counts.clipped
    values |= frequency(counts.ages, counts.received, about.min_rate, about.max_rate)
    ages = counts.ages.known
    if ages:
        values["Earliest timestamp delay (s)"] = f"{min(ages):.4f}"
        values["Latest timestamp delay (s)"] = f"{max(ages):.4f}"
    if about.max_age:
        values["Latest acceptable timestamp delay (s)"] = f"{about.max_age:g}"
    troubles = _recent_drops(counts, now)
    works = now - counts.last_fused < RECENT
    if troubles:
        level = DiagnosticStatus.WARN if works else DiagnosticStatus.ERROR
        return level, "; ".join(f"{reason}: {REASONS[reason]}" for reason in troubles), values
    if now - counts.last_clipped < RECENT:
        return DiagnosticStatus.ERROR, CLIPPED, values
    if not works:
        return *_silence(counts, report), values
    wrong = _out_of_bounds(counts, about)
    if wrong:
        return DiagnosticStatus.WARN, "; ".join(wrong), values
    return DiagnosticStatus.OK, "frames are fused", values


def _recent_drops(counts: InputStatistics, now: float) -> list[str]:
    return [
        reason
        for reason, last in counts.last_drop.items()
        if reason not in HARMLESS and now - last < RECENT
    ]


def _silence(counts: InputStatistics, report: Report) -> tuple[bytes, str]:
    """Why nothing of an input was fused lately."""
    if report.time - counts.last_received < RECENT:
        return DiagnosticStatus.WARN, f"no frame fused in the last {RECENT:g} s"
    if counts.received:
        return DiagnosticStatus.ERROR, f"no message in the last {RECENT:g} s; check the sensor"
    waiting = report.time - report.started < RECENT
    level = DiagnosticStatus.WARN if waiting else DiagnosticStatus.ERROR
    return level, "no message yet; check the topic name and its QoS"


def _out_of_bounds(counts: InputStatistics, about: InputSettings) -> list[str]:
    """What about the rate and the age of messages is not as the parameters want it."""
    rate, ages, wrong = counts.ages.rate, counts.ages.known, []
    if about.min_rate and rate < about.min_rate:
        wrong.append(f"Frequency too low: {rate:.2f} Hz, expected {about.min_rate:g} or more")
    if about.max_rate and rate > about.max_rate:
        wrong.append(f"Frequency too high: {rate:.2f} Hz, expected {about.max_rate:g} or less")
    if about.max_age and ages and max(ages) > about.max_age:
        wrong.append(f"Timestamps too old: {max(ages):.3f} s, expected {about.max_age:g} or less")
    return wrong


def frequency(window: Window, ever: int, low: float, high: float) -> dict[str, object]:
    """The keys of diagnostic_updater's FrequencyStatus; a bound of 0 is none."""
    values = {
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


def _transforms(report: Report, settings: Settings) -> Task:
    drops, inputs = report.drops, report.inputs.values()
    values = {"fixed frame": settings.fixed_frame, "robot frame": settings.robot_frame or "none"}
    values["frames placed"] = sum(counts.fused for counts in inputs)
    values |= {f"dropped: {reason}": drops[reason] for reason in OF_TRANSFORMS}
    missing = {
        name: reason
        for name, counts in report.inputs.items()
        for reason in _recent_drops(counts, report.time)
        if reason in OF_TRANSFORMS
    }
    for name, reason in missing.items():
        values[f"last error of {name}"] = report.inputs[name].errors[reason]
    if missing:
        works = any(report.time - counts.last_fused < RECENT for counts in inputs)
        level = DiagnosticStatus.WARN if works else DiagnosticStatus.ERROR
        text = "; ".join(f"{name}: {REASONS[reason]}" for name, reason in missing.items())
        return level, text, values
    return DiagnosticStatus.OK, "frames are placed" if report.stamp else "nothing to place", values


def _model(model: ModelInfo) -> Task:
    values = {
        "model": model.name,
        "checkpoint": model.checkpoint,
        "head": model.head or "none of its own",
        "licence": model.licence or "none is named in the file",
        "device": model.device,
        "precision": model.precision,
        "backend": model.backend,
    }
    if model.trouble:
        return DiagnosticStatus.WARN, f"{model.name}: {model.trouble}", values
    if model.trained:
        return DiagnosticStatus.OK, model.name, values
    text = f"{model.name}: the labels mean nothing; set checkpoint and head"
    return DiagnosticStatus.WARN, text, values


def _inference(report: Report) -> Task:
    values = {
        "inferences": report.inferences,
        "failed": report.failures,
        "voxels": report.voxels,
        "voxels evicted": report.evicted,
        "voxels seen through": report.cleared,
    }
    if report.time - report.last_failure < RECENT:
        return DiagnosticStatus.ERROR, f"inference failed: {report.failure}", values
    return DiagnosticStatus.OK, f"{report.inferences} predictions published", values


def _compute(report: Report, settings: Settings) -> Task:
    """Latency against the deadline, and the rate of predictions."""
    latencies, deadline = report.latencies.known, settings.diagnostics.deadline
    values: dict[str, object] = {"latency ms": f"{report.latency_ms:.1f}"}
    if latencies:
        values["latency ms, median"] = f"{median(latencies):.1f}"
        values["latency ms, most"] = f"{max(latencies):.1f}"
    values["deadline ms"] = f"{1e3 * deadline:g}" if deadline else "none"
    values["late"] = report.late
    values |= frequency(report.latencies, report.inferences, 0.0, settings.rate)
    values |= {f"{stage} ms": f"{spent:.1f}" for stage, spent in report.stage_ms.items()}
    if not report.inferences:
        return DiagnosticStatus.OK, "nobody asks for labels yet", values
    if deadline and not 0 <= report.latency_ms < OTHER_CLOCK:
        text = "the stamps are of another clock than the node's; set use_sim_time with a bag"
        return DiagnosticStatus.WARN, text, values
    if report.time - report.last_late < RECENT:
        text = f"labels later than the deadline of {deadline:g} s; lower rate or use larger voxels"
        return DiagnosticStatus.WARN, text, values
    return DiagnosticStatus.OK, "in time" if deadline else "no deadline", values


def _memory(memory: MemoryUse, report: Report, settings: Settings) -> Task:
    amounts = {
        "resident MB": memory.resident,
        "resident MB, most": memory.peak,
        "available MB": memory.available,
        "total MB": memory.total,
        "device MB": memory.device_used,
        "device available MB": memory.device_available,
    }
    values = {key: f"{value:.0f}" for key, value in amounts.items() if value is not None}
    values |= {"threads": memory.threads, "open files": memory.files}
    values |= {"voxels": report.voxels, "max_voxels": settings.max_voxels}
    least = settings.diagnostics.free_memory
    if None not in (memory.available, memory.total) and memory.available < least * memory.total:
        text = f"less than {100 * least:g} % of the memory is left"
        return DiagnosticStatus.WARN, text, values
    if report.time - report.last_evicted < RECENT:
        text = "the map is full: voxels leave because of max_voxels"
        return DiagnosticStatus.WARN, text, values
    return DiagnosticStatus.OK, "enough memory", values


def _objects(report: Report) -> Task:
    values = {
        "objects": report.objects,
        "passes": report.object_passes,
        "failed": report.object_failures,
        "not encoded": report.objects_not_encoded,
    }
    if report.time - report.last_object_failure < RECENT:
        text = f"looking for objects failed: {report.object_failure}"
        return DiagnosticStatus.ERROR, text, values
    text = f"{report.objects} objects" if report.object_passes else "not asked for"
    return DiagnosticStatus.OK, text, values


def _outputs(report: Report) -> Task:
    values = {f"not sent: {topic}": count for topic, count in report.withheld.items()}
    if report.time - report.last_withheld < RECENT:
        return DiagnosticStatus.ERROR, report.withholding, values
    return DiagnosticStatus.OK, "nothing is withheld", values
