# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the node that services use while it is active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from concerto_ros.objects.words.word_search import WordSearch
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.clicks import Clicks
from concerto_ros.ros.inputs.comparison import Comparison
from concerto_ros.ros.inputs.subscriptions import Subscriptions
from concerto_ros.ros.inputs.transforms import TransformListener
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.outputs.publisher import Outputs
from concerto_ros.ros.parameters import Parameters
from concerto_ros.ros.stages.inference_stage import InferenceStage
from concerto_ros.ros.stages.intake_stage import IntakeStage
from concerto_ros.ros.stages.object_stage import ObjectStage
from concerto_ros.ros.stages.stage import StageThread
from concerto_ros.settings.settings import Settings


@dataclass(frozen=True)
class ActiveNode:
    """The parts of an active node; each activation makes a new one."""

    pipeline: SemanticPipeline
    parameters: Parameters
    transforms: TransformListener
    comparison: Comparison
    clicks: Clicks
    inputs: Subscriptions
    outputs: Outputs
    statistics: Statistics
    word_search: WordSearch | None
    intake: IntakeStage
    inference: InferenceStage
    objects: ObjectStage

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self.parameters.settings

    @property
    def stages(self) -> Sequence[StageThread]:
        """The stages, from the inputs to the outputs."""
        return (self.intake, self.inference, self.objects)


@dataclass
class Activation:
    """Holds the active node for its services; None while it is not active."""

    node: ActiveNode | None = None
