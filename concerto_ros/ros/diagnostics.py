# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts as ``~/status`` and, with the reason a person needs, as ``/diagnostics``."""

from __future__ import annotations

from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from concerto_ros.cloud.frame import REASONS
from concerto_ros.msg import PerceptionStatus
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.statistics import HARMLESS, InputCounts, Report

#: What happened in the last so many seconds decides the level.
RECENT = 5.0

CLIPPED = "a cloud has more points than max_points: only the nearest are used"


@dataclass(frozen=True)
class Model:
    """What runs, in words."""

    name: str
    trained: bool
    device: str
    precision: str
    backend: str
    trouble: str = ""

    @classmethod
    def of(cls, pipeline: SemanticPipeline) -> Model:
        """What ``pipeline`` computes with at the moment."""
        return cls(
            pipeline.model,
            pipeline.trained,
            str(pipeline.device),
            str(pipeline.dtype).removeprefix("torch."),
            pipeline.backend,
            pipeline.trouble,
        )


def status_message(report: Report, model: Model, head: Header) -> PerceptionStatus:
    """Everything counted so far."""
    drops = report.drops
    return PerceptionStatus(
        header=head,
        model=model.name,
        device=model.device,
        precision=model.precision,
        stage_names=list(report.stage_ms),
        stage_ms=list(report.stage_ms.values()),
        latency_ms=report.latency_ms,
        frames_received=sum(counts.received for counts in report.inputs.values()),
        frames_fused=sum(counts.fused for counts in report.inputs.values()),
        frames_dropped=drops.total(),
        drop_reasons=list(drops),
        drop_counts=list(drops.values()),
        points_last_frame=report.points,
        voxels=report.voxels,
        voxels_evicted=report.evicted,
        inferences=report.inferences,
        inferences_failed=report.failures,
        objects=report.objects,
        object_passes=report.object_passes,
        object_passes_failed=report.object_failures,
        objects_not_encoded=report.objects_not_encoded,
    )


def diagnostics(node: str, state: str, report: Report | None, model: Model | None):
    """One DiagnosticStatus for each task: state, every input, model, inference, ..."""
    entries = [_status(f"{node}: state", DiagnosticStatus.OK, state)]
    if report is None or model is None:
        return entries
    for name, counts in report.inputs.items():
        entries.append(_input_status(f"{node}: input {name}", counts, report.time))
    entries.append(_model_status(f"{node}: model", model))
    entries.append(_inference_status(f"{node}: inference", report))
    entries.append(_object_status(f"{node}: objects", report))
    entries.append(_output_status(f"{node}: outputs", report))
    return entries


def _input_status(name: str, counts: InputCounts, now: float) -> DiagnosticStatus:
    troubles = [
        reason
        for reason, last in counts.last_drop.items()
        if reason not in HARMLESS and now - last < RECENT
    ]
    works = now - counts.last_fused < RECENT
    values = {"received": counts.received, "fused": counts.fused}
    values |= {f"dropped: {reason}": count for reason, count in counts.drops.items()}
    if counts.last_error:
        values["last error"] = counts.last_error
    if counts.clipped:
        values["points clipped"] = counts.clipped
    if troubles:
        level = DiagnosticStatus.WARN if works else DiagnosticStatus.ERROR
        text = "; ".join(f"{reason}: {REASONS[reason]}" for reason in troubles)
    elif now - counts.last_clipped < RECENT:
        level, text = DiagnosticStatus.ERROR, CLIPPED
    elif works:
        level, text = DiagnosticStatus.OK, "frames are fused"
    elif counts.received == 0:
        level, text = DiagnosticStatus.WARN, "no message yet; check the topic name and its QoS"
    else:
        level, text = DiagnosticStatus.WARN, f"no frame fused in the last {RECENT:g} s"
    return _status(name, level, text, values)


def _model_status(name: str, model: Model) -> DiagnosticStatus:
    values = {
        "model": model.name,
        "device": model.device,
        "precision": model.precision,
        "backend": model.backend,
    }
    if model.trouble:
        return _status(name, DiagnosticStatus.WARN, f"{model.name}: {model.trouble}", values)
    if model.trained:
        return _status(name, DiagnosticStatus.OK, model.name, values)
    text = f"{model.name}: the labels mean nothing; set checkpoint and head"
    return _status(name, DiagnosticStatus.WARN, text, values)


def _inference_status(name: str, report: Report) -> DiagnosticStatus:
    values = {
        "inferences": report.inferences,
        "failed": report.failures,
        "latency ms": f"{report.latency_ms:.1f}",
        "voxels": report.voxels,
        "voxels evicted": report.evicted,
    }
    values |= {f"{stage} ms": f"{spent:.1f}" for stage, spent in report.stage_ms.items()}
    if report.time - report.last_failure < RECENT:
        return _status(name, DiagnosticStatus.ERROR, f"inference failed: {report.failure}", values)
    return _status(name, DiagnosticStatus.OK, f"{report.inferences} predictions published", values)


def _object_status(name: str, report: Report) -> DiagnosticStatus:
    values = {
        "objects": report.objects,
        "passes": report.object_passes,
        "failed": report.object_failures,
        "not encoded": report.objects_not_encoded,
    }
    if report.time - report.last_object_failure < RECENT:
        text = f"looking for objects failed: {report.object_failure}"
        return _status(name, DiagnosticStatus.ERROR, text, values)
    text = f"{report.objects} objects" if report.object_passes else "not asked for"
    return _status(name, DiagnosticStatus.OK, text, values)


def _output_status(name: str, report: Report) -> DiagnosticStatus:
    values = {f"not sent: {topic}": count for topic, count in report.withheld.items()}
    if report.time - report.last_withheld < RECENT:
        return _status(name, DiagnosticStatus.ERROR, report.withholding, values)
    return _status(name, DiagnosticStatus.OK, "nothing is withheld", values)


def _status(name: str, level: bytes, message: str, values=None) -> DiagnosticStatus:
    return DiagnosticStatus(
        name=name,
        hardware_id="concerto_ros",
        level=level,
        message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in (values or {}).items()],
    )
