# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node has between ``configure`` and ``cleanup``: the model and all topics."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.lifecycle import LifecycleNode

from concerto_ros.objects.finding.finder import ObjectFinder
from concerto_ros.objects.words.word_search import WordSearch
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.clicks import Clicks
from concerto_ros.ros.inputs.comparison import Comparison
from concerto_ros.ros.inputs.subscriptions import Subscriptions
from concerto_ros.ros.inputs.transforms import TransformListener, listen
from concerto_ros.ros.monitoring.diagnostics import NO_INPUT
from concerto_ros.ros.monitoring.status import ModelInfo
from concerto_ros.ros.outputs.publisher import Outputs
from concerto_ros.ros.parameters import Parameters
from concerto_ros.ros.services.active_node import Activation
from concerto_ros.ros.services.click_listener import ClickListener
from concerto_ros.ros.stages.object_stage import make_finder


@dataclass(frozen=True)
class ConfiguredNode:
    """The parts that ``configure`` creates and ``cleanup`` destroys."""

    pipeline: SemanticPipeline
    transforms: TransformListener
    inputs: Subscriptions
    finder: ObjectFinder
    word_search: WordSearch | None
    comparison: Comparison
    clicks: Clicks
    click_listener: ClickListener
    outputs: Outputs

    @classmethod
    def of(
        cls, node: LifecycleNode, parameters: Parameters, activation: Activation
    ) -> ConfiguredNode:
        """Load the model and open the topics that ``parameters`` name.

        Raises:
            ValueError: A parameter has a wrong value, or a file is not what it should be.
            OSError: A file cannot be read.
        """
        inputs, log = parameters.read(), node.get_logger()
        settings = parameters.settings
        if not inputs:
            log.warning(NO_INPUT)
        pipeline = SemanticPipeline.from_settings(settings, download=False)
        pipeline.warm_up()
        log.info(ModelInfo.of(pipeline).text)
        finder, object_model, word_search = make_finder(pipeline, settings.objects)
        transforms = listen(node)
        comparison = Comparison(parameters)
        clicks = Clicks(comparison)
        configured = cls(
            pipeline=pipeline,
            transforms=transforms,
            inputs=Subscriptions(node, inputs, settings, transforms),
            finder=finder,
            word_search=word_search,
            comparison=comparison,
            clicks=clicks,
            click_listener=ClickListener(node, clicks, activation),
            outputs=Outputs(node, parameters, pipeline, transforms, comparison, object_model),
        )
        parameters.freeze(pipeline)
        return configured

    def close(self) -> None:
        """Destroy all subscriptions and publishers."""
        self.inputs.unsubscribe()
        self.transforms.close()
        self.click_listener.close()
        self.outputs.close()
