# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters, in the sections and the order of ``config/perception.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from markdown import code, prose, table

HEADINGS = ("parameter", "default", "accepted", "meaning")


def parameter_blocks(root: Path) -> dict[str, str]:
    """One table for each section."""
    from concerto_ros.settings.settings import DEFAULTS

    sections = dict(sections_of((root / "config" / "perception.yaml").read_text("utf-8")))
    listed = [name for names in sections.values() for name in names]
    if missing := DEFAULTS.keys() - set(listed):
        raise SystemExit(f"config/perception.yaml lacks {sorted(missing)}")
    return {
        f"parameters {section}": table(HEADINGS, (row for name in names for row in rows_of(name)))
        for section, names in sections.items()
    }


def sections_of(text: str) -> Iterator[tuple[str, list[str]]]:
    """Section by section, the parameters that a file of them lists."""
    parts = re.split(r"^    # --- (\w[\w ]*)(?:: .*)? -+$", text, flags=re.MULTILINE)
    for heading, part in zip(["Start", *parts[1::2]], parts[::2], strict=True):
        yield heading.lower(), re.findall(r"^    ([\w.]+):", part, flags=re.MULTILINE)


def rows_of(name: str) -> Iterator[tuple[str, str, str, str]]:
    """The row of a parameter; those of each thing that it names follow it."""
    from concerto_ros.settings.settings import DEFAULTS, NODE_ONLY, about, settings_of

    if name in NODE_ONLY:
        text = "configure and activate at start, without a lifecycle manager"
        yield code(name), code("true"), "true or false", text
        return
    yield row(name, DEFAULTS[name], about(name))
    for full, entry in settings_of(name).items():
        yield row(full, entry.default, entry.metadata["setting"])


def row(name: str, default: Any, setting: Any) -> tuple[str, str, str, str]:
    """One parameter."""
    value = "required" if setting.required and default == "" else code(written(default))
    live = ". *Live.*" if setting.live else ""
    return code(name), value, accepted(default, setting), prose(setting.text) + live


def written(value: Any) -> str:
    """A default as a parameter file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(str(item) for item in value)}]" if value else "['']"
    return repr(value) if value == "" else str(value)


def accepted(default: Any, setting: Any) -> str:
    """Which values may be given."""
    if setting.choices:
        return ", ".join(code(choice) for choice in setting.choices)
    if setting.low is not None:
        return f"{number(setting.low)} to {number(setting.high)} {setting.unit}".strip()
    if isinstance(default, bool):
        return "true or false"
    return "list of names" if isinstance(default, tuple) else "text"


def number(value: float) -> str:
    """With separators where it is long, without a fraction where it has none."""
    return f"{int(value):,}" if value == int(value) else str(value)


def preset_blocks(_root: Path) -> dict[str, str]:
    """What each preset stands for."""
    from concerto_ros.settings.presets import PRESETS, Preset

    units = {"window_seconds": "s"}
    rows = [
        (
            code(entry.name),
            *(
                f"{getattr(preset, entry.name):g} {units.get(entry.name, 'm')}"
                for preset in PRESETS.values()
            ),
        )
        for entry in fields(Preset)
    ]
    return {"presets": table(("parameter", *(code(name) for name in PRESETS)), rows)}
