# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""3D semantic perception for ROS 2 robots with self-supervised point cloud encoders."""

import os
import platform

# By default PyTorch's OpenMP threads wait by spinning; this can be changed before it loads only.
# The cores of a robot are never idle, and spinning threads take time from those that compute: many
# times slower. A choice of the user has precedence.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# oneDNN and PyTorch keep up to 1024 kernels each, by the sizes of their arrays: 0.6 MB a kernel,
# more than half a gigabyte. A pass of an encoder takes about 70; with fewer than it takes, every
# pass would compile all of them again. Read once, before the first product.
for _capacity in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_capacity, "256")

# Maps change their size with every frame, which leaves gaps in PyTorch's memory on a GPU unless
# its segments can grow. Read when PyTorch loads: by the first name now, by the second up to 2.9 at
# least (PyTorch issue 183387). Not on aarch64: untried on Tegra.
_allocator = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
if platform.machine() != "aarch64" and not os.environ.keys() & set(_allocator):
    os.environ.update(dict.fromkeys(_allocator, "expandable_segments:True"))

# The generated ``concerto_ros.msg`` may be installed elsewhere than this source tree.
__path__ = __import__("pkgutil").extend_path(__path__, __name__)

__all__ = ["Prediction", "SemanticPipeline"]


def __getattr__(name: str):
    # On first use, so that message packages and --help do not wait for PyTorch.
    if name in __all__:
        from concerto_ros import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
