# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is late and what is a new beginning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concerto_ros.intake.stamp_order import StampGate
from concerto_ros.sensors.input_error import InputError

WINDOW = 100


def outcomes(stamps):
    gate = StampGate(WINDOW)
    said = []
    for stamp in stamps:
        try:
            said.append("restart" if gate.admit(stamp) else "taken")
        except InputError as error:
            said.append(error.reason)
    return said


@pytest.mark.parametrize(
    ("stamps", "wanted"),
    [
        ([5], ["taken"]),
        ([5, 6, 6, 1000], ["taken"] * 4),
        ([200, 150, 201], ["taken", "out_of_order", "taken"]),
        ([200, 100, 99], ["taken", "out_of_order", "out_of_order"]),
        ([500, 1, 2, 3, 4], ["taken", "out_of_order", "out_of_order", "restart", "taken"]),
        ([500, 1, 2, 450, 3, 4, 501], ["taken"] + ["out_of_order"] * 5 + ["taken"]),
        ([500, 1, 2, 501, 3, 4, 5], ["taken"] + ["out_of_order"] * 2 + ["taken"]
         + ["out_of_order"] * 2 + ["restart"]),
        ([0, 0, 0], ["taken"] * 3),
    ],
)  # fmt: skip
def test_examples(stamps, wanted):
    assert outcomes(stamps) == wanted


@given(st.lists(st.integers(0, 10**6), max_size=60).map(sorted))
def test_nothing_is_dropped_while_time_advances(stamps):
    assert set(outcomes(stamps)) <= {"taken"}


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60))
def test_taken_stamps_ascend_between_restarts(stamps):
    newest = None
    for stamp, said in zip(stamps, outcomes(stamps), strict=True):
        if said == "restart":
            newest = stamp
        elif said == "taken":
            assert newest is None or stamp >= newest
            newest = stamp
        else:
            assert stamp < newest


def test_where_several_send_the_past_has_to_last():
    gate = StampGate(WINDOW, lasting=1.0)
    assert gate.admit(1000, 0.0) is False

    def late(now):
        with pytest.raises(InputError, match="older than the newest"):
            gate.admit(1, now)

    for now in (5.0, 5.3, 5.6, 5.9):
        late(now)
    assert gate.admit(1001, 5.95) is False  # somebody still sends the new time
    for now in (6.0, 6.5, 6.9):
        late(now)
    assert gate.admit(1, 7.0) is True and gate.admit(2, 7.1) is False


def test_after_a_reset_anything_is_taken():
    gate = StampGate(WINDOW)
    gate.admit(1000)
    gate.reset()
    assert gate.admit(1) is False
