# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo plays, a simulated robot or a bag, and the matching parameters of the node."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from concerto_ros.bags.input_plan import found_inputs
from concerto_ros.bags.reader import open_bag
from concerto_ros.settings.inputs import INPUTS, CameraInput, InputSettings

#: A shorter bag is played slower, to last this many seconds, so that the computer keeps up.
SHORTEST_PLAY = 5.0


@dataclass
class DemoPlan:
    """What is played, and the parameters of the node.

    Attributes:
        command: Arguments of ``concerto-ros`` that play it.
        settings: Parameters of the node.
        inputs: Inputs of the node.
        sim_time: Whether the node takes its time from ``/clock``.
        rate: Multiple of the recorded speed at which a bag is played.
        ground_truth: Whether the player publishes the true labels.
        why: Sentences for the user on what is played and how the inputs were chosen.
    """

    command: list[str]
    settings: dict[str, Any]
    inputs: list[InputSettings] = field(default_factory=list)
    sim_time: bool = False
    rate: float = 1.0
    ground_truth: bool = False
    why: list[str] = field(default_factory=list)

    def parameters(self) -> dict[str, Any]:
        """The parameters of the perception node."""
        values = dict(self.settings)
        for names, config_class in INPUTS.items():
            configs = [config for config in self.inputs if type(config) is config_class]
            for config in configs:
                for key, topic in config.topics.items():
                    values[f"{config.GROUP}.{config.name}.{key}"] = topic
            values[names] = [config.name for config in configs] or [""]
        values["use_sim_time"] = self.sim_time
        return values

    def node_arguments(self) -> list[str]:
        """The ``--ros-args`` of the perception node."""
        return _ros_arguments(**self.parameters())


def _ros_arguments(**parameters: Any) -> list[str]:
    arguments = ["--ros-args"]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={_as_yaml(value)}"]
    return arguments


def _as_yaml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_as_yaml(item) for item in value) + "]"
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def simulated(seconds: float, seed: int) -> DemoPlan:
    """The plan for a simulated robot that drives for some ``seconds``."""
    return DemoPlan(
        # As many images as the node takes: rendering one costs as much as labelling a small cloud.
        command=["simulate", *_ros_arguments(duration=float(seconds), seed=seed, rate=5.0)],
        settings={"fixed_frame": "odom", "robot_frame": "base_link"},
        inputs=[
            CameraInput(
                "camera",
                color_topic="/camera/color/image_raw",
                depth_topic="/camera/aligned_depth_to_color/image_raw",
                info_topic="/camera/color/camera_info",
            )
        ],
        ground_truth=True,
        why=[f"simulated robot, room {seed}, {seconds:g} s"],
    )


def recorded(path: Path) -> DemoPlan:
    """The plan for a bag; inputs are detected by type, the fixed frame from the bag's TF."""
    with open_bag(path) as bag:
        detected = found_inputs(bag)
        duration = (bag.end_ns - bag.start_ns) / 1e9
    rate = min(1.0, max(duration, 0.01) / SHORTEST_PLAY)
    why = list(detected.why)
    if rate < 1:
        why.append(f"the bag lasts {duration:.2f} s: played at {rate:.3g} times its speed")
    topics = dict.fromkeys(topic for config in detected.inputs for topic in config.topics.values())
    return DemoPlan(
        # Two subscribers: the node and the viewer.
        command=["play", str(path), "--clock", "--rate", f"{rate:.6g}", "--subscribers", "2"]
        + ["--wait", *topics],
        settings=detected.settings,
        inputs=list(detected.inputs),
        sim_time=True,
        rate=rate,
        why=why,
    )
