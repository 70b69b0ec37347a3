# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of training: a run's state, and encoders and heads in the official layouts."""

from __future__ import annotations

import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.ptv3 import Encoder
from concerto_ros.whole_file import replacing


def save_training(path: Path, state: dict[str, Any]) -> None:
    """Write a run's state; a kill at any moment leaves the old file or the new one, whole."""
    write_file(path, state)


def load_training(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """A run's state. Raises ValueError where it belongs to another run than ``run`` describes."""
    state = read_tensors(path)
    found = state.get("run", {})
    for name, wanted in run.items():
        if found.get(name) != wanted:
            unlike = f": {found.get(name)} there, {wanted} here" if name != "parameters" else ""
            raise ValueError(
                f"{path} belongs to a run with other {name}{unlike}; use the same options to go "
                "on with it, or another folder to start afresh"
            )
    return state


def read_tensors(path: Path) -> dict[str, Any]:
    """What :func:`write_file` wrote. Raises ValueError for a file that is something else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, wanted a dict")
    return content


def save_encoder(path: Path, encoder: Encoder) -> None:
    """Write an encoder, with its decoder if it has one, as the official files are.

    ``{"config", "state_dict"}``; :func:`~concerto_ros.ptv3.load_encoder` reads it back. Beside
    them, where the encoder knows how it was trained, ``grid_size``, metres, and ``preset``.
    """
    # The official files tell rotary embedding by their state dict; only its models know a base.
    unknown = {"rotary"} if encoder.rotary else {"rotary", "rope_base"}
    names = [field.name for field in fields(encoder.config) if field.name not in unknown]
    config = {name: _plain(getattr(encoder.config, name)) for name in names}
    content = {"config": config, "state_dict": _cpu(encoder.state_dict())}
    if encoder.grid_size is not None:
        content["grid_size"] = float(encoder.grid_size)
    if encoder.preset is not None:
        content["preset"] = encoder.preset
    write_file(path, content)


def save_head(path: Path, head: LinearHead) -> None:
    """Write a linear head as the official files are; ``LinearHead.load`` reads it back.

    Its classes and its preset, where it knows them, are in the file beside what an official one
    has.
    """
    config = {"backbone_out_channels": head.in_channels, "num_classes": head.num_classes}
    content = {"config": config, "state_dict": _cpu(head.state_dict())}
    if head.labels is not None:
        content["label_set"] = head.labels.content
    if head.preset is not None:
        content["preset"] = head.preset
    write_file(path, content)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _cpu(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def write_file(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; the file is there whole or not at all."""
    with replacing(path) as partial:
        torch.save(content, partial)
