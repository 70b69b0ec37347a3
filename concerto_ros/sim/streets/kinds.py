# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of streets and yards: what differs from a motorway to a park."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """Ranges from which a street of a kind is drawn; lengths in metres.

    Attributes:
        half_width: of the main road.
        kerb: height of its kerbs.
        pavement: width of its pavements.
        crossing: probability of a road that crosses.
        slope: largest slope of the whole ground, m/m.
        hills: largest amplitude of the hills.
        bend: largest amplitude of the bends.
        covers: choices for the road, the pavement and the rest, names in ``COVERS``.
        bank: height of the ground beside the road.
        ditch: probability of ditches.
        buildings: ``detached``, ``row``, ``hall``, ``scattered`` or ``none``.
        setback: from the pavement to the buildings.
        storeys: least and most.
        empty: probability that a lot has no building.
        back: probability of each of three buildings behind a lot.
        fences: probability of a fence or hedge round a lot.
        rails: probability of a rail along a part of each side.
        trees: along 100 m of one side.
        bushes: likewise.
        avenue: probability of trees in rows along the road.
        woods: mean number of groups of many trees.
        parked: probability of each parking place along the road.
        traffic: vehicles that move.
        people: standing and walking.
        things: small things of the class other.
        poles: metres from lamp to lamp; 0: none.
        meadow: tufts of tall grass, in thousands.
    """

    half_width: Range = (2.8, 4.5)
    kerb: Range = (0.06, 0.16)
    pavement: Range = (1.2, 3.0)
    crossing: float = 0.5
    slope: float = 0.06
    hills: float = 1.0
    bend: float = 6.0
    covers: tuple[tuple[str, ...], ...] = (("asphalt",), ("paving", "concrete"), ("lawn",))
    bank: Range = (0.0, 0.0)
    ditch: float = 0.0
    buildings: str = "detached"
    setback: Range = (2.0, 8.0)
    storeys: tuple[int, int] = (1, 3)
    empty: float = 0.15
    back: float = 0.4
    fences: float = 0.7
    rails: float = 0.1
    trees: float = 10
    bushes: float = 12
    avenue: float = 0.25
    woods: float = 1.0
    parked: float = 0.4
    traffic: tuple[int, int] = (0, 6)
    people: tuple[int, int] = (2, 14)
    things: tuple[int, int] = (8, 30)
    poles: float = 28
    meadow: Range = (0.0, 1.5)


KINDS = {
    "residential": Kind(),
    "city": Kind(
        half_width=(3.5, 8.0),
        pavement=(1.8, 5.0),
        crossing=0.7,
        slope=0.04,
        hills=0.3,
        bend=2.0,
        covers=(("asphalt", "asphalt", "cobbles"), ("paving", "concrete"), ("paving", "concrete")),
        buildings="row",
        setback=(0.0, 0.6),
        storeys=(2, 7),
        empty=0.07,
        back=0.6,
        fences=0.15,
        rails=0.1,
        trees=5,
        bushes=2,
        avenue=0.3,
        woods=0.3,
        parked=0.6,
        traffic=(1, 10),
        people=(8, 40),
        things=(15, 50),
        poles=24,
        meadow=(0.0, 0.2),
    ),
    "rural": Kind(
        half_width=(2.2, 4.0),
        kerb=(0.0, 0.0),
        pavement=(0.0, 0.9),
        crossing=0.25,
        slope=0.15,
        hills=3.5,
        bend=14.0,
        covers=(
            ("asphalt", "asphalt", "gravel", "soil"),
            ("gravel",),
            ("meadow", "field", "lawn"),
        ),
        bank=(-1.0, 2.5),
        ditch=0.6,
        buildings="scattered",
        setback=(5.0, 20.0),
        storeys=(1, 2),
        empty=0.75,
        back=0.1,
        fences=0.35,
        rails=0.25,
        trees=12,
        bushes=16,
        avenue=0.2,
        woods=3.0,
        parked=0.02,
        traffic=(0, 4),
        people=(0, 4),
        things=(0, 8),
        poles=0,
        meadow=(1.0, 6.0),
    ),
    "motorway": Kind(
        half_width=(10.0, 15.0),
        kerb=(0.0, 0.02),
        pavement=(0.0, 1.5),
        crossing=0.0,
        slope=0.04,
        hills=1.5,
        bend=8.0,
        covers=(("asphalt", "concrete"), ("gravel", "lawn"), ("meadow", "lawn")),
        bank=(-3.0, 4.0),
        ditch=0.3,
        buildings="scattered",
        setback=(15.0, 30.0),
        storeys=(1, 6),
        empty=0.85,
        back=0.2,
        fences=0.0,
        rails=0.0,
        trees=9,
        bushes=12,
        avenue=0.1,
        woods=2.5,
        parked=0.0,
        traffic=(6, 24),
        people=(0, 1),
        things=(0, 4),
        poles=45,
        meadow=(0.5, 3.0),
    ),
    "car park": Kind(
        half_width=(3.0, 4.0),
        kerb=(0.0, 0.14),
        pavement=(0.0, 2.0),
        crossing=0.3,
        slope=0.04,
        hills=0.2,
        bend=0.0,
        covers=(("asphalt",), ("paving",), ("asphalt", "concrete", "gravel")),
        buildings="hall",
        setback=(28.0, 40.0),
        storeys=(1, 2),
        empty=0.4,
        back=0.3,
        fences=0.1,
        rails=0.1,
        trees=3,
        bushes=4,
        avenue=0.2,
        woods=1.0,
        parked=0.0,
        traffic=(0, 4),
        people=(2, 14),
        things=(4, 20),
        poles=30,
        meadow=(0.0, 0.3),
    ),
    "campus": Kind(
        half_width=(1.5, 3.5),
        kerb=(0.0, 0.1),
        pavement=(0.0, 2.0),
        crossing=0.8,
        slope=0.08,
        hills=1.0,
        bend=5.0,
        covers=(("asphalt", "paving", "concrete"), ("paving", "concrete"), ("lawn",)),
        buildings="row",
        setback=(5.0, 18.0),
        storeys=(2, 6),
        empty=0.4,
        back=0.5,
        fences=0.1,
        rails=0.1,
        trees=9,
        bushes=10,
        avenue=0.35,
        woods=2.0,
        parked=0.06,
        traffic=(0, 3),
        people=(6, 40),
        things=(10, 40),
        poles=22,
        meadow=(0.0, 1.5),
    ),
    "park": Kind(
        half_width=(0.9, 2.5),
        kerb=(0.0, 0.03),
        pavement=(0.0, 0.6),
        crossing=0.6,
        slope=0.12,
        hills=2.5,
        bend=12.0,
        covers=(("gravel", "asphalt", "soil", "paving"), ("gravel",), ("lawn", "lawn", "meadow")),
        bank=(-0.5, 1.0),
        buildings="scattered",
        setback=(20.0, 40.0),
        storeys=(1, 3),
        empty=0.8,
        back=0.15,
        fences=0.15,
        rails=0.1,
        trees=22,
        bushes=22,
        avenue=0.4,
        woods=4.0,
        parked=0.0,
        traffic=(0, 0),
        people=(3, 24),
        things=(5, 24),
        poles=30,
        meadow=(0.5, 5.0),
    ),
    "industrial": Kind(
        half_width=(3.5, 5.5),
        pavement=(0.0, 2.0),
        crossing=0.4,
        slope=0.03,
        hills=0.3,
        bend=2.0,
        covers=(("asphalt", "concrete"), ("concrete",), ("concrete", "asphalt", "gravel", "lawn")),
        buildings="hall",
        setback=(5.0, 20.0),
        storeys=(1, 3),
        empty=0.25,
        back=0.4,
        fences=0.5,
        rails=0.15,
        trees=2,
        bushes=5,
        avenue=0.1,
        woods=1.0,
        parked=0.3,
        traffic=(0, 5),
        people=(0, 8),
        things=(15, 50),
        poles=35,
        meadow=(0.0, 2.0),
    ),
    "yard": Kind(
        half_width=(1.6, 3.0),
        kerb=(0.0, 0.05),
        pavement=(0.0, 1.0),
        crossing=0.3,
        slope=0.08,
        hills=0.4,
        bend=1.0,
        covers=(
            ("paving", "cobbles", "concrete", "gravel"),
            ("paving",),
            ("paving", "gravel", "lawn", "soil", "concrete"),
        ),
        buildings="row",
        setback=(4.0, 12.0),
        storeys=(1, 5),
        empty=0.15,
        back=0.5,
        fences=0.7,
        rails=0.1,
        trees=4,
        bushes=10,
        avenue=0.1,
        woods=0.8,
        parked=0.05,
        traffic=(0, 0),
        people=(0, 8),
        things=(15, 45),
        poles=40,
        meadow=(0.0, 1.5),
    ),
    "market": Kind(
        half_width=(3.0, 6.0),
        kerb=(0.0, 0.08),
        pavement=(2.0, 6.0),
        crossing=0.7,
        slope=0.04,
        hills=0.2,
        bend=1.0,
        covers=(("cobbles", "paving"), ("paving",), ("paving", "cobbles")),
        buildings="row",
        setback=(3.0, 18.0),
        storeys=(2, 5),
        empty=0.1,
        back=0.6,
        fences=0.05,
        rails=0.1,
        trees=3,
        bushes=2,
        avenue=0.2,
        woods=0.2,
        parked=0.05,
        traffic=(0, 2),
        people=(15, 60),
        things=(25, 60),
        poles=25,
        meadow=(0.0, 0.0),
    ),
    "hillside": Kind(
        half_width=(1.2, 3.0),
        kerb=(0.0, 0.0),
        pavement=(0.0, 0.5),
        crossing=0.2,
        slope=0.45,
        hills=8.0,
        bend=12.0,
        covers=(("gravel", "soil", "asphalt"), ("gravel",), ("meadow", "field", "lawn")),
        bank=(-4.0, 6.0),
        ditch=0.2,
        buildings="scattered",
        setback=(4.0, 20.0),
        storeys=(1, 3),
        empty=0.8,
        back=0.15,
        fences=0.1,
        rails=0.3,
        trees=14,
        bushes=16,
        avenue=0.05,
        woods=7.0,
        parked=0.01,
        traffic=(0, 2),
        people=(0, 5),
        things=(0, 8),
        poles=0,
        meadow=(1.0, 6.0),
    ),
    "hall": Kind(
        half_width=(2.4, 18.0),
        kerb=(0.0, 0.0),
        pavement=(0.0, 0.0),
        crossing=0.0,
        slope=0.0,
        hills=0.0,
        bend=0.0,
        covers=(("concrete", "asphalt", "paving"), ("paving",), ("paving", "lawn")),
        buildings="none",
        trees=0,
        bushes=0.2,
        avenue=0.0,
        woods=0.0,
        parked=0.25,
        traffic=(0, 0),
        people=(1, 14),
        things=(5, 40),
        poles=0,
        meadow=(0.0, 0.0),
    ),
}
