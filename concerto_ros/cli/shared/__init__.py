# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What several subcommands share: former names of options, options about words, tables."""
