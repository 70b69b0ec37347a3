# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The calls of other packages, on the models of this one."""
