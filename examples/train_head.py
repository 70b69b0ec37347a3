# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Teach the model your own classes from labelled scans, then label a scan that it has not seen.

python examples/simulate_scans.py scans 0 1 2 3 4
python examples/simulate_scans.py unseen 5
python examples/train_head.py scans unseen/room_5.ply
"""

import sys
from pathlib import Path

import numpy as np
import open3d as o3d

from concerto_ros import SemanticPipeline
from concerto_ros.cli import main as concerto_ros
from concerto_ros.settings import Settings

# Your classes, and which of them each label in the files belongs to.
LABEL_MAP = """
classes: [ground, structure, seat, thing]
map: {0: ground, 1: structure, 2: structure, 3: structure, 4: thing, 5: seat,
      6: seat, 7: thing, 8: thing, 9: thing, 10: ignore, 11: thing}
"""


def main(folder: str, unseen: str) -> None:
    Path("my_classes.yaml").write_text(LABEL_MAP)
    options = ["--label-map", "my_classes.yaml", "--out", "my_head", "--steps", "300"]
    if concerto_ros(["train", "head", folder, *options]) != 0:
        sys.exit("The training failed.")

    settings = Settings(head="my_head/head.pth", label_set="my_head/classes.yaml")
    cloud = o3d.io.read_point_cloud(unseen)
    prediction = SemanticPipeline.from_settings(settings).segment(
        np.asarray(cloud.points), np.asarray(cloud.colors) * 255
    )
    for entry in prediction.classes:
        print(f"{unseen}: {np.mean(prediction.label == entry.id):.1%} {entry.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
