# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words for objects: their text encoders, zero-shot classes and the search by words."""
