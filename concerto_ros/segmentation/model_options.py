# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the settings of the model mean: device, type of the weights, label set, input."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.precision import automatic_precision
from concerto_ros.segmentation.convention import Convention, convention_for
from concerto_ros.settings.field import SettingsError

_log = logging.getLogger(__name__)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say which setting an error is about."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


def device_named(name: str) -> torch.device:
    """The device of the setting ``device``; SettingsError where this machine has none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"device: got {name!r}, expected auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise SettingsError(
            f"device: got {name!r}, but PyTorch sees {count} CUDA devices; use cpu or auto"
        )
    return device


def dtype_named(precision: str, device: torch.device) -> torch.dtype:
    """The type of the weights that the setting ``precision`` means on ``device``."""
    if precision == "auto":
        return automatic_precision(device)
    return getattr(torch, precision)


def convention_of(encoder: Encoder, preset: str, head: LinearHead | None = None) -> Convention:
    """How ``encoder`` is given coordinates where the setting ``preset`` is chosen.

    As it was trained, where its file says so: by the preset in it, or indoors if it names the
    voxels that it was trained on and no preset. Only other encoders, the published ones, take
    the convention of ``preset``.

    Raises SettingsError where ``head`` was trained with another convention, and for a preset in a
    file that is none.
    """
    own = encoder.preset or ("indoor" if encoder.grid_size else preset)
    if own != preset and not encoder.preset:
        _log.warning(
            "%s does not say what preset it was trained with; its input is that of %s, not of %s",
            encoder.name,
            own,
            preset,
        )
    if head is not None and head.preset not in (None, own):
        raise SettingsError(
            f"head: {head.name} was trained on input as the preset {head.preset} gives it, but"
            f" the encoder {encoder.name} takes that of {own} here; expected both of one preset"
        )
    with naming("checkpoint"):
        return convention_for(own, rotary=encoder.rotary)


def label_set_for(name: str, head: LinearHead | None) -> LabelSet:
    """The label set ``name`` or, where that is empty, the one that ``head`` names.

    A head that names none has the shipped set of its size.

    Raises ValueError where its size is not that of ``head``.
    """
    if head is None:
        return LabelSet.load(name) if name else LabelSet("none", "no head, no labels", ())
    if not name and head.labels is not None:
        return head.labels
    if not name:
        return _label_set_of_size(head.num_classes)
    labels = LabelSet.load(name)
    if len(labels) != head.num_classes:
        raise ValueError(
            f"got {labels.name} with {len(labels)} classes, expected {head.num_classes} as the"
            f" head {head.name}"
        )
    return labels


def _label_set_of_size(size: int) -> LabelSet:
    """The shipped set of so many classes, else one without names."""
    for shipped in LabelSet.shipped():
        labels = LabelSet.load(shipped)
        if len(labels) == size:
            return labels
    return LabelSet.from_generic(size)
