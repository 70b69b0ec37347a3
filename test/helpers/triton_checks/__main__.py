# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ``test_ptv3_backends.py`` runs in a process of its own: Triton's kernels against PyTorch.

On the CPU by Triton's interpreter (``TRITON_INTERPRET=1``), else on a GPU. Usage:
``python -m triton_checks agrees`` or ``python -m triton_checks compiles CAPABILITY...``.
"""

from __future__ import annotations

import sys

from triton_checks import coarsening, conv, curves, neighbours, norm, padding, pooling, rotary

KERNELS = (curves, neighbours, coarsening, conv, norm, padding, pooling, rotary)


def agrees():
    """The kernels compute what PyTorch does."""
    curves.codes()
    neighbours.neighbour_tables()
    coarsening.hierarchy()
    coarsening.coarser_voxels()
    conv.convolution_of_every_width_and_type()
    norm.residuals_and_norms()
    norm.gradients_of_norms()
    padding.padded_levels()
    padding.padded_patches()
    pooling.pooled_rows()
    pooling.gradients_of_pools()
    rotary.rotated_heads()
    rotary.gradients_of_rotations()
    norm.residuals_compile_once_for_each_width()
    conv.warming_up()
    conv.gradients()


if __name__ == "__main__":
    if sys.argv[1] == "compiles":
        for capability in map(int, sys.argv[2:]):
            for kernel in KERNELS:
                kernel.compiles(capability)
    else:
        agrees()
