# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: wires inputs, stages, outputs and services together."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import rclpy
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from concerto_ros.objects.finding.finder import ObjectFinder
from concerto_ros.objects.words.word_search import WordSearch
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.clicks import Clicks
from concerto_ros.ros.inputs.subscriptions import Subscriptions
from concerto_ros.ros.inputs.transforms import TransformListener, listen
from concerto_ros.ros.middleware.fastdds_profile import use_transport_profile
from concerto_ros.ros.middleware.spinning import spin
from concerto_ros.ros.middleware.transitions import all_or_nothing, answer_every_transition
from concerto_ros.ros.monitoring.diagnostics import FAILED, Activity
from concerto_ros.ros.monitoring.diagnostics_output import DiagnosticsOutput
from concerto_ros.ros.monitoring.memory_use import release_unused_memory
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.monitoring.status import ModelInfo
from concerto_ros.ros.outputs.publisher import Outputs
from concerto_ros.ros.parameters import AUTOSTART, Parameters
from concerto_ros.ros.services.active_node import Activation, ActiveNode
from concerto_ros.ros.services.click_listener import ClickListener
from concerto_ros.ros.services.map_services import MapServices
from concerto_ros.ros.services.teach_services import TeachServices
from concerto_ros.ros.stages.inference_stage import InferenceStage
from concerto_ros.ros.stages.intake_stage import IntakeStage
from concerto_ros.ros.stages.object_stage import ObjectStage, make_finder
from concerto_ros.ros.stages.stage import stop_stages
from concerto_ros.settings.inputs import INPUTS

#: Seconds between two messages on ``/diagnostics``, and on ``~/status`` while nothing is inferred.
STATUS_PERIOD = 1.0

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PerceptionNode(LifecycleNode):
    """Subscribes to clouds and RGB-D cameras, publishes labels and feature colours."""

    def __init__(self, **options):
        super().__init__("concerto", **options)
        answer_every_transition(self)
        self._state = "unconfigured"
        self._ros_parameters = Parameters(self)
        # Made by configuring.
        self._pipeline: SemanticPipeline | None = None
        self._transforms: TransformListener | None = None
        self._inputs: Subscriptions | None = None
        self._finder: ObjectFinder | None = None
        self._word_search: WordSearch | None = None
        self._clicks: Clicks | None = None
        self._click_listener: ClickListener | None = None
        self._outputs: Outputs | None = None
        # Made by activating.
        self._statistics: Statistics | None = None
        self._activation = Activation()

        self._map_services = MapServices(self, self._activation)
        self._teach_services = TeachServices(self, self._activation)
        self._diagnostics_output = DiagnosticsOutput(self)
        # On a steady clock: the node reports also while /clock stands still.
        self._status_timer = self.create_timer(
            STATUS_PERIOD, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False
            ),
            post_callback=self._on_clock_jump,
        )

    @property
    def autostart(self) -> bool:
        """Whether the node is to configure and activate itself."""
        return self.get_parameter(AUTOSTART).value

    # Lifecycle ---------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            with all_or_nothing(self):
                self._configure()
        except Exception as error:
            expected = isinstance(error, (ValueError, OSError))
            why = str(error) if expected else f"{type(error).__name__}: {error}"
            text = f" {why}" if expected else f"\n{traceback.format_exc()}"
            self.get_logger().error(f"cannot configure:{text}")
            self._discard()
            self._state = f"{FAILED}{why}"
            return FAILURE
        self._state = "inactive"
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        try:
            self._activate()
        except Exception:
            self.get_logger().error(f"cannot activate:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        self._state = "active"
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._deactivate()
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._discard()
        self._state = "unconfigured"
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._discard()
        self._state = "finalized"
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._discard()
        self._state = f"{FAILED}a transition failed; see the log"
        return SUCCESS

    def _configure(self) -> None:
        inputs, log = self._ros_parameters.read(), self.get_logger()
        settings = self._ros_parameters.settings
        if not inputs:
            log.warning(f"no input: set {' or '.join(INPUTS)}")
        self._pipeline = pipeline = SemanticPipeline.from_settings(settings, download=False)
        pipeline.warm_up()
        log.info(ModelInfo.of(pipeline).text)
        self._finder, object_model, self._word_search = make_finder(pipeline, settings.objects)
        self._transforms = listen(self)
        self._inputs = Subscriptions(self, inputs, settings, self._transforms)
        self._clicks = Clicks(self._ros_parameters)
        self._click_listener = ClickListener(self, self._clicks, self._activation)
        self._outputs = Outputs(
            self, self._ros_parameters, pipeline, self._transforms, self._clicks, object_model
        )
        self._ros_parameters.freeze(pipeline)

    def _activate(self) -> None:
        inputs, log = self._inputs, self.get_logger()
        parameters, pipeline = self._ros_parameters, self._pipeline
        outputs, clicks = self._outputs, self._clicks
        self._statistics = statistics = Statistics(list(inputs.configs))
        objects = ObjectStage(self._finder, parameters, statistics, outputs.objects, log)
        inference = InferenceStage(pipeline, parameters, statistics, outputs, clicks, log)
        intake = IntakeStage(inputs, pipeline, parameters, statistics, inference, log)
        self._activation.node = ActiveNode(
            pipeline=pipeline,
            parameters=parameters,
            transforms=self._transforms,
            clicks=clicks,
            outputs=outputs,
            word_search=self._word_search,
            intake=intake,
            inference=inference,
            objects=objects,
        )
        outputs.begin(statistics, objects)
        for stage in (objects, inference, intake):
            stage.start()

    def _deactivate(self) -> None:
        if self._activation.node is not None:
            stop_stages(self._activation.node.stages, self.get_logger())
            self._activation.node = None

    def _discard(self) -> None:
        """Give back everything that configuring made."""
        self._deactivate()
        self._ros_parameters.thaw()
        if self._inputs is not None:
            self._inputs.unsubscribe()
        for end in (self._transforms, self._click_listener, self._outputs):
            if end is not None:
                end.close()
        self._statistics = self._outputs = self._click_listener = self._clicks = None
        self._finder = self._word_search = None
        self._inputs = self._transforms = self._pipeline = None
        release_unused_memory()

    def close(self) -> None:
        """Stop the stages and give everything back."""
        self._discard()
        self._jump_handle.unregister()
        self.destroy_node()
        # rclpy leaves the state machine to the garbage collector. It holds the DDS participant,
        # whose end in the middle of the life of another one can block both for ever.
        self._state_machine = None

    # While it runs -----------------------------------------------------------------------------

    def _on_clock_jump(self, _jump) -> None:
        if self._activation.node is not None:
            self._activation.node.intake.clock_went_back()
        elif self._transforms is not None:  # heard while inactive, too
            self._transforms.clear()

    def _on_timer(self) -> None:
        settings, activity = self._ros_parameters.settings, None
        if self._activation.node is not None:
            self._outputs.publish_status()
            activity = Activity.now(
                self._pipeline, self._statistics, settings, self._inputs.configs
            )
        hardware_id = settings.diagnostics.hardware_id
        self._diagnostics_output.publish(self._state, hardware_id, activity)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted."""
    use_transport_profile()
    rclpy.init(args=list(sys.argv if args is None else args))
    node = None
    try:
        node = PerceptionNode()
        if node.autostart and node.trigger_configure() == SUCCESS:
            node.trigger_activate()
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        if rclpy.ok():
            raise
        # Interrupted while it was starting: what rclpy makes of a context that is gone.
    finally:
        if node is not None:
            node.close()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
