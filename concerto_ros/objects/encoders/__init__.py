# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Object encoders: a folder for each published model, the bundled one, loading of files."""
