# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The calls of the Concerto package (github.com/Pointcept/Concerto), on the encoder of this one.

A program that was written for it runs without spconv, torch-scatter and flash-attn, on CPUs too,
with one line changed::

    from concerto_ros.compat import concerto  # instead of: import concerto

There are the calls of its demos and its README: :func:`load`, ``model``, ``transform``, ``data``,
``utils`` and ``structure.Point``. What differs: the space-filling curves are never shuffled, so
the same cloud always gives the same features; and augmentations of the pre-training are left out.
"""

from __future__ import annotations

from concerto_ros.compat.concerto import data, model, structure, transform, utils
from concerto_ros.compat.concerto.model import load

__all__ = ["data", "load", "model", "structure", "transform", "utils"]
