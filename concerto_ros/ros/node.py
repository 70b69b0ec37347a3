# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: wires inputs, stages, outputs and services together."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger

from concerto_ros.files.error_text import in_words
from concerto_ros.ptv3.kernels.lost_device import why_lost
from concerto_ros.ptv3.kernels.usable_device import device_named
from concerto_ros.ros.bringup.command_line import accepts, command_line_sections, refused
from concerto_ros.ros.configured_node import ConfiguredNode
from concerto_ros.ros.middleware.fastdds_profile import use_transport_profile
from concerto_ros.ros.middleware.process_end import end_process, still_at_work, uninterrupted
from concerto_ros.ros.middleware.spinning import FatalError, spin
from concerto_ros.ros.middleware.transitions import answer_every_transition, roll_back_on_error
from concerto_ros.ros.monitoring.diagnostics import FAILED, Activity
from concerto_ros.ros.monitoring.diagnostics_output import DiagnosticsOutput
from concerto_ros.ros.monitoring.memory_use import release_unused_memory
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.parameters import AUTOSTART, Parameters
from concerto_ros.ros.services.active_node import Activation, ActiveNode
from concerto_ros.ros.services.map_services import MapServices
from concerto_ros.ros.services.teach_services import TeachServices
from concerto_ros.ros.services.word_services import WordServices
from concerto_ros.ros.stages.inference_stage import InferenceStage
from concerto_ros.ros.stages.intake_stage import IntakeStage
from concerto_ros.ros.stages.object_stage import ObjectStage
from concerto_ros.ros.stages.stage import JOIN_TIMEOUT, stop_stages
from concerto_ros.settings.checked_parameters import wrong_switch
from concerto_ros.settings.field import SettingsError

#: Seconds between two messages on ``/diagnostics``, and on ``~/status`` without predictions.
STATUS_PERIOD = 1.0

#: Messages on ``/diagnostics`` that say why the node ends: at least, and at most where nobody
#: listens. A node that just started is not yet known to whoever listens; over a slow network that
#: takes more than the three seconds between two announcements of DDS.
LAST_MESSAGES = 2, 6

#: Exit status for a command line that cannot be used, as of argparse.
UNUSABLE = 2

#: Exit status after a :class:`FatalError`.
FAILED_STATUS = 1

