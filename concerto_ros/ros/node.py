# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: wires inputs, the two stages and outputs together."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Collection, Sequence

import rclpy
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from concerto_ros.msg import PerceptionStatus
from concerto_ros.objects.finding.finder import Findings, ObjectFinder
from concerto_ros.objects.words.word_search import WordSearch
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.subscriptions import Source, open_sources
from concerto_ros.ros.inputs.transforms import Transforms, listen
from concerto_ros.ros.middleware.fastdds_profile import use_transport_profile
from concerto_ros.ros.middleware.qos import CLOUD_QOS, LATCHED_QOS, overridable
from concerto_ros.ros.middleware.transitions import all_or_nothing, answer_every_transition
from concerto_ros.ros.monitoring.diagnostics import FAILED, Activity
from concerto_ros.ros.monitoring.diagnostics_output import DiagnosticsOutput
from concerto_ros.ros.monitoring.memory_use import MemoryUse, release_unused_memory
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.monitoring.status import Model, status_message
from concerto_ros.ros.outputs.classes import ClassOutputs
from concerto_ros.ros.outputs.clouds import CloudOutputs
from concerto_ros.ros.outputs.messages import header
from concerto_ros.ros.outputs.objects import ObjectOutputs
from concerto_ros.ros.parameters import AUTOSTART, Parameters
from concerto_ros.ros.services.base import Running
from concerto_ros.ros.services.clicks import Clicks
from concerto_ros.ros.services.map_services import Services
from concerto_ros.ros.services.teach_services import TeachServices
from concerto_ros.ros.stages.inference_stage import Inference, Labelled
from concerto_ros.ros.stages.intake_stage import Intake
from concerto_ros.ros.stages.object_stage import ObjectStage, make_finder
from concerto_ros.stopwatch import Stopwatch

#: Seconds between two messages on ``/diagnostics``, and on ``~/status`` while nothing is inferred.
STATUS_PERIOD = 1.0

