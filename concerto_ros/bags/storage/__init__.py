# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of recordings: which there are, what each holds, and what of it is damaged."""
