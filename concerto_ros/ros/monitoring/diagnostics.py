# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's counts as ``/diagnostics``, with a sentence for the operator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from concerto_ros.labels.prediction import NOT_FINITE, not_like_training
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3.kernels.usable_device import is_expected
from concerto_ros.ros.monitoring.input_diagnostics import (
    RECENT,
    Task,
    frequency,
    of_input,
    of_transforms,
)
from concerto_ros.ros.monitoring.memory_use import MemoryUse
from concerto_ros.ros.monitoring.statistics import Report, Statistics
from concerto_ros.ros.monitoring.status import ModelInfo
from concerto_ros.ros.monitoring.topic_state import TopicState
from concerto_ros.settings.inputs import INPUTS, InputSettings
from concerto_ros.settings.settings import Settings

#: A latency that only different clocks explain: one hour, in milliseconds.
OTHER_CLOCK = 3.6e6

#: Prefix of the state of a node that could not be configured; the reason follows.
FAILED = "unconfigured: "

NO_INPUT = f"no input is configured: set the parameter {' or '.join(INPUTS)}"


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
            tasks[f"input {name}"] = of_input(counts, activity.inputs[name], report, topics)
        if not report.inputs:
            tasks["input"] = DiagnosticStatus.WARN, NO_INPUT, {}
        tasks["TF"] = of_transforms(report, settings)
        tasks["model"] = _model(model)
        tasks["inference"] = _inference(report, settings)
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
    if model.exported:
        values["exported"] = model.exported
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


def _inference(report: Report, settings: Settings) -> Task:
    values: dict[str, object] = {
        "inferences": report.inferences,
        "failed": report.failures,
        "voxels": report.voxels,
        "voxels not finite": report.not_finite,
        "voxels unfamiliar": report.unfamiliar,
        "voxels without a word": report.no_word,
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
    if report.looks_unfamiliar:
        what = not_like_training(settings.preset)
        text = f"{what}: {report.unfamiliar} of {report.voxels} voxels"
        return DiagnosticStatus.WARN, text, values
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
