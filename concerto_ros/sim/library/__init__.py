# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Furniture of other people's model libraries, for simulated rooms and streets.

Nothing of a library is part of this package: it is read where it lies, e.g. from Debian's package
``sweethome3d-furniture``.
"""

from __future__ import annotations

from concerto_ros.sim.library.catalogue import FurnitureError
from concerto_ros.sim.library.library import FurnitureLibrary, Piece, find_folder, part_of

__all__ = ["FurnitureError", "FurnitureLibrary", "Piece", "find_folder", "part_of"]
