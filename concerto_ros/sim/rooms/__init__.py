# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Floor plans, shells and furnishing of simulated rooms."""
