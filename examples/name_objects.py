# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut the furniture out of a labelled scan, and let an object encoder name each piece.

python examples/name_objects.py scan.ply     metres, z up
"""

import sys

import numpy as np
import open3d as o3d
import torch

from concerto_ros import SemanticPipeline
from concerto_ros.objects import load_object_encoder
from concerto_ros.settings import Settings

THINGS = ("table", "chair", "sofa", "screen", "other")


def main(source: str) -> None:
    cloud = o3d.io.read_point_cloud(source).voxel_down_sample(0.02)
    points, colors = np.asarray(cloud.points), np.asarray(cloud.colors) * 255
    prediction = SemanticPipeline.from_settings(Settings()).segment(points, colors)

    pieces = []  # (name of the label, points) of everything that hangs together
    for entry in prediction.classes:
        if entry.name in THINGS:
            mine = cloud.select_by_index(np.flatnonzero(prediction.label == entry.id))
            group = np.array(mine.cluster_dbscan(eps=0.08, min_points=8))
            for number in range(group.max(initial=-1) + 1):
                pieces.append((entry.name, np.asarray(mine.points)[group == number]))
    pieces = [(label, piece) for label, piece in pieces if len(piece) >= 100]
    if not pieces:
        sys.exit(f"{source}: there is no furniture in it.")

    encoder = load_object_encoder("demo")  # or a published file, e.g. of ReCon
    batch = torch.stack([encoder.prepare(piece) for _, piece in pieces])
    with torch.inference_mode():
        probability, best = encoder.classify(batch).softmax(dim=1).max(dim=1)
    for (label, piece), sure, number in zip(pieces, probability, best, strict=True):
        x, y, z = piece.mean(axis=0)
        name = encoder.class_names[number] if sure > 0.5 else "not sure"
        print(f"{label:<6} at ({x:4.1f}, {y:4.1f}, {z:4.1f}): {name}, {sure:.0%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