#: Seconds within which the worker threads end.
JOIN_TIMEOUT = 5.0

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PerceptionNode(LifecycleNode):
    """Subscribes to clouds and RGB-D cameras, publishes labels and feature colours."""

    def __init__(self, **options):
        super().__init__("concerto", **options)
        answer_every_transition(self)
        self._configured = False
        self._ros_parameters = Parameters(
            self, lambda: self._configured, lambda: self._pipeline.labels
        )
        self._pipeline: SemanticPipeline | None = None
        self._transforms: Transforms | None = None
        self._sources: Sequence[Source] = ()
        self._statistics: Statistics | None = None
        self._intake: Intake | None = None
        self._inference: Inference | None = None
        self._finder: ObjectFinder | None = None
        self._word_search: WordSearch | None = None
        self._objects: ObjectStage | None = None
        self._object_outputs: ObjectOutputs | None = None
        self._clicks: Clicks | None = None
        self._model: Model | None = None
        self._state = "unconfigured"
        self._cloud_outputs: CloudOutputs | None = None
        self._class_outputs: ClassOutputs | None = None
        self._status_output = None
        self._diagnostics_output = DiagnosticsOutput(self)
        # On a steady clock: the node reports also while /clock stands still.
        self._status_timer = self.create_timer(
            STATUS_PERIOD, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._perception_services = Services(self, self._running)
        self._teach_services = TeachServices(
            self, self._running, lambda: self._clicks, self._publish_classes
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
        self._configured = True
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
        self._stop_workers()
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
        named = self._ros_parameters.read()
        settings = self._ros_parameters.settings
        if not named["clouds"] and not named["cameras"]:
            self.get_logger().warning("no input: set clouds or cameras")
        self._pipeline = SemanticPipeline.from_settings(settings, download=False)
        self._pipeline.warm_up()
        self._model = Model.of(self._pipeline)
        self.get_logger().info(
            f"model {self._model.name} on {self._model.device}, {self._model.precision},"
            f" backend {self._model.backend}"
        )
        labels = self._pipeline.labels
        self._finder, object_model, self._word_search = make_finder(
            self._pipeline, settings.objects
        )
        self._transforms = listen(self)
        self._sources = open_sources(self, named["clouds"], named["cameras"], settings)
        self._cloud_outputs = CloudOutputs(
            self,
            CLOUD_QOS,
            labels,
            lambda: self._ros_parameters.filters,
            self._transforms,
        )
        self._clicks = Clicks(self, self._running)
        self._class_outputs = ClassOutputs(self, LATCHED_QOS)
        self._status_output = self.create_lifecycle_publisher(
            PerceptionStatus, "~/status", **overridable(10)
        )
        self._object_outputs = ObjectOutputs(self, CLOUD_QOS, object_model)

    def _activate(self) -> None:
        self._statistics = Statistics([source.name for source in self._sources])
        self._objects = ObjectStage(
            self._finder,
            lambda: self._ros_parameters.settings.objects,
            self._statistics,
            self._publish_objects,
            self.get_logger(),
        )
        self._inference = Inference(
            self._pipeline,
            lambda: self._ros_parameters.settings,
            self._statistics,
            self._wanted_outputs,
            self._due,
            self._clicks.like,
            lambda: None if self._intake is None else self._intake.newest,
            self._publish,
            self.get_logger(),
        )
        self._intake = Intake(
            self._sources,
            self._pipeline,
            self._transforms,
            lambda: self._ros_parameters.settings,
            self._statistics,
            self._inference.notify,
            self.get_logger(),
        )
        self._publish_classes()
        self._objects.start()
        self._inference.start()
        self._intake.start()

    def _stop_workers(self) -> None:
        stages = (self._intake, self._inference, self._objects)
        workers = [worker for worker in stages if worker is not None]
        deadline = time.monotonic() + JOIN_TIMEOUT
        for worker in workers:
            worker.stop()
        for worker in workers:
            if not worker.join(deadline - time.monotonic()):
                self.get_logger().error(
                    f"{type(worker).__name__} still computes after {JOIN_TIMEOUT:g} s;"
                    " left to end by itself"
                )
        self._intake = self._inference = self._objects = None

    def _discard(self) -> None:
        """Give back everything that configuring made."""
        self._stop_workers()
        self._configured = False
        self._statistics = self._model = None  # nothing to report, before nowhere to
        for source in self._sources:
            source.unsubscribe()
        for listener in (self._transforms, self._clicks):
            if listener is not None:
                listener.close()
        if self._status_output is not None:
            self.destroy_lifecycle_publisher(self._status_output)
        for outputs in (self._class_outputs, self._cloud_outputs, self._object_outputs):
            if outputs is not None:
                outputs.destroy()
        self._class_outputs = self._cloud_outputs = self._object_outputs = None
        self._status_output = None
        self._finder = self._word_search = self._clicks = None
        self._sources, self._transforms, self._pipeline = (), None, None
        release_unused_memory()

    def _on_clock_jump(self, _jump) -> None:
        if self._intake is not None:
            self._intake.clock_went_back()
        elif self._transforms is not None:  # heard while inactive, too
            self._transforms.clear()

    def close(self) -> None:
        """Stop the workers and give everything back."""
        self._discard()
        self._jump_handle.unregister()
        self.destroy_node()
        # rclpy leaves the state machine to the garbage collector. It holds the DDS participant,
        # whose end in the middle of the life of another one can block both for ever.
        self._state_machine = None

    def _running(self) -> Running | None:
        if self._intake is None or self._inference is None:
            return None
        return Running(
            self._pipeline,
            self._intake,
            self._inference,
            self._objects,
            self._word_search,
            self._transforms,
            self._ros_parameters.settings,
            self._ros_parameters.filters,
        )

    # Outputs -----------------------------------------------------------------------------------

    def _wanted_outputs(self) -> list[str]:
        if not self.context.ok():  # interrupted: the publishers are gone before the threads
            return []
        wanted = self._cloud_outputs.wanted(likeness=self._clicks.following)
        if self._ros_parameters.settings.fusion.always:
            wanted.append("fusion")
        if self._ros_parameters.settings.objects.enabled or self._object_outputs.listened():
            wanted.append("objects")
        return wanted

    def _due(self, wanted: Collection[str]) -> bool:
        """Objects alone are no reason to label a map before their time."""
        return set(wanted) != {"objects"} or self._objects.due

    def _publish(self, labelled: Labelled, wanted: Collection[str], watch: Stopwatch) -> None:
        prediction = labelled.prediction
        with watch("publish"):
            if "objects" in wanted:
                self._objects.offer(labelled.snapshot, prediction)
            self._cloud_outputs.publish(
                labelled, self._ros_parameters.settings, wanted, self._withhold
            )
        latency_ms = (self.get_clock().now().nanoseconds - prediction.stamp) / 1e6
        self._model = Model.of(self._pipeline)  # memory may have moved it elsewhere
        deadline = self._ros_parameters.settings.diagnostics.deadline
        self._statistics.inferred(len(prediction.points), latency_ms, watch.milliseconds, deadline)
        self._publish_status()

    def _withhold(self, topic: str, why: str) -> None:
        if self._statistics.withheld(topic, why):
            self.get_logger().warning(f"~/{topic} is not sent: {why}")

    def _publish_objects(self, findings: Findings) -> None:
        self._object_outputs.publish(findings, self._ros_parameters.settings.fixed_frame)

    def _on_timer(self) -> None:
        self._publish_status()
        self._publish_diagnostics()

    def _publish_classes(self) -> None:
        labels = self._pipeline.labels
        head = header(
            self._ros_parameters.settings.fixed_frame, self.get_clock().now().nanoseconds
        )
        self._class_outputs.publish(labels, self._model.name, head)

    def _publish_status(self) -> None:
        output, statistics, model = self._status_output, self._statistics, self._model
        if None not in (output, statistics, model):
            report = statistics.report()
            head = header(self._ros_parameters.settings.fixed_frame, report.stamp)
            output.publish(status_message(report, model, head))

    def _publish_diagnostics(self) -> None:
        settings = self._ros_parameters.settings
        pipeline, statistics, model = self._pipeline, self._statistics, self._model
        activity = None
        if self._intake is not None and None not in (pipeline, statistics, model):
            activity = Activity(
                statistics.report(),
                model,
                settings,
                {source.name: source.about for source in self._sources},
                MemoryUse.now(pipeline.device),
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


def spin(node: PerceptionNode) -> None:
    """Serve callbacks until the context is shut down, whatever one of them raises."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin()
        except (KeyboardInterrupt, ExternalShutdownException):
            raise
        except Exception:
            node.get_logger().error(f"a callback failed:\n{traceback.format_exc()}")


if __name__ == "__main__":
    sys.exit(main())
