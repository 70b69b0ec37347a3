# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the ``concerto-ros`` command as ``python -m concerto_ros.cli``."""

import sys

from concerto_ros.cli import main

sys.exit(main())
