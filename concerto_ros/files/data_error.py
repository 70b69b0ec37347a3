# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The error of data sets and recordings that cannot be used."""

from __future__ import annotations


class DataError(ValueError):
    """Unusable data; the message is one line that names the file and the fault."""
