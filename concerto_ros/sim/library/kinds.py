# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a model is, by the readable rules of ``kinds.yaml`` beside this file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from concerto_ros.sim.library.catalogue import Entry, FurnitureError
from concerto_ros.sim.mesh import CLASSES
from concerto_ros.sim.street_classes import STREET_CLASSES

RULES = Path(__file__).with_name("kinds.yaml")
#: Where a piece stands. One whose place is ``none`` is left out.
PLACES = ("wall", "free", "table", "hung", "ceiling", "opening", "outdoors", "none")


@dataclass(frozen=True)
class Kind:
    """What a rule says of the models that it fits.

    Attributes:
        kind: What the rooms ask for, e.g. ``coffee table``.
        class_name: The class of its points.
        place: One of :data:`PLACES`.
        parts: The class of materials whose names a regular expression finds.
        turn: Degrees to turn it, counterclockwise from above, before it faces the front.
        name: What its models are called, see
            :func:`~concerto_ros.sim.library.piece_names.piece_name`. Rooms are the same whatever
            it says, so it is no part of a library's identity, which the text of a kind is.
    """

    kind: str
    class_name: str
    place: str
    parts: Mapping[str, str] = field(default_factory=dict)
    turn: float = 0.0
    name: str = field(default="", repr=False)

    def class_of(self, material: str) -> str:
        """Class of the points of a material."""
        for pattern, class_name in self.parts.items():
            if re.search(pattern, material, re.IGNORECASE):
                return class_name
        return self.class_name


class Kinds:
    """The rules of a file, in order.

    Args:
        path: The file, see the head of ``kinds.yaml``.

    Raises:
        FurnitureError: A rule says something unknown; the message names file, rule and field.
    """

    def __init__(self, path: Path = RULES):
        self._rules: list[tuple[Kind, dict[str, list[str]]]] = []
        for number, rule in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")), start=1):
            self._rules.append(_rule(dict(rule), f"{path}: rule {number}"))

    def of(self, entry: Entry) -> Kind | None:
        """What a model is; None where no rule fits or it is left out."""
        for kind, fits in self._rules:
            if _fits(entry, **fits):
                return None if kind.place == "none" else kind
        return None


def _rule(rule: dict[str, Any], where: str) -> tuple[Kind, dict[str, list[str]]]:
    fits = {key: rule.pop(key, []) for key in ("names", "models", "categories")}
    if not fits["names"] and not fits["models"]:
        raise FurnitureError(f"{where}: has neither names nor models; it needs one of them")
    rule["class_name"] = rule.pop("class", None)
    try:
        kind = Kind(**rule)
    except TypeError as error:
        raise FurnitureError(
            f"{where}: {error}, expected kind, class and place, and parts or turn where needed"
        ) from error
    if kind.place not in PLACES:
        raise FurnitureError(f"{where}: place is {kind.place!r}, expected one of {PLACES}")
    known = {*CLASSES, *STREET_CLASSES}
    for name in (kind.class_name, *kind.parts.values()):
        if name not in known:
            raise FurnitureError(f"{where}: class is {name!r}, expected one of {sorted(known)}")
    return kind, fits


def _fits(
    entry: Entry, names: Sequence[str], models: Sequence[str], categories: Sequence[str]
) -> bool:
    if categories and not any(_whole(pattern, entry.category) for pattern in categories):
        return False
    return any(_whole(pattern, entry.name) for pattern in names) or any(
        re.search(pattern, entry.identity) for pattern in models
    )


def _whole(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.IGNORECASE) is not None
