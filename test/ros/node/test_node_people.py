# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who walks away leaves no obstacle behind, through the real node."""

from __future__ import annotations

import numpy as np
import pytest
from node_harness import ONE_CLOUD, SECOND, START, cloud_message

from concerto_ros.ros.outputs.messages import make_header


def ring(radius: float) -> np.ndarray:
    """(N, 3) float32: what a LiDAR of one ring reads in the middle of a round room."""
    angle = np.arange(-np.pi, np.pi, np.radians(1.0))
    return np.float32(radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1))


@pytest.mark.parametrize("clears", [True, False])
def test_what_newer_scans_see_through_is_not_in_the_labels(harness, clears):
    one = harness(**(ONE_CLOUD | {"clouds.front.clears": clears, "clear_after": 2}))
    one.listen_to_labels()
    one.start()
    one.send_transform("odom", "lidar", x=1.0, static=True)
    for number, radius in enumerate((2.0, 4.0, 4.0)):
        stamp = START + number * SECOND
        one.send(cloud_message(make_header("lidar", stamp), ring(radius)))
        columns = one.labels(stamp)
    distance = np.hypot(columns["x"] - 1.0, columns["y"])
    assert (np.abs(distance - 4.0) < 0.15).sum() > 100
    assert (distance < 3.0).sum() == (0 if clears else (np.abs(distance - 2.0) < 0.15).sum())
    assert (distance < 3.0).any() == (not clears)
    diagnosis = one.diagnosis("inference")
    said = one.wait(lambda: (d := diagnosis()) and d.message.startswith("3 ") and d, "the counts")
    values = {entry.key: entry.value for entry in said.values}
    assert (int(values["voxels observed free"]) > 100) == clears
