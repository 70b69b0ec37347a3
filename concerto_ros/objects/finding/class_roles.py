# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which classes of a label set are objects, which support objects, and which are background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from concerto_ros.labels.label_set import LabelSet


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split(", "))


#: Classes of the bundled label sets that are no objects: what a building or a place consists of.
BACKGROUND = _names(
    "wall, floor, ceiling, door, window, beam, column, pillar, board, picture, curtain, blinds,"
    " mirror, doorframe, windowsill, ledge, stairs, shower curtain, shower wall, shower floor,"
    " shower door, bathroom stall, bathroom stall door, closet wall, closet door, structure,"
    " divider, poster, whiteboard, blackboard, bulletin board, rail, stair rail, pipe, vent, mat,"
    " ground, road, parking, sidewalk, other-ground, building, fence, vegetation, trunk, terrain,"
    " driveable_surface, other_flat, manmade"
)

#: Classes whose top objects stand on.
SUPPORTS = _names(
    "table, desk, counter, cabinet, coffee table, end table, dining table, kitchen counter,"
    " bathroom counter, kitchen cabinet, file cabinet, nightstand, dresser, tv stand, bar,"
    " ironing board, bench, stand, cart"
)

#: Classes for everything that has no class of its own.
LEFTOVERS = _names("other, otherfurniture, otherprop, other furniture, clutter, other-object")


@dataclass(frozen=True)
class ClassRoles:
    """Labels by their role in finding objects.

    Attributes:
        things: Segmented as objects (things in the sense of panoptic segmentation).
        supports: What stands on them is an object, whatever its label.
        background: Never part of an object.
    """

    things: frozenset[int]
    supports: frozenset[int]
    background: frozenset[int]

    @classmethod
    def of(
        cls, labels: LabelSet, things: Sequence[str] = (), supports: Sequence[str] = ()
    ) -> ClassRoles:
        """Assign roles to the classes of ``labels``.

        Args:
            labels: The label set.
            things: Names of the thing classes; empty for all but the known background.
            supports: Names of the support classes; empty for the known table-like ones.

        Raises:
            ValueError: If the label set lacks a name.
        """
        ids = {label.name: label.id for label in labels.classes}
        for parameter, names in (("objects.classes", things), ("objects.supports", supports)):
            for name in names:
                if name not in ids:
                    raise ValueError(
                        f"{parameter}: got {name!r}, expected classes of {labels.name}:"
                        f" {', '.join(ids) or '(it has no classes)'}"
                    )
        chosen = set(things) or ids.keys() - BACKGROUND
        holding = set(supports) or ids.keys() & SUPPORTS
        background = (ids.keys() & BACKGROUND) - chosen - holding
        return cls(*(frozenset(ids[n] for n in group) for group in (chosen, holding, background)))
