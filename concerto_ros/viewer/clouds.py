# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of files and saved maps in the viewer: labels, features, and what the file looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concerto_ros.labels.heat_colors import heat_colors
from concerto_ros.labels.label_set import UNLABELLED, LabelSet, SemanticClass
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_file import StoredMap
from concerto_ros.viewer.layout import layout
from concerto_ros.viewer.scene import Scene
from concerto_ros.viz.cloud_picture import height_colors, open_view, sensor_view

#: Labels of a file up to this one are shown, as many as the viewer's classes; 255 is unlabelled.
HIGHEST_LABEL = 65535


@dataclass(frozen=True, eq=False)
class ShownCloud:
    """A cloud and all that is known of its N points.

    Attributes:
        points: (N, 3), metres, z up.
        label: (N,) int64, 255 where unlabelled.
        labels: The meaning of the labels.
        title: Above the legend, such as what labelled it.
        colors: (N, 3) uint8, of the sensor; None: there are none.
        prediction: Of the same points, with feature colours and perhaps a similarity; None: the
            labels are the file's own.
        normals: (N, 3), to look at surfaces from the front; None: they are not known.
        origin: (3,), metres, where the sensor was; None: not known.
    """

    points: np.ndarray
    label: np.ndarray
    labels: LabelSet
    title: str
    colors: np.ndarray | None = None
    prediction: Prediction | None = None
    normals: np.ndarray | None = None
    origin: np.ndarray | None = None


def show_cloud(scene: Scene, cloud: ShownCloud) -> None:
    """Show a cloud from where most of it is seen."""
    label = np.where((cloud.label >= 0) & (cloud.label <= HIGHEST_LABEL), cloud.label, UNLABELLED)
    scene.classes(cloud.labels, cloud.title)
    scene.labels(cloud.points, label)
    colors = height_colors(cloud.points) if cloud.colors is None else cloud.colors
    scene.cloud("inputs/cloud", cloud.points, colors)
    if cloud.prediction is not None:
        scene.cloud("pca", cloud.points, cloud.prediction.pca_rgb)
        cosine = cloud.prediction.similarity
        if cosine is not None:
            known = np.isfinite(cosine)
            scene.cloud("similarity", cloud.points[known], heat_colors(cosine[known]))
    if cloud.origin is not None:
        view = sensor_view(cloud.points, cloud.origin)
    else:
        normals = np.zeros_like(cloud.points) if cloud.normals is None else cloud.normals
        view = open_view(cloud.points, normals)
    scene.look(layout(scene.entities, view_from=view))


def named_labels(label: np.ndarray, rgb: np.ndarray | None, given: str = "") -> LabelSet:
    """Find out what the labels of a file mean, which does not say it.

    Args:
        label: (N,) int64.
        rgb: (N, 3) uint8, the colours of the points; None: there are none.
        given: Name or file of the label set; empty: the shipped set in whose colours the points
            are, as ``concerto-ros segment`` writes them; where there is none, numbers, in the
            file's own colours if each label has one.

    Raises:
        ValueError: There is no label set of the name ``given``.
    """
    if given:
        return LabelSet.load(given)
    values, first = np.unique(label, return_index=True)
    is_class = (values != UNLABELLED) & (values >= 0) & (values <= HIGHEST_LABEL)
    # Of more, such as numbers of instances, the viewer chooses the colours and no legend has room.
    values, first = values[is_class][:UNLABELLED], first[is_class][:UNLABELLED]
    colored = label[np.isin(label, values)]
    own = None
    if rgb is not None and len(values):
        own = rgb[first]
        same = own[np.searchsorted(values, colored)] == rgb[np.isin(label, values)]
        own = own if same.all() else None
    if own is not None and values.max() < UNLABELLED:
        for name in LabelSet.shipped():
            shipped = LabelSet.load(name)
            if values.max() < len(shipped) and (shipped.palette[values] == own).all():
                return shipped
    spread = LabelSet.from_generic(UNLABELLED).palette
    colors = spread[values % UNLABELLED] if own is None else own
    classes = tuple(
        SemanticClass(int(value), f"label {value}", tuple(color.tolist()), int(value))
        for value, color in zip(values, colors, strict=True)
    )
    return LabelSet("file", "labels of the file", classes)


def of_map(stored: StoredMap) -> ShownCloud:
    """Return a saved map with the labels that it was saved with."""
    snapshot = stored.snapshot
    colors = None
    if snapshot.has_color.any():
        colors = snapshot.colors.round().astype(np.uint8)
    return ShownCloud(
        points=snapshot.points,
        label=stored.label.astype(np.int64),
        labels=_labels_of(stored.classes),
        title="saved with the map",
        colors=colors,
        normals=snapshot.normals,
    )


def _labels_of(names: tuple[str, ...]) -> LabelSet:
    """Return the shipped set with these classes, else one in colours of its own."""
    for shipped in LabelSet.shipped():
        labels = LabelSet.load(shipped)
        if tuple(entry.name for entry in labels.classes) == names:
            return labels
    colors = LabelSet.from_generic(UNLABELLED).palette.tolist()
    classes = tuple(
        SemanticClass(label, name, tuple(colors[label]), label)
        for label, name in enumerate(names[:UNLABELLED])
    )
    return LabelSet("map", "classes of the map", classes)
