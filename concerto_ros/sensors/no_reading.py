# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What sensors send where they measured nothing, and how far a reading may be to clear the map.

By REP-118 a depth of 0 and one that is not finite are no readings. Many drivers and simulators
send a large number instead. Taken for a distance, it says that everything before it is free, and
removes obstacles from the map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Depths in metres that cameras send where they measured nothing: the largest 16-bit number in
#: units of 0.1, 0.25, 0.5 and 1 mm (saturated, or no disparity; half of it is the largest
#: signed one), and the 10 m at which many drivers and simulators cut off.
CAMERA_NO_READING = (6.5535, 10.0, 16.38375, 32.7675, 65.535)

#: Distances in metres from the sensor of the points that LiDARs send for rays without a return.
CLOUD_NO_READING = (1000.0,)

#: How near to one of them a reading is none, metres: what rounding to millimetres changes.
TOLERANCE = 0.00105

#: No sensor of a robot measures as far as this, metres.
FARTHEST = 1000.0 - TOLERANCE

#: How far a reading may be to clear anything, as a fraction of the largest range of the map:
#: enough to clear up to that range. Farther ones are not needed, and may be no readings.
CLEARING_RANGE = 1.25


def is_no_reading(metres: np.ndarray, no_reading: Sequence[float]) -> np.ndarray:
    """Return which distances are one of those that mean "no reading".

    Args:
        metres: Distances of any shape; may hold values that are not finite.
        no_reading: Metres.

    Returns:
        bool of the same shape.
    """
    marks = np.zeros(metres.shape, bool)
    for value in no_reading:
        marks |= np.abs(metres - np.float32(value)) < TOLERANCE
    return marks


def clearing_range(max_range: float) -> float:
    """Return the distance in metres beyond which no reading clears anything.

    Args:
        max_range: Metres, largest distance of the points in the map.
    """
    return min(CLEARING_RANGE * max_range, FARTHEST)
