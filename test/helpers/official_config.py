# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A config as official files hold it, of an encoder of two small levels."""

SMALL = {
    "in_channels": 9,
    "order": ["z", "hilbert"],
    "stride": [2],
    "enc_depths": [1, 1],
    "enc_channels": [6, 12],
    "enc_num_head": [1, 2],
    "enc_patch_size": [16, 16],
    "enc_mode": True,
}
