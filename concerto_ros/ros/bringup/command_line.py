# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters on the command line of the node: ``--params-file`` and ``-p``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rclpy.node import Node

from concerto_ros.files.error_text import one_line
from concerto_ros.settings.checked_parameters import checked_parameters, ineffective_parameters
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.parameter_file import Section, parse, read_sections


def command_line_sections(arguments: Sequence[str]) -> list[Section]:
    """Read the parameters that a command line gives to nodes.

    Args:
        arguments: The command line with its ``--ros-args``.

    Raises:
        SettingsError: A file is not a ROS parameter file, or a ``-p`` is not ``name:=value``.
        OSError: A file cannot be read.
    """
    sections = []
    for option, value in _ros_options(arguments):
        if option == "--params-file":
            sections += read_sections(value)
        elif option in ("-p", "--param"):
            sections.append(_parameter(option, value))
    return sections


def _parameter(option: str, rule: str) -> Section:
    """What ``-p name:=value`` or ``-p node:name:=value`` gives."""
    target, assigned, text = rule.partition(":=")
    node, _, name = target.rpartition(":")
    if not assigned or not name:
        raise SettingsError(f"{option}: got {rule!r}, expected {option} name:=value")
    if not text.strip():
        raise SettingsError(
            f"{option}: got {rule!r} without a value, expected {option} name:=value; an empty text"
            f" is {name}:=''"
        )
    try:
        value = parse(text)
    except SettingsError as error:
        raise SettingsError(f"{option} {rule}: got no YAML value ({error})") from None
    return Section(f"/{node.lstrip('/')}" if node else "/**", {name: value}, f"in {option} {rule}")


def _ros_options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each argument between ``--ros-args`` and ``--``, with the one after it."""
    of_ros = False
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if option == "--ros-args":
            of_ros = True
        elif option == "--":
            of_ros = False
        elif of_ros:
            yield option, value


def refused(error: Exception) -> str:
    """Return why a command line cannot be used, in one line."""
    if isinstance(error, OSError) and error.filename:
        return (
            f"--params-file: got {str(error.filename)!r} ({error.strerror}), expected a ROS"
            " parameter file"
        )
    if type(error).__name__ == "UnknownROSArgsError":  # rclpy does not export it
        return f"got arguments that ROS does not know: {error}"
    # rcl appends the places in its own source, which help nobody here.
    return one_line(error).partition(", at /")[0]


def accepts(node: Node, sections: Sequence[Section]) -> bool:
    """Log what is wrong with the parameters of ``node``.

    Args:
        node: The node; its name decides which of the parameters are its own.
        sections: Those of its command line.

    Returns:
        Whether every value is accepted.
    """
    name, log = node.get_fully_qualified_name(), node.get_logger()
    for sentence in ineffective_parameters(name, sections):
        log.warning(sentence)
    try:
        checked_parameters(name, sections)
    except SettingsError as error:
        log.fatal(str(error))
        return False
    return True
