# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of colour and depth by stamp."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.pairing import StampPairer

MS = 1_000_000


@dataclass(eq=False)
class Message:
    """Anything with a header; ``name`` tells messages apart."""

    stamp: int
    name: str = ""

    @property
    def header(self):
        sec, nanosec = divmod(self.stamp, 1_000_000_000)
        return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))


def pairer(tolerance_ms: float = 20, **options) -> StampPairer:
    made = StampPairer(int(tolerance_ms * MS), **options)
    made.add("info", Message(0, "info"))
    return made


def feed(target: StampPairer, arrivals) -> list[tuple[float, float]]:
    """Stamps in ms of the pairs that (kind, stamp in ms) arrivals make, in order."""
    pairs = []
    for kind, stamp in arrivals:
        pair = target.add(kind, Message(round(stamp * MS)))
        if pair is not None:
            pairs.append((stamp_ns(pair.color) / MS, stamp_ns(pair.depth) / MS))
    return pairs


def test_equal_stamps_pair_at_once():
    assert feed(pairer(), [("color", 5), ("depth", 5)]) == [(5, 5)]


def test_a_kinects_images_9_to_15_ms_apart_all_pair_as_soon_as_both_are_there():
    target = pairer()
    color = [0, 32.0, 64.0, 100.0, 132.0, 164.0, 200.1, 232.0, 268.0]
    depth = [14.4, 45.1, 77.3, 113.7, 145.5, 178.6, 214.4, 245.6, 277.3]
    for c, d in zip(color, depth, strict=True):
        assert feed(target, [("color", c), ("depth", d)]) == [(c, d)]
    assert target.dropped == 0


def test_the_nearest_is_taken_when_a_nearer_one_is_due():
    target = pairer(50)
    arrivals = [("depth", 0), ("color", 1), ("depth", 32), ("color", 33)]
    assert feed(target, arrivals) == [(1, 0), (33, 32)]
    # Colour 65 is 33 from depth 64's predecessor, but its own partner 64 is due.
    assert feed(target, [("color", 65)]) == []
    assert feed(target, [("depth", 64)]) == [(65, 64)]


def test_images_out_of_phase_find_their_partner_after_the_first():
    """Depth 0 has no partner; colour comes 1 ms before each later depth."""
    arrivals = [("depth", 0)]
    for i in range(1, 10):
        arrivals += [("color", 32 * i - 1), ("depth", 32 * i)]
    pairs = feed(pairer(50), arrivals)
    assert pairs[-7:] == [(32 * i - 1, 32 * i) for i in range(3, 10)]


def test_a_late_colour_stream_is_matched_by_stamp_not_by_arrival():
    target = pairer()
    depth_first = [("depth", 32 * i) for i in range(3)]
    assert feed(target, depth_first) == []
    arrivals = []
    for i in range(12):
        arrivals += [("color", 32 * i + 3), ("depth", 32 * (i + 3))]
    assert feed(target, arrivals) == [(32 * i + 3, 32 * i) for i in range(12)]
    assert target.dropped == 0


def test_out_of_order_arrival():
    target = pairer()
    arrivals = [("color", 33), ("color", 0), ("depth", 1), ("depth", 34)]
    assert feed(target, arrivals) == [(0, 1), (33, 34)]


def test_a_faster_colour_stream_gives_the_nearest_image():
    target = pairer()
    arrivals = sorted(
        [("color", 16.6 * i) for i in range(40)] + [("depth", 33.2 * i + 1) for i in range(20)],
        key=lambda arrival: arrival[1],
    )
    pairs = feed(target, arrivals)
    assert len(pairs) >= 19
    assert all(abs(c - d) < 2 for c, d in pairs)


def test_beyond_the_tolerance_nothing_pairs_and_all_is_counted():
    target = pairer(10)
    arrivals = []
    for i in range(20):
        arrivals += [("color", 40 * i), ("depth", 40 * i + 20)]
    assert feed(target, arrivals) == []
    assert 35 <= target.dropped <= 39


def test_a_dead_stream_is_counted_and_its_return_pairs_again():
    target = pairer(depth=10)
    assert feed(target, [("depth", 33 * i) for i in range(100)]) == []
    assert target.dropped == 90
    assert feed(target, [("color", 3300), ("depth", 3300)]) == [(3300, 3300)]
    assert target.dropped == 100


