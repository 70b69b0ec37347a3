# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models of a furniture library on simulated streets."""

from __future__ import annotations

import numpy as np
import pytest
from furniture_libraries import write_furniture_libraries

from concerto_ros.sim.library import FurnitureLibrary
from concerto_ros.sim.library.in_rooms import furnished_from
from concerto_ros.sim.streets import CLASSES
from concerto_ros.sim.streets.pieces.models import drawn_model


@pytest.fixture
def library(tmp_path):
    """A library whose only model is a van that looks like a chair: high at the back."""
    _, folder = write_furniture_libraries(tmp_path)
    (folder / "furniture.csv").write_text(
        "file,name,category,width,depth,height\nseat.obj,Van,Vehicles,2.0,5.0,2.2\n"
    )
    return FurnitureLibrary.open(folder, cache=tmp_path / "cache")


def test_a_van_of_a_library_faces_forward_round_the_origin(library):
    with furnished_from(library):
        van = drawn_model(np.random.default_rng(0), "car", share=6.0)
    low, high = van.corners.min((0, 1)), van.corners.max((0, 1))
    assert np.abs(low + high)[:2] == pytest.approx(0, abs=1e-3)
    assert high - low == pytest.approx((5.0, 2.0, 2.2), rel=0.12)
    assert low[2] == pytest.approx(0, abs=1e-4)
    tall = van.corners[van.corners[..., 2] > 0.8 * high[2]]
    assert tall[:, 0].max() < 0, "its back is behind"
    assert set(van.label) == {CLASSES.index("vehicle")}


def test_without_a_library_or_such_a_model_nothing_is_drawn(library):
    rng = np.random.default_rng(0)
    assert drawn_model(rng, "car") is None
    with furnished_from(library):
        assert drawn_model(rng, "tree") is None
    assert rng.random() == np.random.default_rng(0).random()
