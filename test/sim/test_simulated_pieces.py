# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Furniture of many builds: it stands on the floor, has sizes of real furniture, and its class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from concerto_ros.sim import CLASSES
from concerto_ros.sim.mesh import Finish, box, join
from concerto_ros.sim.names import names
from concerto_ros.sim.pieces import beds, cabinets, clothes, seating, sofas, storage
from concerto_ros.sim.pieces.finishes import recolored

#: Builder, class of most of its surface, and the largest (width, depth, height) that it has.
PIECES = [
    (seating.slat_chair, "chair", (0.65, 0.7, 1.2)),
    (seating.shell_chair, "chair", (0.8, 0.8, 1.0)),
    (seating.task_chair, "chair", (0.85, 0.95, 1.55)),
    (seating.lounge_chair, "chair", (0.9, 0.95, 1.15)),
    (seating.bench, "chair", (2.0, 0.5, 1.0)),
    (seating.footstool, "sofa", (1.05, 0.75, 0.5)),
    (sofas.couch, "sofa", (3.7, 1.15, 1.1)),
    (sofas.corner_sofa, "sofa", (2.6, 2.4, 1.0)),
    (sofas.recliner, "sofa", (1.1, 2.1, 1.25)),
    (beds.framed_bed, "bed", (2.4, 2.4, 1.45)),
    (beds.bunk_bed, "bed", (2.25, 1.25, 1.95)),
    (beds.canopy_bed, "bed", (2.5, 2.6, 2.3)),
    (beds.cot, "bed", (1.55, 0.85, 1.05)),
    (beds.mattress, "bed", (1.85, 2.15, 0.7)),
    (cabinets.dresser, "cabinet", (2.5, 0.7, 1.45)),
    (cabinets.sideboard, "cabinet", (2.85, 0.6, 1.05)),
    (cabinets.nightstand, "cabinet", (0.7, 0.6, 0.75)),
    (cabinets.wardrobe, "cabinet", (3.0, 0.75, 2.3)),
    (clothes.clothes_rack, "other", (1.8, 0.8, 1.85)),
    (clothes.coat_stand, "other", (1.0, 0.9, 1.95)),
    (clothes.pile_of_clothes, "other", (1.1, 1.1, 0.4)),
    (clothes.folded_clothes, "other", (0.5, 0.5, 0.4)),
    (clothes.bag, "other", (0.75, 0.55, 0.85)),
    (clothes.shoes, "other", (0.95, 0.4, 0.2)),
]


@pytest.mark.parametrize(
    ("build", "label", "limit"), PIECES, ids=lambda p: getattr(p, "__name__", "")
)
def test_a_piece_stands_on_the_floor_with_a_real_size_and_its_class(build, label, limit):
    for seed in range(12):
        mesh = build(np.random.default_rng(seed))
        low, high = mesh.bounds()
        assert (high - low <= limit).all()
        assert -0.005 < low[2] < 0.03
        assert (np.bincount(mesh.label, minlength=len(CLASSES)) > 0).nonzero()[0].tolist() == [
            CLASSES.index(label)
        ]
        assert np.isfinite(mesh.corners).all() and np.isfinite(mesh.normals).all()


def test_a_seed_gives_the_same_piece_and_other_seeds_others():
    for build, _, _ in PIECES:
        one, again, other = (build(np.random.default_rng(seed)) for seed in (3, 3, 4))
        assert np.array_equal(one.corners, again.corners)
        assert np.array_equal(one.color, again.color)
        assert len(one) != len(other) or not np.allclose(one.corners, other.corners)


def test_more_than_half_of_the_framed_beds_have_a_foot_board_above_the_mattress():
    boards = []
    for seed in range(40):
        mesh = beds.framed_bed(np.random.default_rng(seed))
        end = mesh.corners.reshape(-1, 3)
        boards.append(bool((end[end[:, 1] > mesh.bounds()[1][1] - 0.1][:, 2] > 0.75).any()))
    assert 0.15 < np.mean(boards) < 0.9


def test_a_closet_reaches_from_floor_to_ceiling_and_may_look_like_the_wall():
    wall, alike = Finish((0.31, 0.62, 0.47)), 0
    for seed in range(40):
        mesh = cabinets.closet(np.random.default_rng(seed), 2.0, 2.6, wall)
        low, high = mesh.bounds()
        assert low[2] == pytest.approx(0.0, abs=1e-5)
        assert high[2] == pytest.approx(2.6, abs=0.01)
        assert high[0] - low[0] == pytest.approx(2.0, abs=0.05)
        assert (mesh.label == CLASSES.index("cabinet")).all()
        alike += bool(np.isclose(mesh.color, wall.color).all(axis=1).mean() > 0.3)
    assert 5 < alike < 35


def test_a_quarter_of_the_furniture_has_any_color_and_the_rest_keeps_its_tone():
    plain = seating.bench(np.random.default_rng(0))
    changed = 0
    for seed in range(60):
        other = recolored(plain, np.random.default_rng(seed))
        ratio = other.color / np.maximum(plain.color, 1e-3)
        tinted = (ratio.max(axis=1) / ratio.min(axis=1) > 1.1).any()
        changed += bool(tinted or ratio.max() > 1.3 or ratio.min() < 0.7)
    assert 5 < changed < 30


def every_name(mesh):
    return {names()[number] for number in np.unique(mesh.name)}


def test_a_piece_has_the_name_that_a_person_gives_it_and_keeps_those_of_its_parts():
    rng = np.random.default_rng(0)
    assert every_name(seating.task_chair(rng)) == {"office chair"}
    seats = {
        name for seed in range(20) for name in every_name(sofas.couch(np.random.default_rng(seed)))
    }
    assert seats == {"armchair", "sofa"}
    kitchens = [storage.kitchen_wall(np.random.default_rng(seed)) for seed in range(4)]
    assert {"kitchen cabinet", "oven", "sink", "range hood"} <= set().union(
        *map(every_name, kitchens)
    )
    shelf = seating.bench(rng).called("sideboard")
    assert every_name(shelf) == {"bench"}


def test_what_no_builder_names_has_the_name_of_its_class_but_other():
    finish = Finish((0.5, 0.5, 0.5))
    mesh = join(*(box((1, 1, 1), (0, 0, 0), finish, label) for label in ("wall", "other")))
    numbers = mesh.called_by_class(CLASSES).name
    assert [names()[number] for number in numbers[[0, -1]]] == ["wall", ""]


def test_a_label_beyond_the_classes_gives_no_name():
    mesh = box((1, 1, 1), (0, 0, 0), Finish((0.5, 0.5, 0.5)), "other")
    beyond = replace(mesh, label=np.full_like(mesh.label, len(CLASSES)))
    assert every_name(beyond.called_by_class(CLASSES)) == {""}
