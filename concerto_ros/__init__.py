# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""3D semantic perception for ROS 2 robots with self-supervised point cloud encoders."""

import os

# PyTorch's OpenMP threads wait by spinning unless told otherwise before it loads. A robot's cores
# are never quiet, and spinning threads then take the time from those that compute: many times
# slower. A user's own choice has precedence.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The generated ``concerto_ros.msg`` may be installed elsewhere than this source tree.
__path__ = __import__("pkgutil").extend_path(__path__, __name__)

__all__ = ["Prediction", "SemanticPipeline"]


def __getattr__(name: str):
    # On first use, so that message packages and --help do not wait for PyTorch.
    if name in __all__:
        from concerto_ros import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
