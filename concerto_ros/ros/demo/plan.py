# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo plays: a simulated robot or a recording, and how the node is to listen to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from concerto_ros.bags.input_plan import found_inputs
from concerto_ros.bags.reader import open_bag
from concerto_ros.settings.inputs import INPUTS, CameraInput, InputSettings

#: A bag shorter than this is played slower, so that a person's machine keeps up, seconds.
SHORTEST_PLAY = 5.0


@dataclass
class DemoPlan:
    """What is played, and how the node is to listen; ``truth``: the player knows the labels."""

    command: list[str]
    settings: dict
    inputs: list[InputSettings] = field(default_factory=list)
    sim_time: bool = False
    rate: float = 1.0
    truth: bool = False
    why: list[str] = field(default_factory=list)

    def node_arguments(self) -> list[str]:
        """The ``--ros-args`` of the perception node."""
        values = dict(self.settings)
        for group, kind in INPUTS.items():
            own = [about for about in self.inputs if type(about) is kind]
            for about in own:
                for key, topic in about.topics.items():
                    values[f"{group}.{about.name}.{key}"] = topic
            values[group] = [about.name for about in own] or [""]
        values["use_sim_time"] = self.sim_time
        return _ros_arguments(**values)


def _ros_arguments(**parameters) -> list[str]:
    arguments = ["--ros-args"]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={_as_yaml(value)}"]
    return arguments


def _as_yaml(value) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_as_yaml(entry) for entry in value) + "]"
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def simulated(seconds: float, seed: int) -> DemoPlan:
    """A robot that drives through a furnished room."""
    return DemoPlan(
        # As many pictures as the node takes: each costs as much as labelling a small cloud.
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
        truth=True,
        why=[f"simulated robot, room {seed}, {seconds:g} s"],
    )


def recorded(path: Path) -> DemoPlan:
    """A bag; the inputs are found by their types and the fixed frame from the bag's TF."""
    with open_bag(path) as bag:
        found = found_inputs(bag)
        duration = (bag.end_ns - bag.start_ns) / 1e9
    rate = min(1.0, max(duration, 0.01) / SHORTEST_PLAY)
    why = list(found.why)
    if rate < 1:
        why.append(f"the bag lasts {duration:.2f} s: played at {rate:.3g} times its speed")
    waited = dict.fromkeys(topic for about in found.inputs for topic in about.topics.values())
    return DemoPlan(
        # Two subscribers: the node and the viewer.
        command=["play", str(path), "--clock", "--rate", f"{rate:.6g}", "--subscribers", "2"]
        + ["--wait", *waited],
        settings=found.settings,
        inputs=list(found.inputs),
        sim_time=True,
        rate=rate,
        why=why,
    )
