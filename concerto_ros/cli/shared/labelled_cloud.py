# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The files and the text that ``segment`` and ``video`` make of a labelled cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from concerto_ros.labels.prediction import Prediction


def write_labelled_cloud(
    stem: Path,
    points: np.ndarray,
    prediction: Prediction,
    palette: np.ndarray,
    view: tuple[np.ndarray, np.ndarray] | None,
    shown: np.ndarray | slice = slice(None),
) -> list[Path]:
    """Write ``STEM_labels.ply`` and ``.png``, ``STEM_pca.png`` and ``.ply``.

    Args:
        stem: Folder and beginning of the names.
        points: (N, 3) metres, as the .ply files have them.
        prediction: Of these points; the pictures show its own, z up.
        palette: (256, 3) uint8, the colour of each label.
        view: (eye, target) of the pictures; None: from where most is seen.
        shown: The points of the pictures, a mask (N,).

    Returns:
        The files.

    Raises:
        OSError: One cannot be written.
    """
    from PIL import Image

    from concerto_ros.sensors.ply import write_labelled_ply
    from concerto_ros.viz.cloud_picture import render_cloud

    rgb = palette[prediction.label]
    kinds = ("labels.ply", "labels.png", "pca.png", "pca.ply")
    written = [Path(f"{stem}_{kind}") for kind in kinds]
    write_labelled_ply(
        written[0],
        points,
        rgb,
        label=prediction.label,
        confidence=prediction.confidence,
        instance=prediction.instance,
        comment=prediction.model,
    )
    comment = f"feature colours: {prediction.model}"
    write_labelled_ply(written[3], points, prediction.pca_rgb, comment=comment)
    for path, colors, content in (
        (written[1], rgb, "labels"),
        (written[2], prediction.pca_rgb, "PCA"),
    ):
        title = f"{content}: {prediction.model}"
        picture = render_cloud(
            prediction.points[shown], colors[shown], view_from=view, title=title
        )
        Image.fromarray(picture).save(path)
    return written


def print_shares(prediction: Prediction, preset: str) -> None:
    """Print the height of the floor, the share of each class, and what to doubt."""
    from concerto_ros.labels.prediction import NOT_FINITE, not_like_training

    total = len(prediction.label)
    if not np.isnan(prediction.floor_height):
        print(f"floor at z = {prediction.floor_height:.2f} m")
    for semantic_class in prediction.classes:
        share = np.count_nonzero(prediction.label == semantic_class.id) / total
        if share:
            print(f"  {semantic_class.name:<20} {share:6.1%}")
    if prediction.instance is not None:
        print(f"objects: {len(np.unique(prediction.instance[prediction.instance > 0]))}")
    if prediction.is_unfamiliar:
        unfamiliar = prediction.count_unfamiliar / total
        unlike = not_like_training(preset)
        print(f"  {unlike}: {unfamiliar:.0%} of the points; doubt the labels")
    if prediction.not_finite:
        print(f"  {prediction.not_finite} points have no label: {NOT_FINITE}")


def print_times_and_files(prediction: Prediction, written: Sequence[Path]) -> None:
    """Print how long each stage took, and what was written."""
    print("  ".join(f"{stage} {spent:.0f} ms" for stage, spent in prediction.stage_ms.items()))
    print("wrote " + ", ".join(str(path) for path in written))
