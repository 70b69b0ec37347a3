# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds from files of many formats."""

from concerto_ros.sensors.cloud_files.reader import (
    FORMATS,
    CloudFile,
    read_cloud,
    read_cloud_file,
    read_columns,
)

__all__ = ["FORMATS", "CloudFile", "read_cloud", "read_cloud_file", "read_columns"]
