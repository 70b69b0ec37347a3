# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every message of a bag that is labelled is accounted for: received = used + dropped."""

from __future__ import annotations

import numpy as np
import pytest
from bag_recordings import (
    CLOUD,
    SECOND,
    START,
    STEP,
    TF,
    camera_info,
    cloud,
    config_file,
    drive,
    image,
    label,
    messages,
    read,
    received,
    stamp_of,
    transform,
    write,
)


def test_garbage_is_counted_and_kept(tmp_path):
    rubbish = [
        (0.31, "/points", (CLOUD, b"\x00\x01\x00\x00 no cloud")),
        (0.32, "/tf", (TF, b"\xff" * 9)),
        (0.345, "/points", cloud(0)),
        (0.37, "/points", cloud(4 * STEP, frame="nowhere")),
        (0.405, "/points", cloud(4 * STEP, size=0)),
    ]
    source = write(tmp_path / "in", sorted([*drive(5), *rubbish], key=lambda each: each[0]))
    summary = label(source, tmp_path / "out", every=0.0)
    assert received(summary) == 9 and summary["used"] == 5
    assert summary["dropped"] == {
        "empty": 1,
        "malformed": 1,
        "no_transform": 1,
        "out_of_order": 1,
    }
    assert summary["refused_transforms"] == 1
    assert (
        "is not a sensor_msgs/msg/PointCloud2"
        in (summary["inputs"]["cloud0"]["examples"]["malformed"])
    )
    kept = [entry for entry in read(tmp_path / "out") if not entry[0].startswith("/concerto")]
    assert kept == read(source)


def test_a_frame_waits_for_its_transform(tmp_path):
    late = [(0.0, "/tf", transform(0))]
    for number in range(1, 8):
        late.append((number / 10, "/points", cloud(number * STEP)))
        late.append((number / 10 + 0.25, "/tf", transform(number * STEP)))
    source = write(tmp_path / "in", sorted(late, key=lambda each: each[0]))
    for parts in (0.0, 0.3):
        summary = label(source, tmp_path / f"out{parts}", part_seconds=parts, every=0.0)
        assert received(summary) == summary["used"] == 7
        times = [at - START for _, at, _ in read(tmp_path / f"out{parts}", ["/concerto/labels"])]
        assert times == [number * STEP + SECOND // 4 for number in range(1, 8)]


def test_what_never_gets_a_transform_is_dropped_for_it(tmp_path):
    early = [(0.0, "/tf", transform(0))]
    early += [(number / 10, "/points", cloud(number * STEP)) for number in range(10)]
    source = write(tmp_path / "in", early)
    summary = label(source, tmp_path / "out", part_seconds=0.3)
    assert received(summary) == 10
    assert summary["dropped"] == {"no_transform": 9}


def test_stamps_that_go_back_are_a_restart(tmp_path):
    again = [(each[0] + 2, *each[1:]) for each in drive(6)]
    ahead = [
        (0.01 + number / 10, "/points", cloud(number * STEP + 100 * SECOND, frame="odom"))
        for number in range(3)
    ]
    source = write(tmp_path / "in", sorted([*ahead, next(drive(1)), *again], key=lambda e: e[0]))
    summary = label(source, tmp_path / "out", every=0.0)
    assert received(summary) == 9 and summary["restarts"] == 1
    # A restart forgets the transforms: that of the frame which shows it as well.
    assert summary["dropped"] == {"no_transform": 1, "out_of_order": 2}
    stamps = [stamp_of(message) for message in messages(tmp_path / "out", "/concerto/labels")]
    assert stamps[-1] == 5 * STEP and stamps[2] == 100 * SECOND + 2 * STEP


def test_input_rate_takes_the_newest_of_each_turn(tmp_path):
    source = write(tmp_path / "in", drive())
    config = config_file(
        tmp_path / "config.yaml",
        cloud_names=["front"],
        input_rate=5.0,
        **{"clouds.front.topic": "/points"},
    )
    for parts in (0.0, 0.3):
        out = tmp_path / f"out{parts}"
        summary = label(source, out, config=config, every=0.0, part_seconds=parts)
        assert list(summary["inputs"]) == ["front"]
        assert received(summary) == 10
        assert summary["used"] == 6 and summary["dropped"] == {"superseded": 4}


def camera(frames):
    """An RGB-D camera whose camera_info comes once; every fifth colour image is missing."""
    yield 0.0, "/camera/color/camera_info", camera_info(0)
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    depth = np.full((24, 32), 1500, np.uint16)
    for number in range(frames):
        at = number * STEP
        yield number / 10 + 0.01, "/camera/depth/image", image(at, "16UC1", depth)
        if number % 5 != 4:
            yield number / 10 + 0.02, "/camera/color/image", image(at, "rgb8", pixels)


@pytest.mark.parametrize("part_seconds", [0.0, 0.3])
def test_cameras_are_paired_also_where_camera_info_comes_once(tmp_path, part_seconds):
    source = write(tmp_path / "in", camera(12))
    summary = label(
        source,
        tmp_path / "out",
        part_seconds=part_seconds,
        every=0.0,
        overrides={"window_seconds": 0.2},
    )
    assert summary["run"]["settings"]["preset"] == "indoor"
    assert summary["inputs"]["camera0"]["dropped"] == {"unpaired": 2}
    assert received(summary) == 12 and summary["used"] == 10
