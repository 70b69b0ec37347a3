# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of a point cloud, straight from the encoder, and the voxels most like a chosen one.

python examples/cloud_features.py scan.ply 1.0 0.5 0.0     metres, z up; x, y and z of a point
"""

import sys

import numpy as np
import open3d as o3d
import torch

from concerto_ros.ptv3 import load_encoder


def main(source: str, *chosen: str) -> None:
    encoder = load_encoder("demo")  # or "concerto_base", or a file
    size = encoder.grid_size or 0.02  # metres; official files do not tell theirs

    cloud = o3d.io.read_point_cloud(source)
    low = cloud.get_min_bound()
    _, first = np.unique((np.asarray(cloud.points) - low) // size, axis=0, return_index=True)
    cloud = cloud.select_by_index(np.sort(first))  # one point of each voxel
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(16))
    cloud.orient_normals_towards_camera_location(cloud.get_center())
    points, normals = np.asarray(cloud.points), np.asarray(cloud.normals)
    colors = np.asarray(cloud.colors) if cloud.has_colors() else np.zeros_like(points)

    # Positions from the middle of the floor, colours 0 to 1, unit normals.
    coord = points - [*cloud.get_axis_aligned_bounding_box().get_center()[:2], low[2]]
    feat = np.hstack([coord, colors, normals])
    with torch.inference_mode():
        pyramid = encoder(
            torch.from_numpy(feat).float(),
            torch.from_numpy((points - low) // size).long(),
            torch.from_numpy(coord).float(),
            torch.tensor([len(points)]),  # the clouds of a batch end at these rows
        )
        features = torch.nn.functional.normalize(pyramid.upcast(concat_levels=2))  # (V, C)
    print(f"{len(points)} voxels, each with {features.shape[1]} features")
    np.savez("features.npz", points=points, features=features.numpy())

    row = np.linalg.norm(points - np.array(chosen, float), axis=1).argmin()
    cosine, like = (features @ features[row]).topk(min(500, len(points)))
    low, high = points[like].min(axis=0), points[like].max(axis=0)
    print(f"The {len(like)} most like it (cosine {cosine[-1]:.2f} or more) lie between")
    print(f"{low.round(2)} and {high.round(2)}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
