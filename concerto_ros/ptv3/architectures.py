# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The architectures of encoders, and by what a file tells which it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.inferred_config import inferred_config
from concerto_ros.ptv3.litept.config import LitePTConfig
from concerto_ros.ptv3.litept.encoder import LitePT
from concerto_ros.ptv3.litept.inferred_config import RELEASED_CHANNELS, inferred_litept
from concerto_ros.ptv3.state_dict import ENCODER_PARAMETER, OLDER_STEM, StateDict, is_litept


@dataclass(frozen=True)
class Architecture:
    """An architecture of encoders.

    Attributes:
        encoder: its class.
        config: the class of its config.
        parameter: the name of the stem's weight, which every encoder of it has.
        infer: returns the config of a state dict, and a sentence that says what of it was assumed.
        released_channels: what released encoders take for each voxel, by how many numbers it is,
            where their files do not say it.
    """

    encoder: type[Encoder]
    config: type[PTv3Config]
    parameter: str
    infer: Callable[[StateDict], tuple[dict[str, Any], str]]
    released_channels: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


PTV3 = Architecture(Encoder, PTv3Config, ENCODER_PARAMETER, inferred_config)
LITEPT = Architecture(LitePT, LitePTConfig, OLDER_STEM, inferred_litept, RELEASED_CHANNELS)


def architecture_of(content: Mapping[str, Any]) -> Architecture:
    """Return the architecture of the encoder in a file.

    The field ``type`` of its config says it; where there is none, the names of the weights do.

    Args:
        content: that of the file, with the ``state_dict`` as
            :func:`~concerto_ros.ptv3.state_dict.state_dict_in` returns it.
    """
    config = content.get("config")
    told = config.get("type") if isinstance(config, Mapping) else None
    if told is not None:
        return LITEPT if told in LitePTConfig.types else PTV3
    return LITEPT if is_litept(content["state_dict"]) else PTV3


def new_encoder(config: PTv3Config, **about: Any) -> Encoder:
    """Create an encoder of the architecture of ``config``, with the other arguments of its class.

    Its weights are random, from PyTorch's global generator.
    """
    architecture = LITEPT if isinstance(config, LitePTConfig) else PTV3
    return architecture.encoder(config, **about)
