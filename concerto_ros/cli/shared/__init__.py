# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What several subcommands share: options about scans, words and features, files, tables."""
