# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts as ``~/status``, and what runs in words."""

from __future__ import annotations

from dataclasses import dataclass

from std_msgs.msg import Header

from concerto_ros.msg import PerceptionStatus
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.monitoring.statistics import Report


@dataclass(frozen=True)
class ModelInfo:
    """What runs, in words."""

    name: str
    trained: bool
    device: str
    precision: str
    backend: str
    trouble: str = ""
    checkpoint: str = ""
    head: str = ""
    licence: str = ""

    @classmethod
    def of(cls, pipeline: SemanticPipeline) -> ModelInfo:
        """What ``pipeline`` computes with at the moment."""
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
        )

    @property
    def text(self) -> str:
        """One line about it, for the log."""
        return f"model {self.name} on {self.device}, {self.precision}, backend {self.backend}"


def status_message(report: Report, model: ModelInfo, header: Header) -> PerceptionStatus:
    """Everything counted so far."""
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
        objects=report.objects,
        object_passes=report.object_passes,
        object_passes_failed=report.object_failures,
        objects_not_encoded=report.objects_not_encoded,
    )
