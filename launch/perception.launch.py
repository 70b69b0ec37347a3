# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Launches the perception node and optionally RViz.

``ros2 launch concerto_ros perception.launch.py --show-args`` lists the arguments. An argument that
is left empty keeps the value of ``params_file``.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import get_logger, launch_config
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from concerto_ros.ros.bringup.launch_arguments import (
    argument_sections,
    check_namespace,
    enclave_arguments,
    existing_file,
    file_sections,
    flag,
    log_level,
    misspelt,
)
from concerto_ros.ros.bringup.rviz_config import NodeName, rviz_config, rviz_remappings
from concerto_ros.settings.checked_parameters import checked_parameters, ineffective_parameters
from concerto_ros.settings.parameter_file import write_parameters

# <prefix>/share/concerto_ros, or the source tree when launched by path from there.
SHARE = Path(__file__).resolve().parents[1]

NODE_NAME = "concerto"

#: Seconds until a node that ended by itself is started again.
RESPAWN_DELAY = 2.0

#: Environment variables with the path of Fast DDS's profile: of Jazzy, and of later releases, in
#: which the first one is deprecated.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")

ARGUMENTS = (
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "perception.yaml"),
        description="ROS parameter file (YAML), for /** or for the node's full name; the other "
        "arguments override it.",
    ),
    DeclareLaunchArgument(
        "cloud_topic",
        default_value="",
        description="PointCloud2 topic to use instead of the clouds in params_file, "
        "e.g. /velodyne_points; a name without a leading slash is relative to the namespace.",
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
        description="Parameter preset, indoor or outdoor: which bundled model demo is, voxel "
        "size, ranges, and the input convention of encoders whose file does not store theirs.",
    ),
    DeclareLaunchArgument(
        "checkpoint",
        default_value="",
        description="Encoder: a file, an official name such as concerto_base, or demo for the "
        "bundled model of the preset.",
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
        description="Edge length of a voxel in metres, e.g. the one that the head was"
        " trained with.",
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
        description="TF frame of the robot, the centre of the map, e.g. base_link.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value="",
        description="Namespace of the node; with robot1, labels are on /robot1/concerto/labels.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="",
        description="true: the node configures and activates itself at start. "
        "false: wait for a lifecycle manager or `ros2 lifecycle set`.",
    ),
    DeclareLaunchArgument(
        "rviz",
        default_value="false",
        description="true: also start RViz, showing the inputs, outputs and filters, and TF.",
    ),
    DeclareLaunchArgument(
        "rviz_config",
        default_value="",
        description="RViz configuration file; empty: one is generated for the inputs,"
        " filters, fixed frame and namespace of this launch.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        description="true: take the time from /clock, for simulators and for bags played with "
        "--clock. Empty: as in params_file.",
    ),
    DeclareLaunchArgument(
        "enclave",
        default_value="",
        description="SROS 2 enclave, e.g. /concerto; see docs/security.md.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        description="Lowest severity that the node logs: debug, info, warn, error or fatal.",
    ),
    DeclareLaunchArgument(
        "respawn",
        default_value="true",
        description="true: restart the node 2 s after its process has ended unexpectedly,"
        " for example after a GPU error that only a new process can clear.",
    ),
)


def start(context: LaunchContext) -> list[Action]:
    """The actions for the values of the launch arguments."""
    values = {
        argument.name: LaunchConfiguration(argument.name).perform(context)
        for argument in ARGUMENTS
    }
    log = get_logger("perception.launch")
    surrounding = context.launch_configurations
    namespace = make_namespace_absolute(
        prefix_namespace(surrounding.get("ros_namespace"), values["namespace"])
    )
    check_namespace(values["namespace"], namespace)
    node = NodeName(namespace, NODE_NAME)

    sections = file_sections(values, surrounding.get("global_params", ()))
    overrides = argument_sections(values, node.full)
    without_effect = ineffective_parameters(node.full, sections, overrides)
    for sentence in (*misspelt(context.argv, values), *without_effect):
        log.warning(sentence)
    given = checked_parameters(node.full, sections, overrides)
    for sentence in given.notices:
        log.warning(sentence)

    # In the folder of this launch's logs, for whoever wants to see what the node really got.
    file = Path(launch_config.log_dir) / node.full.strip("/").replace("/", "_")
    parameters = file.with_suffix(".yaml")
    write_parameters(parameters, node.full, given.values)

    # By default Fast DDS loses large clouds; a profile that the user chose has precedence.
    environment = {}
    if not any(context.environment.get(variable) for variable in PROFILE_VARIABLES):
        environment = dict.fromkeys(PROFILE_VARIABLES, str(SHARE / "config" / "fastdds.xml"))

    logger = ".".join([*filter(None, namespace.split("/")), NODE_NAME])
    actions = [
        Node(
            package="concerto_ros",
            executable="perception_node",
            name=NODE_NAME,
            namespace=namespace,
            parameters=[str(parameters)],
            ros_arguments=[
                "--log-level",
                f"{logger}:={log_level(values)}",
                *enclave_arguments(values),
            ],
            additional_env=environment,
            output="screen",
            emulate_tty=True,
            respawn=flag(values, "respawn"),
            respawn_delay=RESPAWN_DELAY,
        )
    ]
    if flag(values, "rviz"):
        if values["rviz_config"]:
            view = existing_file(values, "rviz_config")
        else:
            layout = yaml.safe_load((SHARE / "rviz" / "perception.rviz").read_text("utf-8"))
            view = file.with_suffix(".rviz")
            view.write_text(yaml.safe_dump(rviz_config(layout, node, given)), "utf-8")
        clock = {"use_sim_time": given.values.get("use_sim_time", False)}
        # First: if RViz is not installed, launch aborts before it has started the node,
        # and does not leave it running.
        actions.insert(
            0,
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=namespace,
                arguments=["-d", str(view)],
                parameters=[clock],
                remappings=rviz_remappings(node, given),
                additional_env=environment,
                output="log",
            ),
        )
    return actions


def generate_launch_description() -> LaunchDescription:
    """Entry point of ``ros2 launch``."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
