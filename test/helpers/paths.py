# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the tests find files, wherever a test itself lies."""

from __future__ import annotations

from pathlib import Path

#: The checkout, or the copy of it that colcon tests.
REPOSITORY = Path(__file__).resolve().parents[2]

#: What the tests share, for the import path of processes that they start.
HELPERS = REPOSITORY / "test" / "helpers"

#: What the reference implementations computed, one folder for each family of models; and what an
#: older version of this package wrote.
GOLDEN = REPOSITORY / "test" / "golden"

#: Real recordings and clouds beside the checkout; tests that need one skip where it is not there.
DATA = REPOSITORY.parent / "shared" / "data"
