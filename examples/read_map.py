# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read a map that the node has saved. Needs numpy and safetensors, nothing of concerto_ros.

ros2 service call /concerto/save_map concerto_ros/srv/SaveMap "{path: kitchen.safetensors}"
python examples/read_map.py kitchen.safetensors
"""

import json
import sys

import numpy as np
from safetensors import safe_open


def main(path: str) -> None:
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        points, label = file.get_tensor("points"), file.get_tensor("label")
        confidence = file.get_tensor("confidence")
    names, size = json.loads(metadata["classes"]), float(metadata["voxel_size"])
    print(f"{len(points)} voxels of {size} m in frame {metadata['fixed_frame']}")

    print(f"{'class':<12} {'voxels':>7} {'confidence':>10}  {'seen from above':>15}  height")
    for value in np.unique(label):
        mine = label == value
        name = names[value] if value < len(names) else "(unlabelled)"
        columns = np.unique(points[mine, :2] // size, axis=0)  # one for each cell of a grid map
        low, high = np.percentile(points[mine, 2], [5, 95])
        print(
            f"{name:<12} {mine.sum():>7} {confidence[mine].mean():>10.2f}"
            f"  {len(columns) * size**2:>12.1f} m2  {low:.2f} to {high:.2f} m"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
