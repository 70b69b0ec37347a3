# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""I2P-MAE: a hierarchical masked autoencoder of points."""
