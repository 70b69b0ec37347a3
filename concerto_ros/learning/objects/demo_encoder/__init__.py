# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the bundled object encoder is made and measured."""
