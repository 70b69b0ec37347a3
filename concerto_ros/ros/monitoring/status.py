# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's counts as ``~/status``, and a description of the model in use."""

from __future__ import annotations

from dataclasses import dataclass

from std_msgs.msg import Header

from concerto_ros.msg import PerceptionStatus
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.monitoring.statistics import Report


@dataclass(frozen=True)
class ModelInfo:
    """Description of the model in use.

    Attributes:
        name: Encoder and head.
        trained: False if weights are random.
        device: E.g. ``cuda:0``.
        precision: E.g. ``bfloat16``.
        backend: Of the encoder's kernels, e.g. ``triton``.
        degraded_reason: Why it computes otherwise than configured, e.g. because memory ran out;
            empty if it does not.
        checkpoint: The parameter ``checkpoint``.
        head: The parameter ``head``.
        licence: Licence of the weights; empty if the checkpoint names none.
        why_cpu: Why ``device: auto`` was no GPU; empty where it was one or not set.
        exported: The parameter ``exported``.
    """

    name: str
    trained: bool
    device: str
    precision: str
    backend: str
    degraded_reason: str = ""
    checkpoint: str = ""
    head: str = ""
    licence: str = ""
    why_cpu: str = ""
    exported: str = ""

    @classmethod
    def of(cls, pipeline: SemanticPipeline) -> ModelInfo:
        """Describe the model that ``pipeline`` uses now."""
        return cls(
            pipeline.model,
            pipeline.trained,
            str(pipeline.device),
            str(pipeline.dtype).removeprefix("torch."),
            pipeline.backend,
            pipeline.degraded_reason,
            pipeline.settings.checkpoint,
            pipeline.settings.head,
            pipeline.encoder.licence,
            pipeline.why_cpu,
            pipeline.settings.exported,
        )

    @property
    def text(self) -> str:
        """One line for the log."""
        return f"model {self.name} on {self.device}, {self.precision}, backend {self.backend}"


def status_message(report: Report, model: ModelInfo, header: Header) -> PerceptionStatus:
    """The counts as a message."""
    drops = report.drops
    return PerceptionStatus(
        header=header,
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
        voxels_not_finite=report.not_finite,
        voxels_unfamiliar=report.unfamiliar,
        voxels_no_word=report.no_word,
        results_outdated=report.outdated,
        objects=report.objects,
        object_passes=report.object_passes,
        object_passes_failed=report.object_failures,
        objects_not_encoded=report.objects_not_encoded,
    )
