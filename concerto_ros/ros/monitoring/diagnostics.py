# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's counts as ``/diagnostics``, with a sentence for the operator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from concerto_ros.labels.prediction import NOT_FINITE
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.kernels.usable_device import is_expected
from concerto_ros.ros.monitoring.memory_use import MemoryUse
from concerto_ros.ros.monitoring.recent_values import Window
from concerto_ros.ros.monitoring.statistics import HARMLESS, InputStatistics, Report, Statistics
from concerto_ros.ros.monitoring.status import ModelInfo
from concerto_ros.ros.monitoring.topic_state import TopicState, loss
from concerto_ros.sensors.input_error import REASONS
from concerto_ros.settings.inputs import INPUTS, InputSettings
from concerto_ros.settings.settings import Settings

#: Events of the last seconds that decide about the level of a status.
RECENT = 5.0

#: Reasons for dropped messages that are about transforms.
TRANSFORM_REASONS = ("no_transform", "transform_loop")

#: A latency that only different clocks explain: one hour, in milliseconds.
OTHER_CLOCK = 3.6e6

#: Prefix of the state of a node that could not be configured; the reason follows.
FAILED = "unconfigured: "

#: Level, message and values of a DiagnosticStatus.
Task = tuple[bytes, str, dict[str, object]]

NO_INPUT = f"no input is configured: set the parameter {' or '.join(INPUTS)}"

CLIPPED = "a cloud has more points than max_points: only the nearest points are used"


@dataclass(frozen=True)
class Activity:
    """What an active node did and with which model, and the bounds of what is normal.

    Attributes:
        report: The counts.
        model: The model in use.
        settings: The current settings.
        inputs: The parameters of each input by its name, with the bounds of its rate and age.
        memory: The memory in use.
        topics: What is known about the topics of each input by its name.
    """

    report: Report
    model: ModelInfo
    settings: Settings
    inputs: Mapping[str, InputSettings]
    memory: MemoryUse
    topics: Mapping[str, Sequence[TopicState]] = field(default_factory=dict)

    @classmethod
    def now(
        cls,
        pipeline: SemanticPipeline,
        statistics: Statistics,
        settings: Settings,
        inputs: Mapping[str, InputSettings],
        topics: Mapping[str, Sequence[TopicState]],
    ) -> Activity:
        """The activity up to now."""
        return cls(
            statistics.report(),
            ModelInfo.of(pipeline),
            settings,
            inputs,
            MemoryUse.now(pipeline.device),
            topics,
        )


def diagnostics(
    node: str, state: str, hardware_id: str, activity: Activity | None
) -> list[DiagnosticStatus]:
    """The status of each task.

    Args:
        node: Fully qualified name of the node, without the leading slash.
        state: Lifecycle state, or :data:`FAILED` and the reason.
        hardware_id: Of every status.
        activity: None for a node that is not active, which reports its state only.

    Returns:
        One DiagnosticStatus per task, named ``<node>: <task>`` as by diagnostic_updater.
    """
    tasks = {"state": _state(state)}
    if activity is not None:
        report, model, settings = activity.report, activity.model, activity.settings
        for name, counts in report.inputs.items():
            topics = activity.topics.get(name, ())
            tasks[f"input {name}"] = _input(counts, activity.inputs[name], report, topics)
        if not report.inputs:
            tasks["input"] = DiagnosticStatus.WARN, NO_INPUT, {}
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
    if not state.startswith(FAILED):
        return DiagnosticStatus.OK, state, {}
    # As a value too: tools show one line of a message, and all of a value.
    return DiagnosticStatus.ERROR, state, {"reason": state.removeprefix(FAILED)}


def _input(
    counts: InputStatistics,
    config: InputSettings,
    report: Report,
    topics: Sequence[TopicState],
) -> Task:
    """Rate and age have the keys of diagnostic_updater's FrequencyStatus and TimeStampStatus."""
    now = report.time
    values: dict[str, object] = {topic.topic.parameter: topic.text for topic in topics}
    values |= {"received": counts.received, "fused": counts.fused}
    values |= {f"dropped: {reason}": count for reason, count in counts.drops.items()}
    if counts.last_error:
        values["last error"] = counts.last_error
    if counts.clipped:
        values["points clipped"] = counts.clipped
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


def _transforms(report: Report, settings: Settings) -> Task:
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


def _model(model: ModelInfo) -> Task:
    values: dict[str, object] = {
        "model": model.name,
        "checkpoint": model.checkpoint,
        "head": model.head or "none of its own",
        "licence": model.licence or "none is named in the file",
        "device": model.device,
        "precision": model.precision,
        "backend": model.backend,
    }
    if model.why_cpu:
        values["device auto"] = f"the CPU: {model.why_cpu}"
    if model.degraded_reason:
        return DiagnosticStatus.WARN, f"{model.name}: {model.degraded_reason}", values
    if model.trained and model.why_cpu and not is_expected(model.why_cpu):
        text = f"{model.name} runs on the CPU, as the GPU cannot be used: {model.why_cpu}"
        return DiagnosticStatus.WARN, text, values
    if model.trained:
        return DiagnosticStatus.OK, f"{model.name} is in use", values
    text = f"{model.name}: random weights, so the labels mean nothing; set checkpoint and head"
    return DiagnosticStatus.WARN, text, values


