# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The config of an encoder whose file has none, as the checkpoints of Pointcept's trainings.

Names and shapes tell depths, widths and the decoder; the rest is what all released configs of
Sonata and Concerto have.
"""

from __future__ import annotations

import re
from typing import Any

from concerto_ros.ptv3.state_dict import ENCODER_PARAMETER, StateDict

#: Channels of an attention head, points of a patch, reduction of a level, and the curves of blocks
#: in all released configs; no shape tells them.
HEAD_WIDTH, PATCH_SIZE, STRIDE = 16, 1024, 2
ORDER = ("z", "z-trans", "hilbert", "hilbert-trans")

#: Frequencies of a rotary embedding, a sixth of the channels of a head; each block has them.
ROTARY = "attn.rope.inv_freq"


def inferred_config(state: StateDict) -> tuple[dict[str, Any], str]:
    """Infer the official config from an encoder's state dict.

    Args:
        state: Its tensors, named as in official files.

    Returns:
        The config, and a sentence that says what of it was read from the shapes and what was
            assumed.

    Raises:
        ValueError: If no config can be the right one: names or widths are not those of a released
            shape; the text says which.
    """
    stages = stages_in(state, "enc")
    if not stages or ENCODER_PARAMETER not in state:
        raise ValueError("it has no blocks 'enc.enc0.block0' or no stem")
    first = f"enc.enc0.{min(stages[0])}."
    width = state[f"{first}attn.proj.weight"].shape[0]
    config: dict[str, Any] = {
        "in_channels": state[ENCODER_PARAMETER].shape[1],
        "order": ORDER,
        "stride": (STRIDE,) * (len(stages) - 1),
        "mlp_ratio": state[f"{first}mlp.0.fc1.weight"].shape[0] / width,
        "qkv_bias": f"{first}attn.qkv.bias" in state,
        "enc_mode": not any(name.startswith("dec.") for name in state),
    }
    if f"{first}ls1.0.gamma" in state:
        config["layer_scale"] = 1.0  # the file has the learned factors, this is their start
    head_width = HEAD_WIDTH
    rotary = [value for name, value in state.items() if name.endswith(ROTARY)]
    if rotary:
        head_width = 6 * len(rotary[0])
    parts = [("enc", stages)] if config["enc_mode"] else [("enc", stages), ("dec", None)]
    for part, known in parts:
        blocks = stages_in(state, part) if known is None else known
        widths = tuple(
            state[f"{part}.{part}{stage}.{names[0]}.attn.proj.weight"].shape[0]
            for stage, names in enumerate(blocks)
        )
        if any(size % head_width for size in widths):
            raise ValueError(
                f"widths {widths} are no multiples of {head_width} channels of an attention head"
            )
        config |= {
            f"{part}_depths": tuple(map(len, blocks)),
            f"{part}_channels": widths,
            f"{part}_num_head": tuple(size // head_width for size in widths),
            f"{part}_patch_size": (PATCH_SIZE,) * len(widths),
        }
    heads = "heads by the rotary frequencies" if rotary else f"heads of {HEAD_WIDTH} channels"
    said = (
        f"no config in the file: from the shapes, depths {config['enc_depths']} and channels"
        f" {config['enc_channels']} of the encoder"
        + ("" if config["enc_mode"] else f", {config['dec_channels']} of the decoder")
        + f", {config['in_channels']} input channels; {heads}; assumed as in all released configs:"
        f" pre-normalisation, patches of {PATCH_SIZE}, stride {STRIDE}, orders {', '.join(ORDER)}"
    )
    return config, said


def stages_in(state: StateDict, part: str, count: int | None = None) -> list[list[str]]:
    """List the blocks of each stage of a part of an encoder.

    Args:
        state: Its tensors, named as in official files.
        part: ``enc`` or ``dec``.
        count: How many stages it has, some of which may have no blocks; None: those with blocks.

    Returns:
        The names of the blocks by stage.

    Raises:
        ValueError: If a stage before the last has no blocks, or one that does not exist has some.
    """
    found: dict[int, set[str]] = {}
    for name in state:
        match = re.match(rf"{part}\.{part}(\d+)\.(block\d+)\.", name)
        if match:
            found.setdefault(int(match[1]), set()).add(match[2])
    stages = range(len(found) if count is None else count)
    if not found.keys() <= set(stages):
        raise ValueError(f"it has blocks of the stages {sorted(found)} of {part!r} only")
    return [sorted(found.get(stage, ())) for stage in stages]
