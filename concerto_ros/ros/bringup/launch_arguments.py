# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the arguments of ``perception.launch.py`` give the node."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.parameter_file import Section, parse, read_sections

#: Arguments that set the text parameter of the node with the same name.
TEXTS = ("preset", "checkpoint", "head", "label_set", "device", "fixed_frame", "robot_frame")

FLAGS = ("autostart", "use_sim_time")

#: A name in ROS's graph without its first slash, and what it is made of.
GRAPH_NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
OF_GRAPH_NAMES = "letters, digits, _ and /, no part begins with a digit"

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


def file_sections(arguments: Mapping[str, str], inherited: Iterable[Any] = ()) -> list[Section]:
    """Read what holds for the node unless an argument overrides it.

    Args:
        arguments: The values of the arguments by name.
        inherited: What a surrounding launch file sets for all nodes: names with values, and paths
            of parameter files.

    Raises:
        SettingsError: A file is not there, or not a ROS parameter file.
        OSError: A file cannot be read.
    """
    # launch itself would only warn of a file that does not exist, and start the node without it.
    path = existing_file(arguments, "params_file")
    sections = []
    for item in inherited:
        if isinstance(item, tuple):
            name, value = item
            where = "in SetParameter of the surrounding launch file"
            sections.append(Section("/**", {name: parse(str(value))}, where))
        else:
            sections += read_sections(item)
    return [*sections, *read_sections(path)]


def existing_file(arguments: Mapping[str, str], name: str) -> Path:
    """Return the path that an argument names.

    Raises:
        SettingsError: There is no such file.
    """
    path = Path(arguments[name]).expanduser()
    if not path.is_file():
        got = str(path) if arguments[name] else ""
        raise SettingsError(f"{name}: got {got!r}, expected a file that exists")
    return path


def argument_sections(arguments: Mapping[str, str], node: str) -> list[Section]:
    """Return the parameters that arguments set.

    Args:
        arguments: The values of the arguments by name; those that are empty set nothing.
        node: Full name of the node.

    Raises:
        SettingsError: An argument cannot be used; the text names it.
    """
    return [
        Section(node, values, f"in the launch argument {name}:={arguments[name]}")
        for name, values in _overrides(arguments)
    ]


def flag(arguments: Mapping[str, str], name: str) -> bool:
    """Return whether an argument is true.

    Raises:
        SettingsError: It is neither true nor false.
    """
    value = arguments[name].lower()
    if value not in ("true", "false"):
        raise SettingsError(f"{name}: got {arguments[name]!r}, expected true or false")
    return value == "true"


def log_level(arguments: Mapping[str, str]) -> str:
    """Return the least severity of the node's messages.

    Raises:
        SettingsError: There is no such severity.
    """
    level = arguments["log_level"].lower()
    if level not in LOG_LEVELS:
        raise SettingsError(
            f"log_level: got {arguments['log_level']!r}, expected one of {', '.join(LOG_LEVELS)}"
        )
    return level


def check_namespace(argument: str, namespace: str) -> None:
    """Check the namespace of the node.

    Args:
        argument: As it was given.
        namespace: The full one, with that of the surrounding launch file.

    Raises:
        SettingsError: ROS does not accept it.
    """
    if namespace != "/" and not GRAPH_NAME.fullmatch(namespace.removeprefix("/")):
        raise SettingsError(
            f"namespace: got {argument!r}, expected a name such as robot1 ({OF_GRAPH_NAMES})"
        )


def enclave_arguments(arguments: Mapping[str, str]) -> list[str]:
    """Return what gives the node its SROS 2 enclave on its command line.

    Raises:
        SettingsError: ROS does not accept the name.
    """
    enclave = arguments["enclave"]
    if not enclave:
        return []
    if enclave != "/" and not (enclave[0] == "/" and GRAPH_NAME.fullmatch(enclave[1:])):
        raise SettingsError(
            f"enclave: got {enclave!r}, expected a name such as /concerto (a slash first;"
            f" {OF_GRAPH_NAMES})"
        )
    return ["--enclave", enclave]


def misspelt(assignments: Collection[str], names: Collection[str]) -> list[str]:
    """Describe arguments that a launch file does not have, but nearly: launch ignores them.

    Args:
        assignments: ``name:=value`` as on the command line.
        names: Those that it has.
    """
    sentences = []
    for assignment in assignments:
        name = assignment.partition(":=")[0]
        near = get_close_matches(name, names, n=1, cutoff=0.75)
        if name not in names and near:
            sentences.append(
                f"{assignment} has no effect: this launch file has no such argument; did you mean"
                f" {near[0]}?"
            )
    return sentences


def camera_parameters(camera: str) -> dict[str, Any]:
    """Return the node's parameters for one camera.

    Args:
        camera: Its name, or a path such as ``front/camera``.

    Raises:
        SettingsError: No topic can begin with it.
    """
    path = camera.strip("/")
    if not GRAPH_NAME.fullmatch(path):
        raise SettingsError(
            f"camera: got {camera!r}, expected a name such as camera or front/camera"
            f" ({OF_GRAPH_NAMES})"
        )
    name = re.sub(r"\W", "_", path)
    return {
        "camera_names": [name],
        f"cameras.{name}.color_topic": f"/{path}/color/image_raw",
        f"cameras.{name}.depth_topic": f"/{path}/aligned_depth_to_color/image_raw",
        f"cameras.{name}.info_topic": f"/{path}/color/camera_info",
    }


def _overrides(arguments: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in TEXTS:
        if arguments[name]:
            yield name, {name: arguments[name]}  # a text also where it looks like a number
    for name in FLAGS:
        if arguments[name]:
            yield name, {name: flag(arguments, name)}
    if arguments["voxel_size"]:
        yield "voxel_size", {"voxel_size": parse(arguments["voxel_size"])}
    if topic := arguments["cloud_topic"]:
        yield "cloud_topic", {"cloud_names": ["cloud"], "clouds.cloud.topic": topic}
    if arguments["camera"]:
        yield "camera", camera_parameters(arguments["camera"])
