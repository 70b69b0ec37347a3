# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What parameter files and a command line give the node, checked before it starts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.inputs import INPUTS, InputSettings
from concerto_ros.settings.outputs import FilterSettings
from concerto_ros.settings.parameter_file import Section, sections_for
from concerto_ros.settings.qos_overrides import PREFIX, check_overrides, ineffective_override
from concerto_ros.settings.renamed import RENAMED, with_new_names
from concerto_ros.settings.settings import (
    DEFAULTS,
    NAMED,
    NODE_ONLY,
    Settings,
    listed,
    settings_of,
)

#: Parameters that are true or false; rclpy raises an exception for anything else.
SWITCHES = (*sorted(NODE_ONLY), "start_type_description_service")


@dataclass(frozen=True)
class CheckedParameters:
    """The parameters of a node, none of which has a value that is not accepted.

    Attributes:
        values: As they were given, by full name; those that are missing have their defaults.
        settings: The settings, with the preset's values filled in.
        inputs: The parameters of each input.
        filters: The parameters of each filter.
        notices: A sentence on each name of version 0.1; the values have the present names.
    """

    values: Mapping[str, Any]
    settings: Settings
    inputs: tuple[InputSettings, ...]
    filters: tuple[FilterSettings, ...]
    notices: tuple[str, ...]


def ineffective_parameters(
    node: str, sections: Sequence[Section], overrides: Sequence[Section] = ()
) -> list[str]:
    """Describe what has no effect: misspelt names, and files without a section for the node.

    Args:
        node: Full name of the node.
        sections: What was given, in the order of the command line.
        overrides: What has precedence over all of it.
    """
    own = [*sections_for(node, sections), *overrides]
    used = {section.where for section in own}
    others: dict[str, list[str]] = {}
    for section in sections:
        if section.where not in used:
            others.setdefault(section.where, []).append(section.node)
    sentences = [
        f"got parameters of {', '.join(names)} {where}, which have no effect here: this node is"
        f" {node}; expected {node} or /** above them"
        for where, names in others.items()
    ]
    names_by_list = _listed_names(_merged(own)[0])
    for section in own:
        sentences += _unknown(section, names_by_list)
    return sentences


def checked_parameters(
    node: str, sections: Sequence[Section], overrides: Sequence[Section] = ()
) -> CheckedParameters:
    """Check what was given to a node.

    Args:
        node: Full name of the node.
        sections: In the order of the command line: the last value counts.
        overrides: What has precedence over all of it, whatever names of nodes stand in files.

    Raises:
        SettingsError: A value is not accepted; the text names the parameter and where it is set.
    """
    own = [*sections_for(node, sections), *overrides]
    values, notices = _merged(own)
    try:
        _check_switches(values)
        check_overrides(values)
        settings = Settings.from_mapping({k: v for k, v in values.items() if k in DEFAULTS})
        groups = {names: listed(names, settings, values) for names in NAMED}
    except SettingsError as error:
        raise SettingsError(f"{error}{_origin(str(error), own)}") from None
    return CheckedParameters(
        values=values,
        settings=settings.with_preset(),
        inputs=tuple(source for names in INPUTS for source in groups[names]),
        filters=groups["filter_names"],
        notices=tuple(notices),
    )


def wrong_switch(sections: Sequence[Section]) -> str:
    """Say which of :data:`SWITCHES` is neither true nor false; empty where none is."""
    try:
        _check_switches(_merged(sections)[0])
    except SettingsError as error:
        return f"{error}{_origin(str(error), sections)}"
    return ""


def _check_switches(values: Mapping[str, Any]) -> None:
    for name in SWITCHES:
        if type(values.get(name, False)) is not bool:
            raise SettingsError(f"{name}: got {values[name]!r}, expected true or false")


def _merged(sections: Sequence[Section]) -> tuple[dict[str, Any], list[str]]:
    """The parameters by their present names, and notices of those of version 0.1.

    An empty list means the default, as for rclpy.
    """
    values = {name: value for each in sections for name, value in each.values.items()}
    present, notices = with_new_names(values)
    return {name: value for name, value in present.items() if value != []}, notices


def _listed_names(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of inputs and filters by the parameter that lists them."""
    listed_by = {}
    for names in NAMED:
        value = values.get(names)
        texts = value if isinstance(value, list) else []
        listed_by[names] = [text for text in texts if text and isinstance(text, str)]
    return listed_by


def _unknown(section: Section, names_by_list: Mapping[str, list[str]]) -> Iterator[str]:
    single = {
        pattern.replace("<name>", name)
        for names, values in names_by_list.items()
        for pattern in settings_of(names)
        for name in values
    }
    known = {*DEFAULTS, *SWITCHES, *RENAMED, *single}
    for name in section.values:
        if name in known:
            continue
        if name.startswith(PREFIX):
            why = ineffective_override(name)
        else:
            why = _unlisted(name, names_by_list)
            why = why or f"this node has no such parameter{_nearest(name, known)}"
        if why:
            yield f"{name} {section.where} has no effect: {why}"


def _unlisted(name: str, names_by_list: Mapping[str, list[str]]) -> str:
    """Why a parameter of an input or filter that is spelt right has no effect."""
    group, _, rest = name.partition(".")
    own, _, key = rest.partition(".")
    for names, values in names_by_list.items():
        if group == NAMED[names].GROUP and f"{group}.<name>.{key}" in settings_of(names):
            near = _nearest(own, values)
            return f"{names} is {values}, expected {own!r} in it{near}"
    return ""


def _nearest(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _origin(text: str, sections: Sequence[Section]) -> str:
    """Where the parameter is set that the text of an error begins with."""
    names = set(text.partition(":")[0].split(" or "))
    names |= {old for old, new in RENAMED.items() if new in names}
    for section in reversed(sections):
        if names & section.values.keys():
            return f" ({section.where})"
    return f" ({sections[0].where})" if sections else ""
