# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of sensor_msgs/Image and CompressedImage to colour and depth arrays.

Which encodings are decoded, for the node and for bags alike, is listed in
:mod:`concerto_ros.sensors.images.encodings`.
"""

from __future__ import annotations

from concerto_ros.sensors.images.color import decode_color
from concerto_ros.sensors.images.depth import decode_depth

__all__ = ["decode_color", "decode_depth"]
