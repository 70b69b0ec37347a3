# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Collate functions: from labelled scans to the batches that a segmenter takes as input.

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
from concerto_ros.learning.data.labelled_scan import LabelledScans, Scan
from concerto_ros.learning.data.lazy_sequence import LazySequence
from concerto_ros.learning.data.scan_identity import scan_identity, values_found
from concerto_ros.segmentation.convention import Convention

#: Changes a scan at random, e.g. rotates it; its only source of randomness is the generator.
Augment = Callable[[Scan, np.random.Generator], Scan]


@dataclass(frozen=True)
class ScanCollate:
    """Augments each scan, if it is called with a generator, and grid-samples it.

    Its ``repr`` is part of a training run's identity, from which a run is recognised when it
    resumes.

    Attributes:
        convention: Scale and centre of the coordinates.
        voxel_size: Metres.
        augment: Augmentation of a single scan; None: no augmentation.
        mix: Probability with which two augmented scans of a batch are merged into one (Mix3D).
    """

    convention: Convention
    voxel_size: float
    augment: Augment | None = None
    mix: float = 0.0

    def __call__(self, scans: Sequence[Scan], generator: np.random.Generator | None) -> Batch:
        """The batch of ``scans``; without a generator they are not augmented."""
        if self.augment is not None and generator is not None:
            scans = [self.augment(scan, generator) for scan in scans]
            if self.mix:
                scans = mix(scans, generator, self.mix)
        return make_batch(scans, self.convention, self.voxel_size)


class FittedNormals(LazySequence[Scan]):
    """The scans of a data set; those without normals get fitted ones, as in the pipeline.

    The normals face the origin if the data set has ``sensor_at_origin``, else the middle of the
    scan.
    """

    def __init__(self, data: LabelledScans, voxel_size: float):
        self.data, self.voxel_size = data, voxel_size
        self._sensor = np.zeros(3) if getattr(data, "sensor_at_origin", False) else None

    @property
    def classes(self) -> LabelSet:
        """The label set, in label order."""
        return self.data.classes

    def __len__(self) -> int:
        return len(self.data)

    def identity(self) -> dict[str, Any]:
        """By name, what must be equal for a training run to resume with these scans."""
        fitted = f"fitted to voxels of {self.voxel_size} m where there are none"
        return scan_identity(self.data) | {"normals": fitted}

    def values_found(self) -> dict[int, int]:
        """Number of points of each label value in the files of these scans."""
        return values_found(self.data)

    def read_item(self, index: int) -> Scan:
        """The scan at ``index`` with normals."""
        return with_normals(self.data[index], self.voxel_size, self._sensor)
