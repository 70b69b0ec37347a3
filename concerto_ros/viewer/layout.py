# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the viewer is arranged at first: a blueprint for what a recording holds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from concerto_ros.viewer.library import rerun_library
from concerto_ros.viz.cloud_picture import open_view

#: The rows of clouds below the labels: the name of a view and what it holds.
CLOUD_VIEWS = (
    ("Input", ("inputs", "cameras")),
    ("Features (PCA)", ("pca",)),
    ("Similarity", ("similarity",)),
    ("Filtered", ("filtered",)),
    ("Instances", ("instances",)),
)


def whole_view(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (eye, target) that show most of ``points`` (N, 3); None where there are none."""
    return open_view(points, np.zeros_like(points)) if len(points) else None


def layout(
    entities: Collection[str],
    *,
    fixed_frame: str = "",
    view_from: tuple[np.ndarray, np.ndarray] | None = None,
) -> Any:
    """Arrange what a recording holds: labels and objects above, the other clouds below them.

    To the right are the legend, the images, and the plot of times.

    Args:
        entities: Names of :mod:`concerto_ros.viewer.scene` that the recording has, or will have.
        fixed_frame: The frame in which clouds are shown; empty: there are no frames.
        view_from: (eye, target), (3,) each, metres, of the first look; None: the viewer chooses.

    Returns:
        A ``rerun.blueprint.Blueprint``.
    """
    blueprints = rerun_library().blueprint
    rooms = {entity.split("/")[0] for entity in entities}

    def clouds(name: str, *held: str) -> Any:
        options: dict[str, Any] = {}
        if fixed_frame:
            options["spatial_information"] = blueprints.SpatialInformation(fixed_frame)
        if view_from is not None:
            eye, target = (np.asarray(point, float) for point in view_from)
            options["eye_controls"] = blueprints.EyeControls3D(
                kind=blueprints.Eye3DKind.Orbital,
                position=eye,
                look_target=target,
                eye_up=(0.0, 0.0, 1.0),
            )
        contents = [f"+ /{each}/**" for each in (*held, "frames")]
        return blueprints.Spatial3DView(origin="/", contents=contents, name=name, **options)

    below = [clouds(name, *held) for name, held in CLOUD_VIEWS if rooms.intersection(held)]
    left = [clouds("Labels", "labels", "objects")] if "labels" in rooms else []
    left += [blueprints.Horizontal(*below)] if below else []
    right = []
    if "classes" in rooms:
        right.append(blueprints.Spatial2DView(origin="/classes", name="Classes"))
    images = sorted(entity for entity in entities if entity.startswith("cameras/"))
    if images:
        views = [blueprints.Spatial2DView(origin=f"/{each}", name=each) for each in images]
        right.append(blueprints.Tabs(*views) if len(views) > 1 else views[0])
    if "times" in rooms:
        right.append(blueprints.TimeSeriesView(origin="/times", name="Times [ms]"))
    columns = [blueprints.Vertical(*left, row_shares=[3, 2][: len(left)])] if left else []
    if right:
        columns.append(blueprints.Vertical(*right))
    return blueprints.Blueprint(
        blueprints.Horizontal(*columns, column_shares=[3, 1][: len(columns)]),
        blueprints.BlueprintPanel(state="collapsed"),
        blueprints.SelectionPanel(state="collapsed"),
        blueprints.TimePanel(state="collapsed", play_state="following", timeline="time"),
        auto_views=False,
    )
