# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The hash table of the map, against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.mapping.key_table import KeyTable

CAPACITY = 50
keys = st.sets(st.integers(0, 80).map(lambda v: v * 2**40 + v), max_size=CAPACITY)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(keys, keys), max_size=30))
def test_equals_a_dictionary(steps):
    table, expected = KeyTable(CAPACITY), {}
    for wanted, removed in steps:
        new = sorted(wanted - expected.keys())[: CAPACITY - len(expected)]
        rows = range(1000, 1000 + len(new))
        table.insert(np.array(new, dtype=np.int64), np.array(rows, dtype=np.int32))
        expected.update(zip(new, rows, strict=True))
        table.remove(np.array(sorted(removed), dtype=np.int64))
        for key in removed:
            expected.pop(key, None)
        asked = np.arange(82, dtype=np.int64) * (2**40 + 1)
        assert table.find(asked).tolist() == [expected.get(int(key), -1) for key in asked]


def test_stays_right_over_many_removals():
    table = KeyTable(1000)
    rows = np.arange(1000, dtype=np.int32)
    for generation in range(50):
        batch = np.arange(1000, dtype=np.int64) + 1000 * generation
        table.insert(batch, rows)
        np.testing.assert_array_equal(table.find(batch), rows)
        assert (table.find(batch + 1000) == -1).all()
        table.remove(batch)
        assert (table.find(batch) == -1).all()


def test_clear_empties_it():
    table = KeyTable(4)
    table.insert(np.array([7, 9]), np.array([0, 1], dtype=np.int32))
    table.clear()
    assert table.find(np.array([7, 9, 11])).tolist() == [-1, -1, -1]
