# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects: found in a labelled map, encoded, and named by classes, examples or words."""

from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.shared.base import ObjectEncoder

__all__ = ["ObjectEncoder", "load_object_encoder"]
