# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Launches the perception node and optionally RViz.

``ros2 launch concerto_ros perception.launch.py --show-args`` lists the arguments. An argument that
is left empty keeps the value of ``params_file``.
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

#: Arguments that set the parameter of the node with the same name.
PARAMETERS = (
    "preset",
    "checkpoint",
    "head",
    "label_set",
    "device",
    "fixed_frame",
    "robot_frame",
)

#: Environment variables with the path of Fast DDS's profile; older releases read the first only.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")

ARGUMENTS = (
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "perception.yaml"),
        description="ROS parameter file of the node (YAML); the other arguments override it.",
    ),
    DeclareLaunchArgument(
        "cloud_topic",
        default_value="",
        description="PointCloud2 topic to use instead of the clouds in params_file, "
        "e.g. /velodyne_points.",
    ),
    DeclareLaunchArgument(
        "camera",
        default_value="",
        description="Name of an RGB-D camera to use instead of the cameras in params_file. "
        "Its topics are /<camera>/color/image_raw, /<camera>/aligned_depth_to_color/image_raw and "
        "/<camera>/color/camera_info, as the RealSense driver names them "
        "(its default is camera:=camera/camera).",
    ),
    DeclareLaunchArgument(
        "preset",
        default_value="",
        choices=["", "indoor", "outdoor"],
        description="Parameter preset: voxel size, ranges, and the input convention of encoders "
        "whose file does not store theirs.",
    ),
    DeclareLaunchArgument(
        "checkpoint",
        default_value="",
        description="Encoder: a file, an official name such as concerto_base, or demo for the "
        "bundled model.",
    ),
    DeclareLaunchArgument(
        "head",
        default_value="",
        description="Linear head for the encoder: a file or an official name.",
    ),
    DeclareLaunchArgument(
        "label_set",
        default_value="",
        description="Names and colours of the head's classes: a bundled label set such as "
        "scannet20, or a file.",
    ),
    DeclareLaunchArgument(
        "voxel_size",
        default_value="",
        description="Edge length of a voxel in metres, e.g. the one of the head's training.",
    ),
    DeclareLaunchArgument(
        "device",
        default_value="",
        description="Device of the encoder: auto, cpu, cuda or cuda:N.",
    ),
    DeclareLaunchArgument(
        "fixed_frame",
        default_value="",
        description="TF frame of the map and of the published clouds, e.g. odom.",
    ),
    DeclareLaunchArgument(
        "robot_frame",
        default_value="",
        description="TF frame of the robot, around which the map is kept, e.g. base_link.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value="",
        description="Namespace of the node; with robot1, labels are on /robot1/concerto/labels.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="",
        choices=["", "true", "false"],
        description="true: the node configures and activates itself at start. "
        "false: wait for a lifecycle manager or `ros2 lifecycle set`.",
    ),
    DeclareLaunchArgument(
        "rviz",
        default_value="false",
        choices=["true", "false"],
        description="Also start RViz, showing labels, PCA colours, input and TF.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        choices=["", "true", "false"],
        description="Take the time from /clock, for simulators and for bags played with --clock. "
        "Empty: as in params_file, and the system time for RViz.",
    ),
    DeclareLaunchArgument(
        "enclave",
        default_value="",
        description="SROS 2 enclave, e.g. /concerto; see docs/security.md.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Least severity of the node's log messages.",
    ),
)


def camera_parameters(camera: str) -> dict[str, object]:
    """The node's parameters for one camera; its name may be a path such as ``front/camera``."""
    path = camera.strip("/")
    name = re.sub(r"\W", "_", path)
    return {
        "camera_names": [name],
        f"cameras.{name}.color_topic": f"/{path}/color/image_raw",
        f"cameras.{name}.depth_topic": f"/{path}/aligned_depth_to_color/image_raw",
        f"cameras.{name}.info_topic": f"/{path}/color/camera_info",
    }


def start(context: LaunchContext) -> list[Action]:
    """The actions for the values of the launch arguments."""
    values = {
        argument.name: LaunchConfiguration(argument.name).perform(context)
        for argument in ARGUMENTS
    }
    if not Path(values["params_file"]).is_file():
        # launch itself would only warn, and start the node without it.
        raise RuntimeError(
            f"params_file: got {values['params_file']!r}, expected a file that exists"
        )
    namespace = values["namespace"].strip("/")

    # Always as a string: launch would turn a frame named 1 into a number.
    overrides: dict[str, object] = {
        name: ParameterValue(values[name], value_type=str) for name in PARAMETERS if values[name]
    }
    if values["voxel_size"]:
        overrides["voxel_size"] = float(values["voxel_size"])
    if values["cloud_topic"]:
        overrides |= {"cloud_names": ["cloud"], "clouds.cloud.topic": values["cloud_topic"]}
    if values["camera"]:
        overrides |= camera_parameters(values["camera"])
    if values["autostart"]:
        overrides["autostart"] = values["autostart"] == "true"
    clock = {"use_sim_time": values["use_sim_time"] == "true"} if values["use_sim_time"] else {}

    # By default Fast DDS loses large clouds; a profile that the user chose has precedence.
    environment = {}
    if not any(context.environment.get(variable) for variable in PROFILE_VARIABLES):
        environment[PROFILE_VARIABLES[0]] = str(SHARE / "config" / "fastdds.xml")

    logger = ".".join([*filter(None, namespace.split("/")), NODE_NAME])
    enclave = ["--enclave", values["enclave"]] if values["enclave"] else []
    actions = [
        Node(
            package="concerto_ros",
            executable="perception_node",
            name=NODE_NAME,
            namespace=namespace,
            parameters=[values["params_file"], overrides | clock],
            ros_arguments=["--log-level", f"{logger}:={values['log_level']}", *enclave],
            additional_env=environment,
            output="screen",
            emulate_tty=True,
        )
    ]
    if values["rviz"] == "true":
        # The RViz config has the topics of a node without namespace, and a cloud on /points.
        outputs = ("labels", "pca", "legend") if namespace else ()
        remappings = [
            (f"/{NODE_NAME}/{name}", f"/{namespace}/{NODE_NAME}/{name}") for name in outputs
        ]
        if values["cloud_topic"]:
            remappings.append(("/points", values["cloud_topic"]))
        frame = ["--fixed-frame", values["fixed_frame"]] if values["fixed_frame"] else []
        # First: if RViz is not installed, launch aborts before it has started the node,
        # and does not leave it running.
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
