# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words as vectors: text encoders, vocabularies and tables of vectors, for points and objects."""
