# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label a recording without ROS, then read the labels out of the new bag.

python examples/label_bag.py my_bag my_bag_labelled     rosbag2 folder, sqlite3 or MCAP
"""

import sys
from pathlib import Path

import numpy as np
from rosbags.highlevel import AnyReader

from concerto_ros.cli import main as concerto_ros

FORMATS = {6: "<u4", 7: "<f4"}  # sensor_msgs/PointField: UINT32, FLOAT32


def records(cloud) -> np.ndarray:
    """The points of a PointCloud2 as a structured array: records(cloud)["x"], ["label"], ..."""
    names = [field.name for field in cloud.fields]
    formats = [FORMATS[field.datatype] for field in cloud.fields]
    offsets = [field.offset for field in cloud.fields]
    layout = dict(names=names, formats=formats, offsets=offsets, itemsize=cloud.point_step)
    return np.frombuffer(cloud.data, np.dtype(layout))


def main(source: str, target: str) -> None:
    if concerto_ros(["bag", source, target]) != 0:
        sys.exit("the bag could not be labelled")
    with AnyReader([Path(target)]) as reader:
        names = {}
        for connection, _, raw in reader.messages():
            if connection.topic == "/concerto/classes":
                message = reader.deserialize(raw, connection.msgtype)
                names = {entry.id: entry.name for entry in message.classes}
            elif connection.topic == "/concerto/labels":
                cloud = reader.deserialize(raw, connection.msgtype)
                label, count = np.unique(records(cloud)["label"], return_counts=True)
                most = sorted(zip(count, label, strict=True), reverse=True)[:3]
                seen = ", ".join(f"{names.get(i, 'unlabelled')} {n}" for n, i in most)
                print(f"{cloud.header.stamp.sec}.{cloud.header.stamp.nanosec:09d}: {seen}")


if __name__ == "__main__":
    main(*sys.argv[1:])
