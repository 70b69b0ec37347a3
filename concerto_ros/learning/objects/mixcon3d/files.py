# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of trained encoders, in the form that MixCon3D's code writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from concerto_ros.files.torch_file import on_cpu, write_file
from concerto_ros.learning.objects.mixcon3d.contrast import SCALES, ContrastModel
from concerto_ros.objects.encoders.mixcon3d.encoder import (
    AVERAGED,
    PROJECTIONS,
    WEIGHTS,
    MixCon3D,
)
from concerto_ros.objects.encoders.shared.weights import State, part


def save_contrast(path: Path, model: ContrastModel, average: MixCon3D, **more: Any) -> None:
    """Write live and averaged weights; ``load_object_encoder`` reads either.

    The published code does not store the averaged projection of texts, with which it evaluates
    averaged weights; here it is an entry more.

    Args:
        path: The file.
        model: The live weights.
        average: The averaged ones.
        more: Plain values, such as the epoch.
    """
    live, mean = on_cpu(model.encoder.state_dict()), on_cpu(average.state_dict())
    inside = tuple(f"{name}." for name in PROJECTIONS)
    content: dict[str, Any] = {
        WEIGHTS["live"]: _wrapped({n: v for n, v in live.items() if not n.startswith(inside)}),
        WEIGHTS["ema"]: {n: v for n, v in mean.items() if not n.startswith(inside)},
        f"text_proj{AVERAGED}": _wrapped(part(mean, "text_proj.")),
        "image_proj": _wrapped(on_cpu(model.image_proj.state_dict())),
    }
    content |= {name: _wrapped(part(live, f"{name}.")) for name in ("text_proj", "pc_img_proj")}
    for name, published in SCALES.items():
        scale = model.scales[name].detach().cpu().clone()
        content[f"{published}_logit_scale"] = _wrapped({"logit_scale": scale})
    write_file(path, content | more)


def _wrapped(state: State) -> dict[str, torch.Tensor]:
    return {f"module.{name}": value for name, value in state.items()}
