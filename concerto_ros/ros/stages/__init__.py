# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The threads between the inputs and the outputs."""
