# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of simulated scans: the scan, its ground truth, and what a bundled model says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.recipe import Recipe
from concerto_ros.learning.demo_model.report.conditions import label
from concerto_ros.learning.methods.segmenter import Segmenter


def write_pictures(model: Segmenter, recipe: Recipe, scans: Iterable[Scan], path: Path) -> None:
    """Write a JPEG with a row per scan: in colour, ground truth, prediction.

    Args:
        model: In evaluation mode.
        recipe: Of the model.
        scans: With normals; a scan without colours is grey.
        path: The file.
    """
    from PIL import Image

    from concerto_ros.viz.cloud_picture import open_view, render_cloud

    palette, rows = recipe.classes.palette, []
    for scan in scans:
        assert scan.normals is not None  # of simulated scans
        grey = np.full((len(scan), 3), 150, np.uint8)
        own = grey if scan.colors is None else scan.colors
        colors = (own, palette[scan.labels], palette[label(model, scan, recipe)])
        # Surfaces that face away from the eye would hide the room.
        eye, target = open_view(scan.points, scan.normals)
        visible = ((eye - scan.points) * scan.normals).sum(1) > 0
        titles = ("scan", "ground truth", "prediction")
        rows.append(
            [
                render_cloud(
                    scan.points[visible],
                    rgb[visible],
                    width=560,
                    height=340,
                    view_from=(eye.tolist(), target.tolist()),
                    title=f"{scan.name}: {title}",
                )
                for rgb, title in zip(colors, titles, strict=True)
            ]
        )
    picture = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=85)
