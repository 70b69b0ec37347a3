# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The config of a LitePT whose file has none, as the published checkpoints."""

from __future__ import annotations

from typing import Any

from concerto_ros.ptv3.inferred_config import PATCH_SIZE, STRIDE, stages_in
from concerto_ros.ptv3.litept.config import LitePTConfig
from concerto_ros.ptv3.state_dict import OLDER_STEM, StateDict

#: Channels of an attention head, and base of the rotary frequencies, in all published configs.
HEAD_WIDTH, ROPE_FREQ = 18, 100.0

#: What the published encoders of rooms take. Those of streets take the strength of a return.
RELEASED_CHANNELS = {6: ("color", "normal")}


def inferred_litept(state: StateDict) -> tuple[dict[str, Any], str]:
    """Infer the config from an encoder's state dict.

    Args:
        state: Its tensors, named as in published files.

    Returns:
        The config, and a sentence that says what of it was read from the shapes and what was
            assumed.

    Raises:
        ValueError: If no config can be the right one; the text says why.
        KeyError: If a tensor of every LitePT is missing.
    """
    width = state[OLDER_STEM].shape[0]
    narrower = [state[name].shape[0] for name in _numbered(state, "enc.enc{}.down.proj.weight", 1)]
    config: dict[str, Any] = {
        "type": LitePTConfig.types[0],
        "in_channels": state[OLDER_STEM].shape[-1],
        "stride": (STRIDE,) * len(narrower),
        "enc_mode": not any(name.startswith("dec.") for name in state),
        "qkv_bias": any(name.endswith("attn.qkv.bias") for name in state),
    }
    hidden = [value for name, value in state.items() if name.endswith("mlp.0.fc1.weight")]
    if hidden:
        config["mlp_ratio"] = hidden[0].shape[0] / hidden[0].shape[1]
    config |= _part(state, "enc", [width, *narrower])
    if not config["enc_mode"]:
        wider = [state[name].shape[0] for name in _numbered(state, "dec.dec{}.up.proj.0.weight")]
        config |= _part(state, "dec", wider)
    said = (
        f"no config in the file: from the shapes, LitePT of depths {config['enc_depths']} and"
        f" channels {config['enc_channels']}, {config['in_channels']} input channels; assumed as"
        f" in all published configs: heads of {HEAD_WIDTH} channels, rotary frequencies of base"
        f" {ROPE_FREQ:g}, pre-normalisation, patches of {PATCH_SIZE}, stride {STRIDE}"
        + "".join(
            f", {' and '.join(channels)} as input"
            for count, channels in RELEASED_CHANNELS.items()
            if count == config["in_channels"]
        )
    )
    return config, said


def _numbered(state: StateDict, pattern: str, first: int = 0) -> list[str]:
    """List the names of a pattern with one number after the other, as long as there are any."""
    names: list[str] = []
    while (name := pattern.format(first + len(names))) in state:
        names.append(name)
    return names


def _part(state: StateDict, part: str, widths: list[int]) -> dict[str, Any]:
    """Return the fields of the encoder or decoder with stages of these widths."""
    blocks = stages_in(state, part, len(widths))
    if any(width % HEAD_WIDTH for width in widths):
        raise ValueError(f"widths {widths} are no multiples of {HEAD_WIDTH} channels of a head")
    firsts = [
        f"{part}.{part}{stage}.{names[0]}." if names else "" for stage, names in enumerate(blocks)
    ]
    return {
        f"{part}_depths": tuple(map(len, blocks)),
        f"{part}_channels": tuple(widths),
        f"{part}_num_head": tuple(width // HEAD_WIDTH for width in widths),
        f"{part}_patch_size": (PATCH_SIZE,) * len(widths),
        f"{part}_conv": tuple(f"{first}conv.0.weight" in state for first in firsts),
        f"{part}_attn": tuple(f"{first}attn.qkv.weight" in state for first in firsts),
        f"{part}_rope_freq": (ROPE_FREQ,) * len(widths),
    }
