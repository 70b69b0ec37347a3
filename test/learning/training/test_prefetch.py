# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Values that a thread makes ahead."""

from __future__ import annotations

import threading
import time

import pytest

from concerto_ros.learning.training.prefetch import Prefetched


class Maker:
    """Makes squares, one at a time, and notes in which thread."""

    def __init__(self):
        self.made, self.busy = [], threading.Lock()

    def __call__(self, key: int) -> int:
        assert self.busy.acquire(blocking=False), "called twice at the same time"
        time.sleep(0.01)
        self.made.append((key, threading.current_thread() is threading.main_thread()))
        self.busy.release()
        if key < 0:
            raise ValueError(f"no square of {key}")
        return key * key


@pytest.mark.parametrize("ahead", [True, False])
def test_the_next_value_is_made_by_a_thread_if_so_asked(ahead):
    make = Maker()
    values = Prefetched(make, ahead=ahead)
    assert [values.take(key, key + 1 if key < 3 else None) for key in range(4)] == [0, 1, 4, 9]
    values.close()
    assert make.made == [(0, True), *((key, not ahead) for key in (1, 2, 3))]


def test_a_value_that_nobody_takes_is_left_and_another_one_made():
    make = Maker()
    values = Prefetched(make, ahead=True)
    assert [values.take(1, 2), values.take(5, 6), values.take(6, None)] == [1, 25, 36]
    assert [key for key, _ in make.made] == [1, 2, 5, 6]


@pytest.mark.parametrize("ahead", [True, False])
def test_a_value_may_be_begun_after_the_one_before_was_used(ahead):
    make = Maker()
    values = Prefetched(make, ahead=ahead)
    assert values.take(1) == 1
    values.settle()
    assert make.made == [(1, True)]
    values.begin(2)
    values.settle()
    assert make.made == [(1, True), (2, False)][: 1 + ahead]
    assert values.take(2) == 4
    values.close()


def test_an_error_is_raised_for_its_own_key_and_the_next_value_is_made():
    values = Prefetched(Maker(), ahead=True)
    assert values.take(1, -2) == 1
    with pytest.raises(ValueError, match="no square of -2"):
        values.take(-2, 3)
    assert values.take(3, None) == 9


def test_after_settling_nothing_is_being_made_and_after_closing_no_thread_is_left():
    make, before = Maker(), set(threading.enumerate())
    values = Prefetched(make, ahead=True)
    values.take(1, 2)
    assert set(threading.enumerate()) > before
    values.settle()
    assert [key for key, _ in make.made] == [1, 2]
    values.close()
    assert set(threading.enumerate()) == before
    assert values.take(2, None) == 4
