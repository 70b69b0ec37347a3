# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What labels maps: the models, and the map with what one prediction carries to the next."""