def _inference(report: Report) -> Task:
    values: dict[str, object] = {
        "inferences": report.inferences,
        "failed": report.failures,
        "voxels": report.voxels,
        "voxels not finite": report.not_finite,
        "results outdated": report.outdated,
        "voxels evicted": report.evicted,
        "voxels observed free": report.cleared,
    }
    if report.time - report.last_failure < RECENT:
        return DiagnosticStatus.ERROR, f"inference failed: {report.failure}", values
    if report.time - report.last_not_finite < RECENT:
        bad, size = report.not_finite_share
        text = f"{bad} of {size} voxels are unlabelled: {NOT_FINITE}"
        return DiagnosticStatus.ERROR, text, values
    return DiagnosticStatus.OK, f"{report.inferences} predictions were published", values


def _compute(report: Report, settings: Settings) -> Task:
    """Latency against the deadline, and the rate of predictions."""
    latencies, deadline = report.latencies.not_nan, settings.diagnostics.deadline
    values: dict[str, object] = {"latency ms": f"{report.latency_ms:.1f}"}
    if latencies:
        values["latency ms, median"] = f"{median(latencies):.1f}"
        values["latency ms, most"] = f"{max(latencies):.1f}"
    values["deadline ms"] = f"{1e3 * deadline:g}" if deadline else "none"
    values["late"] = report.late
    values |= frequency(report.latencies, report.inferences, 0.0, settings.rate)
    values |= {f"{stage} ms": f"{spent:.1f}" for stage, spent in report.stage_ms.items()}
    if not report.inferences:
        return (
            DiagnosticStatus.OK,
            "no labels yet: they are computed once an output has a subscriber",
            values,
        )
    if math.isnan(report.latency_ms):
        return DiagnosticStatus.OK, "no labels since the map was cleared by a restart", values
    if deadline and not 0 <= report.latency_ms < OTHER_CLOCK:
        text = "the sensors' stamps are not from the node's clock; set use_sim_time to play a bag"
        return DiagnosticStatus.WARN, text, values
    if report.time - report.last_late < RECENT:
        text = (
            f"labels come later than the deadline of {deadline:g} s; lower the parameter rate or"
            " use larger voxels"
        )
        return DiagnosticStatus.WARN, text, values
    if not deadline:
        return DiagnosticStatus.OK, "labels are published; no deadline is set", values
    return DiagnosticStatus.OK, "labels are published within the deadline", values


def _memory(memory: MemoryUse, report: Report, settings: Settings) -> Task:
    amounts = {
        "resident MB": memory.resident,
        "resident MB, most": memory.peak,
        "available MB": memory.available,
        "total MB": memory.total,
        "device MB": memory.device_used,
        "device available MB": memory.device_available,
    }
    values: dict[str, object] = {
        key: f"{value:.0f}" for key, value in amounts.items() if value is not None
    }
    values |= {"threads": memory.threads, "open files": memory.files}
    values |= {"voxels": report.voxels, "max_voxels": settings.max_voxels}
    share, available, total = settings.diagnostics.free_memory, memory.available, memory.total
    if available is not None and total is not None and available < share * total:
        text = f"less than {100 * share:g} % of the computer's memory is available"
        return DiagnosticStatus.WARN, text, values
    if report.time - report.last_evicted < RECENT:
        text = "the map has max_voxels voxels: the farthest ones are removed"
        return DiagnosticStatus.WARN, text, values
    return DiagnosticStatus.OK, "enough memory is available", values


def _objects(report: Report) -> Task:
    values: dict[str, object] = {
        "objects": report.objects,
        "passes": report.object_passes,
        "failed": report.object_failures,
        "not encoded": report.objects_not_encoded,
    }
    if report.time - report.last_object_failure < RECENT:
        text = f"the search for objects failed: {report.object_failure}"
        return DiagnosticStatus.ERROR, text, values
    if not report.object_passes:
        text = "no search yet: subscribe to ~/objects or set objects.enabled"
        return DiagnosticStatus.OK, text, values
    return DiagnosticStatus.OK, f"{report.objects} objects were found in the map", values


def _outputs(report: Report) -> Task:
    values: dict[str, object] = {
        f"not sent: {topic}": count for topic, count in report.skipped_outputs.items()
    }
    if report.time - report.last_skipped < RECENT:
        return DiagnosticStatus.ERROR, report.skip_reason, values
    return DiagnosticStatus.OK, "all requested outputs are sent", values
