# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the perception node and, when asked, RViz.

``ros2 launch concerto_ros perception.launch.py --show-args`` lists the arguments. An argument that
is left empty changes nothing: what ``params_file`` says about it holds.
"""

from __future__ import annotations

import re
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

# <prefix>/share/concerto_ros, or the source tree when launched by path from there.
SHARE = Path(__file__).resolve().parents[1]

NODE_NAME = "concerto"

#: Arguments that are parameters of the node, under the same name.
PARAMETERS = (
    "preset",
    "checkpoint",
    "head",
    "label_set",
    "device",
    "fixed_frame",
    "robot_frame",
)

#: Either variable names the profile that Fast DDS reads, the second in its newer releases alone.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")

ARGUMENTS = (
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "perception.yaml"),
        description="Parameters of the node (YAML); the arguments below override it.",
    ),
    DeclareLaunchArgument(
        "cloud_topic",
        default_value="",
        description="A PointCloud2 topic to use as the only cloud, e.g. /velodyne_points.",
    ),
    DeclareLaunchArgument(
        "camera",
        default_value="",
        description="Name of an RGB-D camera to use as the only one. Its topics are "
        "/<camera>/color/image_raw, /<camera>/aligned_depth_to_color/image_raw and "
        "/<camera>/color/camera_info, as the RealSense driver names them "
        "(its default is camera:=camera/camera).",
    ),
    DeclareLaunchArgument(
        "preset",
        default_value="",
        choices=["", "indoor", "outdoor"],
        description="Voxel size, ranges, and the input of models that do not say theirs.",
    ),
    DeclareLaunchArgument(
        "checkpoint",
        default_value="",
        description="Encoder: a file, an official name such as concerto_base, or demo.",
    ),
    DeclareLaunchArgument(
        "head",
        default_value="",
        description="Linear head: a file or an official name.",
    ),
    DeclareLaunchArgument(
        "label_set",
        default_value="",
        description="Names and colours of the head's classes: a shipped set, e.g. scannet20, "
        "or a file.",
    ),
    DeclareLaunchArgument(
        "voxel_size",
        default_value="",
        description="Edge of a voxel in metres, e.g. the one that a head was trained with.",
    ),
    DeclareLaunchArgument(
        "device",
        default_value="",
        description="auto, cpu, cuda or cuda:N.",
    ),
    DeclareLaunchArgument(
        "fixed_frame",
        default_value="",
        description="Frame the map is kept in and the clouds are published in, e.g. odom.",
    ),
    DeclareLaunchArgument(
        "robot_frame",
        default_value="",
        description="Frame of the robot, the centre of the map, e.g. base_link.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value="",
        description="Namespace of the node; robot1 puts the labels on /robot1/concerto/labels.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="",
        choices=["", "true", "false"],
        description="true: the node configures and activates itself. "
        "false: a lifecycle manager, or `ros2 lifecycle set`, does.",
    ),
    DeclareLaunchArgument(
        "rviz",
        default_value="false",
        choices=["true", "false"],
        description="Also start RViz with labels, PCA colours, input and TF.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        choices=["", "true", "false"],
        description="Take the time from /clock: for simulators, and for bags played with --clock."
        " Empty: as the parameters say, and RViz by the system's clock.",
    ),
    DeclareLaunchArgument(
        "enclave",
        default_value="",
        description="Enclave of SROS 2, e.g. /concerto; see docs/security.md.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Level of the node's log.",
    ),
)


def camera_parameters(camera: str) -> dict[str, object]:
    """The node's parameters for one camera, whose name may be a path such as ``front/camera``."""
    path = camera.strip("/")
    name = re.sub(r"\W", "_", path)
    return {
        "cameras": [name],
        f"cameras.{name}.color_topic": f"/{path}/color/image_raw",
        f"cameras.{name}.depth_topic": f"/{path}/aligned_depth_to_color/image_raw",
        f"cameras.{name}.info_topic": f"/{path}/color/camera_info",
    }


def start(context: LaunchContext) -> list[Action]:
    """The processes that the arguments ask for."""
    given = {
        argument.name: LaunchConfiguration(argument.name).perform(context)
        for argument in ARGUMENTS
    }
    if not Path(given["params_file"]).is_file():
        # launch itself would warn and start the node without it.
        raise RuntimeError(
            f"params_file: got {given['params_file']!r}, expected a file that exists"
        )
    namespace = given["namespace"].strip("/")

    # As text whatever it looks like: launch would read a frame named 1 as a number.
    overrides: dict[str, object] = {
        name: ParameterValue(given[name], value_type=str) for name in PARAMETERS if given[name]
    }
    if given["voxel_size"]:
        overrides["voxel_size"] = float(given["voxel_size"])
    if given["cloud_topic"]:
        overrides |= {"clouds": ["cloud"], "clouds.cloud.topic": given["cloud_topic"]}
    if given["camera"]:
        overrides |= camera_parameters(given["camera"])
    if given["autostart"]:
        overrides["autostart"] = given["autostart"] == "true"
    clock = {"use_sim_time": given["use_sim_time"] == "true"} if given["use_sim_time"] else {}

    # Fast DDS loses large clouds by default; a profile of the user's own has precedence.
    environment = {}
    if not any(context.environment.get(variable) for variable in PROFILE_VARIABLES):
        environment[PROFILE_VARIABLES[0]] = str(SHARE / "config" / "fastdds.xml")

    logger = ".".join([*filter(None, namespace.split("/")), NODE_NAME])
    enclave = ["--enclave", given["enclave"]] if given["enclave"] else []
    actions = [
        Node(
            package="concerto_ros",
            executable="perception_node",
            name=NODE_NAME,
            namespace=namespace,
            parameters=[given["params_file"], overrides | clock],
            ros_arguments=["--log-level", f"{logger}:={given['log_level']}", *enclave],
            additional_env=environment,
            output="screen",
            emulate_tty=True,
        )
    ]
    if given["rviz"] == "true":
        # The topics of the view are those of a node without namespace and of a cloud on /points.
        outputs = ("labels", "pca", "legend") if namespace else ()
        remappings = [
            (f"/{NODE_NAME}/{name}", f"/{namespace}/{NODE_NAME}/{name}") for name in outputs
        ]
        if given["cloud_topic"]:
            remappings.append(("/points", given["cloud_topic"]))
        frame = ["--fixed-frame", given["fixed_frame"]] if given["fixed_frame"] else []
        # First: where RViz is not installed, launch gives up before it has started the node,
        # which it would leave behind.
        actions.insert(
            0,
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", str(SHARE / "rviz" / "perception.rviz"), *frame],
                parameters=[clock],
                remappings=remappings,
                additional_env=environment,
                output="log",
            ),
        )
    return actions


def generate_launch_description() -> LaunchDescription:
    """Entry point of ``ros2 launch``."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
