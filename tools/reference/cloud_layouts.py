# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bytes of the clouds that the node publishes, by packing one point of each."""

from __future__ import annotations

from pathlib import Path

from markdown import code, table


def layout_blocks(_root: Path) -> dict[str, str]:
    """Name, type and offset of each field."""
    import numpy as np

    from concerto_ros.labels.output_clouds import OUTPUT_CLOUDS
    from concerto_ros.labels.packed_cloud import DATATYPES, CloudStyle
    from concerto_ros.labels.prediction import Prediction

    point = Prediction(
        points=np.zeros((1, 3), np.float32),
        label=np.zeros(1, np.uint8),
        confidence=np.ones(1, np.float32),
        entropy=np.zeros(1, np.float32),
        pca_rgb=np.zeros((1, 3), np.uint8),
        similarity=np.zeros(1, np.float32),
        stamp=0,
        classes=(),
        model="",
        stage_ms={},
    )
    types = {number: str(kind) for kind, number in DATATYPES.items()}
    rows = []
    for cloud in OUTPUT_CLOUDS:
        packed = {
            layout: cloud.pack(point, CloudStyle(np.zeros((256, 3), np.uint8), layout))
            for layout in ("pcl", "autoware", "panoptic")
        }
        same = packed["pcl"].fields == packed["autoware"].fields
        for layout, one in packed.items():
            if same and layout != "pcl":
                continue
            names = ", ".join(
                f"{code(entry.name)} {types[entry.datatype]} at {entry.offset}"
                for entry in one.fields
            )
            shown = "any" if same else code(layout)
            rows.append((code(f"~/{cloud.topic}"), shown, names, str(one.point_step)))
    headings = ("topic", "`labels.layout`", "fields, each with its type and offset", "bytes")
    return {"layouts": table(headings, rows)}
