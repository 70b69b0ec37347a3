# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernels of the encoder for CPUs, in C++: compiled at first use by the machine's own compiler.

A compiler that knows the CPU it compiles for makes use of all that this CPU can do, and nothing
has to be built for every kind of CPU beforehand. Where there is no compiler, PyTorch's operations
compute the same.

:mod:`~concerto_ros.ptv3.kernels.native.library` says whether the kernels are available, and why
not.
"""
