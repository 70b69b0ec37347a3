# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What happens to scans on their way into a batch."""

from __future__ import annotations

import numpy as np

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.augment import Centre, Compose
from concerto_ros.learning.data.collate import FittedNormals, ScanCollate
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.segmentation.convention import convention_for

INDOOR = convention_for("indoor", rotary=False)


class Scans(list):
    """A data set in memory."""

    classes = LabelSet.from_generic(2)
    sensor_at_origin = False


def wall_and_beyond():
    """A wall in front of the origin, and more of the room far behind it."""
    y, z = np.meshgrid(np.arange(-1, 1, 0.05), np.arange(-1, 1, 0.05))
    wall = np.column_stack([np.full(y.size, 2.0), y.ravel(), z.ravel()])
    points = np.vstack([wall, wall + [8, 0, 0]]).astype(np.float32)
    return Scan("wall", points, np.zeros(len(points), np.uint8))


def test_fitted_normals_face_the_sensor_where_it_is_known():
    data = Scans([wall_and_beyond()])
    front = slice(0, 1600)
    middle = FittedNormals(data, 0.1)[0].normals
    np.testing.assert_allclose(middle[front], np.tile([1, 0, 0], (1600, 1)), atol=1e-4)
    data.sensor_at_origin = True
    sensor = FittedNormals(data, 0.1)[0].normals
    np.testing.assert_allclose(sensor, np.tile([-1, 0, 0], (3200, 1)), atol=1e-4)


def test_normals_that_are_there_stay():
    scan = wall_and_beyond()
    given = Scan("s", scan.points, scan.labels, None, np.full_like(scan.points, 3**-0.5))
    fitted = FittedNormals(Scans([given]), 0.1)
    assert fitted[0] is given and len(fitted) == 1 and fitted.classes is Scans.classes


def test_scans_are_augmented_and_mixed_in_training_alone():
    random = np.random.default_rng(0)
    scans = [
        Scan("a", random.random((50, 3), np.float32) + place, np.zeros(50, np.uint8))
        for place in (0, 10)
    ]
    collate = ScanCollate(INDOOR, 0.02, Compose((Centre(),)), mix=1.0)
    training = collate(scans, np.random.default_rng(0))
    assert len(training.offset) == 1 and len(training.inverse[0]) == 100
    assert np.ptp(training.coord.numpy(), axis=0).max() < 2
    validation = collate(scans, None)
    assert len(validation.offset) == 2
