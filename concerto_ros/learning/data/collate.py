# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From scans to the batches that a segmenter takes.

See :class:`concerto_ros.learning.methods.segmenter.Segmenter`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.augment import mix
from concerto_ros.learning.data.batch import Batch, make_batch, with_normals
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.scan_identity import about_scans
from concerto_ros.segmentation.convention import Convention

#: Changes a scan at random, e.g. turns it; draws from the generator alone.
Augment = Callable[[Scan, np.random.Generator], Scan]


@dataclass(frozen=True)
class ScanCollate:
    """Augments each scan, where a generator is given, and grid-samples it.

    ``mix`` is the probability with which two augmented scans of a batch are laid over each other.
    """

    convention: Convention
    voxel_size: float
    augment: Augment | None = None
    mix: float = 0.0

    def __call__(self, scans: Sequence[Scan], generator: np.random.Generator | None) -> Batch:
        if self.augment is not None and generator is not None:
            scans = [self.augment(scan, generator) for scan in scans]
            if self.mix:
                scans = mix(scans, generator, self.mix)
        return make_batch(scans, self.convention, self.voxel_size)


class FittedNormals(Sequence):
    """The scans of a data set, with fitted normals where they have none, as the pipeline does.

    They face the origin where the data set says that its scans are seen from there.
    """

    def __init__(self, data: Sequence[Scan], voxel_size: float):
        self.data, self.voxel_size = data, voxel_size
        self._sensor = np.zeros(3) if getattr(data, "sensor_at_origin", False) else None

    @property
    def classes(self) -> LabelSet:
        """The label set, in label order."""
        return self.data.classes

    def __len__(self) -> int:
        return len(self.data)

    def about(self) -> dict[str, Any]:
        """What must stay the same for a training to go on, by name."""
        fitted = f"fitted to voxels of {self.voxel_size} m where there are none"
        return about_scans(self.data) | {"normals": fitted}

    def __getitem__(self, index: int) -> Scan:
        return with_normals(self.data[index], self.voxel_size, self._sensor)
