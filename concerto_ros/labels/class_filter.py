# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Class filters: which of the labelled points a filtered cloud holds."""

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

    Attributes:
        name: its name in the parameters and the topic.
        passing: (256,) bool, for each label whether its points pass.
        min_confidence: in [0, 1]; labelled points below it do not pass.
        frame: the frame to which the points are transformed; empty: the fixed frame.
    """

    name: str
    passing: np.ndarray
    min_confidence: float
    frame: str

    @classmethod
    def of(cls, settings: FilterSettings, labels: LabelSet) -> ClassFilter:
        """Build the filter that ``settings`` describe.

        Names joined by ``|``, as in ``floor|ground``, are what several models call the same: those
        of them that are in ``labels`` count, and one has to be.

        Raises:
            SettingsError: a class does not exist in ``labels``; the text names it.
        """
        label_by_name = {entry.name: entry.id for entry in labels.classes}
        passing = np.zeros(256, bool)
        passing[: len(labels)] = not settings.include
        for key, names in (("include", settings.include), ("exclude", settings.exclude)):
            for name in names:
                known = label_by_name.keys() & {name, *name.split("|")}
                if not known:
                    raise SettingsError(
                        f"filters.{settings.name}.{key}: got {name!r}, expected classes of the"
                        f" label set {labels.name}: {', '.join(label_by_name) or 'it has none'}"
                    )
                passing[[label_by_name[each] for each in known]] = key == "include"
        passing[UNLABELLED] = settings.unlabelled
        return cls(settings.name, passing, settings.min_confidence, settings.frame)

    def passes(self, label: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """Return which points pass, (N,) bool.

        Args:
            label: (N,) uint8.
            confidence: (N,) float32.
        """
        certain = (confidence >= np.float32(self.min_confidence)) | (label == UNLABELLED)
        return self.passing[label] & certain


def check_filters(filters: Sequence[FilterSettings], labels: LabelSet) -> None:
    """Check that all classes in ``filters`` exist in ``labels``.

    Raises:
        SettingsError: a class does not exist; the text names it.
    """
    for entry in filters:
        ClassFilter.of(entry, labels)
