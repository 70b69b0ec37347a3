# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words for objects: text encoders, vocabularies and zero-shot vectors."""
