# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What streets are built of: buildings, plants, vehicles, people and all that is smaller."""