def test_a_partner_that_was_due_and_never_came_does_not_hold_the_pair_back():
    target = pairer(20)
    rhythm = [
        ("color", 0),
        ("depth", 0),
        ("color", 20),
        ("depth", 20),
        ("color", 40),
        ("depth", 40),
    ]
    assert len(feed(target, rhythm)) == 3
    # The colour image at 80, nearer to depth 78, is lost on the way.
    assert feed(target, [("color", 60), ("depth", 78)]) == []
    assert feed(target, [("depth", 101)]) == [(60, 78)]


def test_a_burst_comes_out_one_pair_per_message():
    target = StampPairer(20 * MS)
    burst = [(kind, 33 * i) for i in range(4) for kind in ("color", "depth")]
    assert feed(target, burst) == []
    pairs = [target.add("info", Message(0)) for _ in range(5)]
    assert [stamp_ns(p.depth) // MS for p in pairs if p] == [0, 33, 66, 99]
    assert pairs[-1] is None


def test_the_newest_camera_info_goes_with_the_pair():
    target = pairer()
    newest = Message(0, "newest")
    target.add("info", newest)
    target.add("color", Message(10**15))
    assert target.add("depth", Message(10**15)).info is newest


def test_without_colour_every_depth_image_makes_a_pair():
    target = pairer(with_color=False)
    depth = Message(7)
    pair = target.add("depth", depth)
    assert pair.color is None and pair.depth is depth and pair.header.stamp.nanosec == 7
    with pytest.raises(ValueError, match="color"):
        target.add("color", Message(7))


def test_clear_forgets_messages_and_keeps_the_camera_info_that_is_sent_only_once():
    target = pairer()
    target.add("info", Message(0))
    target.add("color", Message(0))
    target.clear()
    assert target.add("depth", Message(0)) is None
    assert target.add("color", Message(0)) is not None


def test_time_that_goes_back_pairs_again():
    """A bag that begins anew: what waits from the old time must not block the new one."""
    target = pairer()
    forward = [(k, 100_000 + 33 * i) for i in range(12) for k in ("color", "depth")]
    assert len(feed(target, [*forward, ("color", 200_000)])) == 12
    again = [(k, 33 * i) for i in range(12) for k in ("color", "depth")]
    assert len(feed(target, again)) == 12


@pytest.mark.parametrize("stamp", [SimpleNamespace(sec="1", nanosec=0), None])
def test_a_stamp_that_is_invalid_is_malformed(stamp):
    message = SimpleNamespace(header=SimpleNamespace(stamp=stamp))
    with pytest.raises(InputError) as error:
        pairer().add("depth", message)
    assert error.value.reason == "malformed"


stamps = st.integers(0, 400)
arrivals = st.lists(st.tuples(st.sampled_from(["color", "depth", "info"]), stamps), max_size=60)


@settings(max_examples=300, deadline=None)
@given(arrivals=arrivals, tolerance=st.integers(0, 60), depth=st.integers(1, 8))
def test_any_arrivals_keep_the_tolerance_use_nothing_twice_and_count_all(
    arrivals, tolerance, depth
):
    target = StampPairer(tolerance * MS, depth=depth)
    given_messages, used = 0, []
    for kind, stamp in arrivals:
        given_messages += kind != "info"
        pair = target.add(kind, Message(stamp * MS))
        if pair is not None:
            assert abs(stamp_ns(pair.color) - stamp_ns(pair.depth)) <= tolerance * MS
            used += [id(pair.color), id(pair.depth)]
            keep_alive.append(pair)
    keep_alive.clear()
    assert len(set(used)) == len(used)
    waiting = given_messages - len(used) - target.dropped
    assert 0 <= waiting <= 2 * depth


keep_alive: list = []  # Pairs of the example above: a freed message's id could come again.


@settings(max_examples=200, deadline=None)
@given(
    period=st.floats(20, 200),
    phase=st.floats(-0.5, 0.5),
    delay=st.floats(-2, 2),
    jitter=st.lists(st.floats(-0.04, 0.04), min_size=80, max_size=80),
)
def test_regular_streams_lose_nothing_after_the_start(period, phase, delay, jitter):
    """Any phase, transport times up to two periods apart, stamps a little uneven."""
    count = 40
    color = [period * (i + 5 + jitter[2 * i]) for i in range(count)]
    depth = [period * (i + 5 + phase + jitter[2 * i + 1]) for i in range(count)]
    events = [(stamp, "color", stamp) for stamp in color]
    events += [(stamp + period * delay, "depth", stamp) for stamp in depth]
    target = pairer(period * 0.6)
    pairs = feed(target, [(kind, stamp) for _, kind, stamp in sorted(events)])
    # At the start one partner may be taken before a rhythm is known; at the end some still wait.
    assert len(pairs) >= count - 4
    assert target.dropped <= 2
