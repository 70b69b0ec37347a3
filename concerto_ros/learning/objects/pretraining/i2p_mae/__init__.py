# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of I2P-MAE: masked points, taught by a frozen image model."""
