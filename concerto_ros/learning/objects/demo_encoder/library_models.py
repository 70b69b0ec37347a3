# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models of furniture libraries among the objects of the bundled encoder.

Which model belongs to which class is said by :data:`RULES` alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from concerto_ros.learning.objects.data.shapes import posed
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE
from concerto_ros.sim.library import Piece, part_of
from concerto_ros.sim.library.in_rooms import ENOUGH
from concerto_ros.sim.mesh import Mesh
from concerto_ros.sim.pieces.furniture import Rng, pick

#: Share of a class's training objects that are models where there are :data:`ENOUGH`; of fewer
#: models a smaller share, as in rooms.
SHARE = 0.5

#: Bounds of a training model's size, as a factor of its own.
SCALES = (0.87, 1.15)
#: By how much it is stretched at most, as a share of its size, each way.
STRETCH = 0.1

#: What is no class and too much like one to be none of these either: it is left out.
UNCLEAR = "unclear"


class Rule(NamedTuple):
    """What models of some kinds, as in ``kinds.yaml``, and some names in their catalogue are.

    Attributes:
        answer: A class, :data:`UNCLEAR`, or none of these.
        kinds: Kinds.
        names: Regular expression of the whole name, whatever its case.
    """

    answer: str
    kinds: tuple[str, ...]
    names: str = ".*"


#: The first rule that fits counts; what fits none is none of these.
RULES = (
    Rule("mug", ("table thing",), "(coffee |plastic )?cup|.*mug|creamer"),
    Rule("bottle", ("table thing",), ".*bottle|flacon"),
    Rule("bowl", ("table thing",), "bowl.*"),
    Rule("book", ("table thing",), "book|newspaper"),
    Rule("teapot", ("table thing",), "teapot"),
    Rule("roll", ("table thing",), "tape|paper towel holder"),
    Rule(
        UNCLEAR,
        ("table thing",),
        "(beer |cocktail )?glass|milk|sugar|oil servers|utensils pot|old jar|pottery|coffee press"
        "|espresso kettle|calendar|penbox|tablet|plate.*glass.*|tray|chopping board",
    ),
    Rule("chair", ("stool",), "children chair"),
    Rule("stool", ("stool",)),
    Rule("chair", ("chair", "office chair", "easy chair", "high chair", "wheelchair")),
    Rule("sofa", ("sofa", "armchair")),
    Rule(UNCLEAR, ("bench", "pouf", "opened sofa bed")),
    Rule("table", ("dining table", "coffee table", "desk", "game table")),
    Rule("lamp", ("table lamp", "floor lamp"), ".*lamp"),
    Rule(UNCLEAR, ("table lamp",)),
    Rule("plant", ("plant",)),
    Rule(UNCLEAR, ("table plant",), "vase|christmas tree"),
    Rule("plant", ("table plant",)),
    Rule("monitor", ("monitor", "television", "wall television")),
    Rule("laptop", ("laptop",)),
    Rule("bag", ("bag",)),
    Rule("bin", ("bin",), "dustbin|.*trash can|recycling bin"),
    Rule(UNCLEAR, ("bin",)),
    Rule("box", ("floor thing",), "box|crate|gift|.*cardboard box"),
    Rule("ball", ("floor thing",), "basketball|soccer ball"),
    Rule("shoe", ("floor thing",), "slippers|bootie|sneakers|woman shoes|mocassin"),
    Rule(UNCLEAR, ("floor thing",), "basin|potty|folded clothes"),
    # Boxes by their shape.
    Rule(UNCLEAR, ("kitchen machine",), "microwave|small oven|bread box|toaster|deep fryer"),
    Rule(UNCLEAR, ("large thing",), "speaker|shopping basket"),
    Rule(UNCLEAR, ("nightstand",), "safe|trunck|chest"),
    # The keyboard is one to make music with.
    Rule(
        UNCLEAR,
        ("machine",),
        "keyboard|.*printer.*|mini stereo|stereo amplifier|radio|dvd player|playstation"
        "|letter tray|video projector",
    ),
)

#: Where models stand that a node meets in a room, and can cut out of a map.
_PLACES = ("wall", "free", "table", "hung")


def answer_of(piece: Piece) -> str:
    """The class of a model, none of these, or :data:`UNCLEAR`."""
    if piece.kind.place not in _PLACES:
        return UNCLEAR
    for rule in RULES:
        if piece.kind.kind in rule.kinds and re.fullmatch(
            rule.names, piece.entry.name, re.IGNORECASE
        ):
            return rule.answer
    return NONE_OF_THESE


@cache
def models_by_answer(folder: Path, held_out: bool) -> dict[str, list[Piece]]:
    """The models of the library in ``folder`` that are held out, or that are not, by answer."""
    models = defaultdict(list)
    for piece in part_of(folder, held_out).pieces():
        models[answer_of(piece)].append(piece)
    models.pop(UNCLEAR, None)
    return dict(models)


def training_model(answer: str, folder: Path, rng: Rng) -> Mesh | None:
    """Draw a model of a class to train on, instead of a generated object.

    Args:
        answer: The class.
        folder: The library.
        rng: Source of all randomness.

    Returns:
        A model of :func:`varied`; None in the cases where the object is to be generated.
    """
    models = models_by_answer(folder, False).get(answer, [])
    if not models or rng.random() >= SHARE * min(1.0, len(models) / ENOUGH):
        return None
    return varied(pick(rng, models), answer, rng)


def varied(model: Piece, answer: str, rng: Rng) -> Mesh:
    """A model in a size and proportions of its own, mirrored half of the time.

    Its middle is on the z axis and it stands on z = 0, in any direction.
    """
    size = np.exp(rng.uniform(*np.log(SCALES))) * np.diag((pick(rng, (-1.0, 1.0)), 1.0, 1.0))
    return posed(model.mesh().transformed(size, (0, 0, 0)), answer, rng, stretch=STRETCH)
