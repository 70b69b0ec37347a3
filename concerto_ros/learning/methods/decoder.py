# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Add a decoder to an encoder without one, for decoder probing and full fine-tuning."""

from __future__ import annotations

from concerto_ros.ptv3 import Encoder, PTv3Config
from concerto_ros.ptv3.architectures import new_encoder
from concerto_ros.ptv3.checkpoint import randomise

#: Blocks of each stage, and minimum channels of the finest one, as published for Concerto.
DEPTH, FINEST_CHANNELS = 2, 64


def decoder_config(config: PTv3Config) -> PTv3Config:
    """The configuration with a decoder: stages as wide as the encoder's, two blocks each.

    For the published encoders this is the published shape. The finest stage has at least 64
    channels, provided they are a multiple of the encoder's channels per attention head.
    """
    head_width = config.enc_channels[0] // config.enc_num_head[0]
    channels = list(config.enc_channels[:-1])
    heads = list(config.enc_num_head[:-1])
    if channels and channels[0] < FINEST_CHANNELS and FINEST_CHANNELS % head_width == 0:
        channels[0], heads[0] = FINEST_CHANNELS, FINEST_CHANNELS // head_width
    return config.with_decoder(
        dec_depths=(DEPTH,) * len(channels),
        dec_channels=tuple(channels),
        dec_num_head=tuple(heads),
        dec_patch_size=config.enc_patch_size[:-1],
    )


def with_decoder(encoder: Encoder, seed: int = 0) -> Encoder:
    """An encoder that shares all weights of ``encoder`` and has a new decoder.

    The decoder's weights are random and depend only on ``seed``. An encoder that already has a
    decoder is returned unchanged.
    """
    if not encoder.config.enc_mode:
        return encoder
    result = new_encoder(
        decoder_config(encoder.config),
        name=encoder.name,
        trained=encoder.trained,
        grid_size=encoder.grid_size,
        preset=encoder.preset,
        conventions=encoder.conventions,
    )
    randomise(result.dec, seed)
    reference = next(encoder.parameters())
    result.to(device=reference.device, dtype=reference.dtype)
    result.embedding, result.enc = encoder.embedding, encoder.enc
    return result.eval()