#: Why the node ends where its GPU is lost; the error of the driver follows.
DEVICE_LOST = (
    "the GPU computes nothing any more in this process, so the node ends with exit status 1 and"
    " has to be started again"
)

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PerceptionNode(LifecycleNode):
    """Subscribes to clouds and RGB-D cameras, publishes labels and feature colours.

    A lifecycle node (ROS 2 managed node) named ``concerto``. It keeps its executor's callbacks
    short: decoding and inference run in threads of their own while the node is active.

    Args:
        options: Keyword arguments of ``rclpy.lifecycle.LifecycleNode``, e.g.
            ``parameter_overrides``.
    """

    def __init__(self, **options: Any):
        super().__init__("concerto", **options)
        answer_every_transition(self)
        self._state = "unconfigured"
        self._ros_parameters = Parameters(self)
        self._configured: ConfiguredNode | None = None
        self._activation = Activation()
        self._device_lost = ""
        self._said_lost = 0

        changing_classes = MutuallyExclusiveCallbackGroup()
        self._own_services = (
            MapServices(self, self._activation),
            TeachServices(self, self._activation, changing_classes),
            WordServices(self, self._activation, changing_classes),
        )
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
        """Whether the node configures and activates itself at start: parameter ``autostart``."""
        return self.get_parameter(AUTOSTART).value

    # Lifecycle ---------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the model and open all topics (lifecycle transition).

        On a wrong parameter or file the node stays unconfigured, and ``/diagnostics`` has the
        reason.
        """
        try:
            with roll_back_on_error(self):
                self._configured = ConfiguredNode.of(self, self._ros_parameters, self._activation)
        except Exception as error:
            expected = isinstance(error, (ValueError, OSError, ImportError))
            why = in_words(error) if expected else f"{type(error).__name__}: {error}"
            text = f" {why}" if expected else f"\n{traceback.format_exc()}"
            self.get_logger().error(f"cannot configure:{text}")
            self._discard()
            self._state = f"{FAILED}{why}"
            self._device_lost = _why_lost(self._ros_parameters.settings.device)
            return FAILURE
        self._state = "inactive"
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the stages with an empty map (lifecycle transition)."""
        result = super().on_activate(state)
        try:
            self._activate()
        except Exception:
            self.get_logger().error(f"cannot activate:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        self._state = "active"
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the stages; the model stays loaded (lifecycle transition)."""
        self._deactivate()
        self._state = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unload the model and close all topics (lifecycle transition)."""
        self._discard()
        self._state = "unconfigured"
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and unload everything for good (lifecycle transition)."""
        self._discard()
        self._state = "finalized"
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after a transition failed (lifecycle transition)."""
        self._discard()
        self._state = f"{FAILED}a transition failed; see the log"
        return SUCCESS

    def _activate(self) -> None:
        configured = self._configured
        assert configured is not None  # the state machine activates a configured node only
        inputs, pipeline = configured.inputs, configured.pipeline
        outputs, comparison = configured.outputs, configured.comparison
        parameters, log = self._ros_parameters, self.get_logger()
        statistics = Statistics(list(inputs.configs))
        inference = InferenceStage(pipeline, parameters, statistics, outputs, comparison, log)
        finder, describe = configured.finder, inference.described
        objects = ObjectStage(finder, describe, parameters, statistics, outputs.objects, log)
        intake = IntakeStage(inputs, pipeline, parameters, statistics, inference, log)
        self._activation.node = ActiveNode(
            pipeline=pipeline,
            parameters=parameters,
            transforms=configured.transforms,
            comparison=comparison,
            clicks=configured.clicks,
            inputs=inputs,
            outputs=outputs,
            statistics=statistics,
            word_search=configured.word_search,
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
        """Stop the stages and destroy everything that configuring created."""
        self._deactivate()
        self._ros_parameters.thaw()
        if self._configured is not None:
            self._configured.close()
            self._configured = None
        release_unused_memory()

    def close(self) -> None:
        """Stop the stages and destroy the node."""
        self._discard()
        self._jump_handle.unregister()
        self.destroy_node()
        # rclpy leaves the state machine to the garbage collector. It holds the DDS participant:
        # destroyed while another participant is in use, it can block both forever.
        self._state_machine = None

    # While it runs -----------------------------------------------------------------------------

    def _on_clock_jump(self, jump: TimeJump) -> None:
        if self._configured is None:
            return
        self._configured.transforms.late.clock_went_back(-jump.delta.nanoseconds)
        if self._activation.node is not None:
            self._activation.node.pipeline.expire()  # at once: the intake may be busy for a while
            self._activation.node.intake.on_time_jump()
        else:  # transforms are received while inactive, too
            self._configured.transforms.clear()

    def _on_timer(self) -> None:
        settings, activity = self._ros_parameters.settings, None
        if self._configured is not None:
            self._configured.inputs.look()
        active = self._activation.node
        if active is not None:
            self._device_lost = active.statistics.device_lost
            active.outputs.publish_status()
            inputs = active.inputs
            activity = Activity.now(
                active.pipeline, active.statistics, settings, inputs.configs, inputs.topics
            )
        lost = f"{DEVICE_LOST} ({self._device_lost})" if self._device_lost else ""
        if lost:
            self._state = f"{FAILED}{lost}"
        hardware_id = settings.diagnostics.hardware_id
        self._diagnostics_output.publish(self._state, hardware_id, activity)
        if lost:
            self._end_when_heard(lost)

    def _end_when_heard(self, why: str) -> None:
        """End the process, once who listens to ``/diagnostics`` had the time to know why."""
        self._said_lost += 1
        at_least, at_most = LAST_MESSAGES
        heard = self._said_lost >= at_least and self._diagnostics_output.is_heard()
        if heard or self._said_lost >= at_most:
            raise FatalError(why)


def _why_lost(device: str) -> str:
    """Why the device of this parameter is lost; empty where it is not, or does not exist."""
    try:
        return why_lost(device_named(device))
    except SettingsError:
        return ""


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is interrupted.

    Args:
        args: Command line with ROS arguments; None takes that of this process.

    Returns:
        The exit status: 0, or 2 where the command line or a parameter file cannot be used. Where
        the GPU is lost the process ends with 1, and whoever started it may start it again. Where
        an inference or a service call still computes after :data:`JOIN_TIMEOUT` seconds, it ends
        with 0 here.
    """
    use_transport_profile()
    arguments = list(sys.argv if args is None else args)
    try:
        sections = command_line_sections(arguments)
        rclpy.init(args=arguments)
    except (SettingsError, OSError, RuntimeError) as error:
        get_logger("concerto").fatal(refused(error))
        return UNUSABLE
    node, fatal, busy = None, False, list[str]()
    try:
        node = PerceptionNode()
        if not accepts(node, sections):
            return UNUSABLE
        if node.autostart and node.trigger_configure() == SUCCESS:
            node.trigger_activate()
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except InvalidParameterTypeException as error:
        get_logger("concerto").fatal(wrong_switch(sections) or refused(error))
        return UNUSABLE
    except FatalError as error:
        fatal = True
        get_logger("concerto").fatal(str(error))
        end_process(FAILED_STATUS, within=JOIN_TIMEOUT + 1.0)  # closing may wait for the GPU
    except RuntimeError:
        if rclpy.ok():
            raise
        # Interrupted while starting: rclpy raises this when its context was shut down.
    finally:
        deadline = time.monotonic() + JOIN_TIMEOUT
        with uninterrupted():
            if node is not None:
                node.close()
            busy = still_at_work(deadline)
            if busy:
                get_logger("concerto").warning(f"ends before its work does: {', '.join(busy)}")
            rclpy.try_shutdown()
            if fatal:
                end_process(FAILED_STATUS)
    if busy:
        end_process(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
