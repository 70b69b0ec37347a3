# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Programs beside the node: simulated robot, bag player, bag recorder, pictures of topics."""
