# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Object encoders: what a cut-out object is, by trained classes, by examples or by words."""

from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.shared.base import ObjectEncoder

__all__ = ["ObjectEncoder", "load_object_encoder"]
