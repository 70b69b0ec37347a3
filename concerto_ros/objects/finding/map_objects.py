# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ids of the objects in maps that are searched as soon as they are labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.objects.finding.instances import LabelledCloud, find_instances
from concerto_ros.objects.finding.object_voxels import ObjectVoxels
from concerto_ros.objects.finding.tracking import Tracker
from concerto_ros.settings.objects import ObjectSettings

#: What the names of the state begin with, beside those of the pipeline.
PREFIX = "objects."


class MapObjects:
    """Finds and tracks the objects of one labelled map after the other.

    The node finds them beside the labels, at a rate of its own. Here each map is searched before
    its labels are used, so that all ids are current, and depend only on the maps.

    Args:
        labels: The classes.
        settings: Which classes are objects, and for how long they are known.

    Raises:
        ValueError: A class in the settings is none of ``labels``.
    """

    def __init__(self, labels: LabelSet, settings: ObjectSettings):
        self._roles = ClassRoles.of(labels, settings.classes, settings.supports)
        self._min_voxels = settings.min_voxels
        self._tracker = Tracker(settings.memory)

    def numbered(self, snapshot: MapSnapshot, prediction: Prediction) -> Prediction:
        """Return the prediction of a map with the ids of its objects, the first of which is 1."""
        cloud = LabelledCloud.of(snapshot, prediction)
        instances = find_instances(cloud, self._roles, self._min_voxels)
        tracks = self._tracker.update(instances, cloud.index, cloud.stamp)
        voxels = ObjectVoxels.of(tracks, cloud)
        return replace(prediction, instance=voxels.ids_in(snapshot, prediction.label, 0.0))

    def state(self) -> dict[str, torch.Tensor]:
        """Return the known objects, for :meth:`restore`."""
        return {f"{PREFIX}{name}": value for name, value in self._tracker.state().items()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from a state that may have other entries as well; from none if it has none."""
        own = [name for name in state if name.startswith(PREFIX)]
        self._tracker.restore({name.removeprefix(PREFIX): state[name] for name in own})
