# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameter files as ``{dotted name: value}``, with the types that ROS gives to the values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from concerto_ros.settings.field import SettingsError

#: The key below the name of a node.
PARAMETERS = "ros__parameters"

# Plain scalars that are not text, as rcl_yaml_param_parser tells them. YAML has other rules: 1e-3
# is text there, 1:30 a number, and null no value.
BOOLS = {
    spelling: value
    for value, words in ((True, "y yes true on"), (False, "n no false off"))
    for word in words.split()
    for spelling in (word, word.capitalize(), word.upper())
}
INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|\.?(?:inf|Inf|INF|nan|NaN|NAN))"
)


class Section(NamedTuple):
    """Parameters for the nodes that a name in a file stands for.

    Attributes:
        node: Full name of a node, in which ``*`` stands for one part of it and ``**`` for any.
        values: Parameters by dotted name.
        where: Where they were read, for messages, e.g. ``in robot.yaml``.
    """

    node: str
    values: Mapping[str, Any]
    where: str

    def is_for(self, node: str) -> bool:
        """Return whether these are parameters of the node with the full name ``node``."""
        return re.fullmatch(self.node.replace("/*", r"(/\w+)"), node) is not None


def read_parameters(path: str | Path) -> Iterator[tuple[str, Any]]:
    """Read a ROS parameter file.

    Args:
        path: A YAML file; the parameters of every node name in it are read.

    Yields:
        ``(dotted name, value)`` of each parameter.

    Raises:
        SettingsError: The file is not a ROS parameter file.
        OSError: The file cannot be read.
    """
    for section in read_sections(path):
        yield from section.values.items()


def read_sections(path: str | Path) -> list[Section]:
    """Read a ROS parameter file, node by node.

    Raises:
        SettingsError: The file is not a ROS parameter file.
        OSError: The file cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            tree = parse(file)
    except SettingsError as error:
        raise SettingsError(f"{path}, {error}, expected a ROS parameter file (YAML)") from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path}: got no UTF-8 text (byte {error.start}), expected a ROS parameter file (YAML)"
        ) from None
    if not isinstance(tree, Mapping):
        raise SettingsError(f"{path}: got no mapping, expected a ROS parameter file")
    return list(_sections(tree, "", path))


def write_parameters(path: Path, node: str, values: Mapping[str, Any]) -> None:
    """Write a ROS parameter file for one node.

    Args:
        path: Is replaced.
        node: Full name of the node.
        values: Parameters by dotted name.
    """
    import yaml

    class Quoting(yaml.SafeDumper):
        """Quotes every text: ROS would take a frame named 1 for a number."""

    Quoting.add_representer(
        str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    )
    tree = {node: {PARAMETERS: {name: _of_one_type(value) for name, value in values.items()}}}
    path.write_text(yaml.dump(tree, Dumper=Quoting, width=1000), encoding="utf-8")


def _of_one_type(value: Any) -> Any:
    """ROS refuses lists of integers and floats together."""
    if isinstance(value, list) and {type(item) for item in value} == {int, float}:
        return [float(item) for item in value]
    return value


def sections_for(node: str, sections: Iterable[Section]) -> list[Section]:
    """Choose what a node gets, in the order in which rclpy applies it: the last value counts.

    rclpy gathers what several files say for one name, at the place where it came first: a value
    for ``/**`` in a second file does not replace one for ``/concerto`` in the first.

    Args:
        node: Full name of the node.
        sections: In the order of the command line.
    """
    places: dict[str, int] = {}
    for section in sections:
        places.setdefault(section.node, len(places))
    own = (section for section in sections if section.is_for(node))
    return sorted(own, key=lambda section: places[section.node])


def parse(text: Any) -> Any:
    """Parse YAML with the types of ROS parameters.

    Args:
        text: Text or an open file.

    Raises:
        SettingsError: It is no YAML; the message begins with the line.
    """
    import yaml  # only here: the command's --help does not need it

    class Untyped(yaml.SafeLoader):
        """Leaves plain scalars without a tag, and so tells them from ``!!str 7``."""

        def resolve(self, kind: type, value: Any, implicit: Any) -> str:
            return "" if kind is yaml.ScalarNode else super().resolve(kind, value, implicit)

    try:
        tree = yaml.compose(text, Loader=Untyped)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise SettingsError(f"{line}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise SettingsError(" ".join(str(error).split())) from None
    return _value(tree)


def _value(node: Any) -> Any:
    """The value of a node of a YAML document; None for one that is empty."""
    if node is None:
        return None
    if node.id == "mapping":
        return {key.value: _value(value) for key, value in node.value}
    if node.id == "sequence":
        return [_value(item) for item in node.value]
    text: str = node.value
    if node.style in ("'", '"') or node.tag:
        return text
    if not text:
        return None
    if text in BOOLS:
        return BOOLS[text]
    if INT.fullmatch(text):
        digits = text.lstrip("+-")
        octal = digits[0] == "0" and digits.isdigit()
        return int(text, 8 if octal else 0)
    if FLOAT.fullmatch(text):
        return float(re.sub(r"\.(?=[in])", "", text.lower()))
    return text


def _sections(tree: Mapping[str, Any], prefix: str, path: str | Path) -> Iterator[Section]:
    for name, body in tree.items():
        if isinstance(body, Mapping) and get_close_matches(str(name), [PARAMETERS], cutoff=0.8):
            raise SettingsError(
                f"{path}: got the key {name!r} below {prefix or 'no name of a node'}, expected"
                f" {PARAMETERS!r} below the name of one, such as /**"
            )
        node = "/".join([prefix, str(name).strip("/")])
        if not isinstance(body, Mapping) or not body:
            raise SettingsError(
                f"{path}: {node} has no {PARAMETERS}, expected a mapping of that name"
            )
        if PARAMETERS in body:
            values = body[PARAMETERS]
            if not isinstance(values, Mapping | None):
                raise SettingsError(
                    f"{path}: {PARAMETERS} of {node}: got {values!r}, expected a mapping of"
                    " parameters"
                )
            yield Section(node, dict(_flatten(values or {}, path)), f"in {path}")
        yield from _sections({k: v for k, v in body.items() if k != PARAMETERS}, node, path)


def _flatten(
    tree: Mapping[str, Any], path: str | Path, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, path, f"{prefix}{name}.")
        elif value is None:
            raise SettingsError(f"{path}: {prefix}{name}: got no value, expected one")
        else:
            yield f"{prefix}{name}", value
