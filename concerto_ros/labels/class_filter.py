# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of the labelled points a planner wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.outputs import FilterSettings


@dataclass(frozen=True, eq=False)
class ClassFilter:
    """A choice of classes.

    Attributes
    ----------
    name: what the parameters and the topic call it.
    passing: (256,) bool, for each label whether its points pass.
    min_confidence: in [0, 1]; labelled points below it do not pass.
    frame: the frame the points are wanted in; empty: the fixed frame.
    """

    name: str
    passing: np.ndarray
    min_confidence: float
    frame: str

    @classmethod
    def of(cls, settings: FilterSettings, labels: LabelSet) -> ClassFilter:
        """The filter of these settings; SettingsError names a class that is not in ``labels``."""
        numbers = {entry.name: entry.id for entry in labels.classes}
        passing = np.zeros(256, bool)
        passing[: len(labels)] = not settings.include
        for key, names in (("include", settings.include), ("exclude", settings.exclude)):
            for name in names:
                if name not in numbers:
                    raise SettingsError(
                        f"filters.{settings.name}.{key}: got {name!r}, expected classes of the"
                        f" label set {labels.name}: {', '.join(numbers) or 'it has none'}"
                    )
                passing[numbers[name]] = key == "include"
        passing[UNLABELLED] = settings.unlabelled
        return cls(settings.name, passing, settings.min_confidence, settings.frame)

    def passes(self, label: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """(N,) bool for points with ``label`` (N,) uint8 and ``confidence`` (N,) float32."""
        certain = (confidence >= np.float32(self.min_confidence)) | (label == UNLABELLED)
        return self.passing[label] & certain


def check_filters(filters: Sequence[FilterSettings], labels: LabelSet) -> None:
    """SettingsError where one of ``filters`` names a class that is not in ``labels``."""
    for entry in filters:
        ClassFilter.of(entry, labels)
