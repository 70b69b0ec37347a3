# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label one point cloud and save the labels: no ROS, no configuration.

python examples/label_cloud.py scan.ply labels.npz     any file that Open3D reads, metres, z up
"""

import sys

import numpy as np
import open3d as o3d

from concerto_ros import SemanticPipeline
from concerto_ros.settings import Settings


def main(source: str, target: str) -> None:
    cloud = o3d.io.read_point_cloud(source)
    points = np.asarray(cloud.points)  # (N, 3) metres; any array will do
    colors = np.asarray(cloud.colors) * 255 if cloud.has_colors() else None  # (N, 3) 0..255

    pipeline = SemanticPipeline.from_settings(Settings())  # the parameters of the node
    prediction = pipeline.segment(points, colors)

    names = [entry.name for entry in prediction.classes]
    print(f"{len(points)} points, labelled by {prediction.model}")
    for label, name in enumerate(names):
        mine = prediction.label == label
        if mine.any():
            sure = prediction.confidence[mine].mean()
            print(f"  {name:<8} {mine.mean():6.1%} of the points, confidence {sure:.2f}")
    np.savez(
        target,
        points=points,
        label=prediction.label,  # (N,) uint8, position in names; 255: no label
        confidence=prediction.confidence,  # (N,) float32, 0 to 1
        names=names,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
