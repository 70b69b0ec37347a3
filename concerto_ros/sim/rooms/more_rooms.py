# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bathrooms, store rooms, workshops and class rooms."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import Mesh, join
from concerto_ros.sim.pieces import bathroom, small_objects, storage
from concerto_ros.sim.pieces import office_furniture as office
from concerto_ros.sim.pieces.clothes import folded_clothes
from concerto_ros.sim.pieces.furniture import Rng, pick
from concerto_ros.sim.rooms import assortment
from concerto_ros.sim.rooms.layout import things_on
from concerto_ros.sim.rooms.polygon_layout import PolygonLayout

#: Everything that lies about on tables and benches.
THINGS = (*small_objects.ON_TABLE, *office.ON_DESK, small_objects.laptop, folded_clothes)


def laden(rng: Rng, table: Mesh, most: int) -> Mesh:
    """A table with up to ``most`` things on it."""
    (x0, y0, _), (x1, y1, _) = table.bounds()
    points = table.corners[table.label == table.label[0]].reshape(-1, 3)
    count = int(rng.integers(0, most + 1))
    return join(table, *things_on(rng, (x0, y0, x1, y1), float(points[:, 2].max()), count, THINGS))


def furnish_bathroom(layout: PolygonLayout) -> None:
    """A toilet, a basin or two, a tub or a shower, and cabinets."""
    rng = layout.rng
    layout.against_wall(pick(rng, (bathroom.bathtub, bathroom.shower))(rng), front=0.4)
    for build in (bathroom.toilet, bathroom.basin):
        layout.against_wall(build(rng), front=0.4)
    for chance, build in (
        (0.3, bathroom.shower),
        (0.25, bathroom.basin),
        (0.4, assortment.low_cabinet),
        (0.3, assortment.high_cabinet),
    ):
        if rng.random() < chance:
            layout.against_wall(build(rng), front=0.2, tall=build is assortment.high_cabinet)
    if rng.random() < 0.7:
        layout.hang(bathroom.towel_rail(rng), 1.0, 1.5)


def furnish_storage(layout: PolygonLayout) -> None:
    """Racks along the walls and in the middle, cartons between."""
    rng = layout.rng
    for _ in range(int(rng.integers(2, 7))):
        build = pick(rng, (storage.storage_rack, storage.full_shelf, assortment.high_cabinet))
        layout.against_wall(build(rng), front=0.4, tall=True)
    for _ in range(int(rng.integers(0, 3))):
        layout.freestanding(storage.storage_rack(rng), 0.4)
    for _ in range(int(rng.integers(1, 5))):
        layout.against_wall(storage.stack_of_cartons(rng), front=0.1)


def furnish_workshop(layout: PolygonLayout) -> None:
    """A garage or a workshop: a car or tables, benches, racks, cartons."""
    rng = layout.rng
    if rng.random() < 0.4:
        layout.freestanding(storage.car(rng), 0.3)
    for _ in range(int(rng.integers(1, 4))):
        layout.against_wall(laden(rng, storage.work_bench(rng), 8), front=0.4)
    if rng.random() < 0.5:
        layout.freestanding(laden(rng, office.meeting_table(rng), 8), 0.4)
    furnish_storage(layout)


def furnish_classroom(layout: PolygonLayout) -> None:
    """Rows of desks with chairs that face a board; a desk for the teacher."""
    rng, plan = layout.rng, layout.plan
    desk_seed, chair_seed = (int(rng.integers(2**31)) for _ in range(2))
    pitch = (rng.uniform(1.5, 1.9), rng.uniform(1.15, 1.5))
    x = np.arange(-plan.width / 2 + 1.0, plan.width / 2 - 0.8, pitch[0])
    y = np.arange(-plan.depth / 2 + 1.0, plan.depth / 2 - 1.6, pitch[1])
    for column in x:
        for row in y:
            if not plan.contains(column - 0.8, row - 0.6, column + 0.8, row + 0.9):
                continue
            if rng.random() < 0.12:
                continue
            desk = storage.school_desk(np.random.default_rng(desk_seed))
            group = [laden(rng, desk, 3)]
            half = float(desk.bounds()[1][0])
            for at in (0.0,) if half < 0.4 else (-half / 2, half / 2):
                if rng.random() < 0.85:
                    chair = assortment.side_chair(np.random.default_rng(chair_seed))
                    out = rng.uniform(-0.35, -0.15)
                    group.append(chair.placed(at, out, 0, rng.normal(0, 0.2)))
                    if rng.random() < 0.12:
                        person = office.seated_person(rng)
                        group.append(person.placed(at, out, 0))
            layout.stand(join(*group), float(column), float(row), rng.normal(0, 0.05))
    for _ in range(int(rng.integers(0, 3))):
        layout.against_wall(assortment.high_cabinet(rng), front=0.2, tall=True)
    for _ in range(int(rng.integers(0, 3))):
        layout.against_wall(assortment.low_cabinet(rng), front=0.2)
