# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model parameters resolved: device, type of the weights, label set, input convention."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.precision import automatic_precision
from concerto_ros.segmentation.convention import Convention, convention_for
from concerto_ros.settings.field import SettingsError

_log = logging.getLogger(__name__)

#: Label sets that heads were published for: those of the other data sets are taken by name only.
GUESSED = ("nuscenes", "s3dis", "scannet20", "scannet200", "semantickitti")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Turn a ValueError of the body into a SettingsError that names the parameter ``name``."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


def dtype_named(precision: str, device: torch.device) -> torch.dtype:
    """Return the type of the weights that the parameter ``precision`` means on ``device``."""
    if precision == "auto":
        return automatic_precision(device)
    return getattr(torch, precision)


def convention_of(encoder: Encoder, preset: str, head: LinearHead | None = None) -> Convention:
    """Return the input convention of ``encoder``.

    It is that of the preset in the encoder's file, unless the file has a convention of its own for
    the parameter ``preset``, as that of the bundled model has for ``outdoor``. A file that stores
    the training voxel size but no preset was trained indoors. Only for other encoders, the
    published ones, the parameter ``preset`` decides.

    Args:
        encoder: the backbone.
        preset: the parameter ``preset``.
        head: a head that is to work on the encoder's features; None: not checked.

    Raises:
        SettingsError: ``head`` was trained with another convention or on another encoder, or the
            preset in a file does not exist.
    """
    used = _used_preset(encoder, preset)
    if used != preset and not encoder.preset:
        _log.warning(
            "the file of %s does not store the preset it was trained with; its input is scaled and"
            " centred as for the preset %s, not for %s",
            encoder.name,
            used,
            preset,
        )
    if head is not None:
        check_trained_for("head", head, encoder, preset)
    with naming("checkpoint"):
        return _convention(encoder, used)


def check_trained_for(
    parameter: str, head: LinearHead | LanguageHead, encoder: Encoder, preset: str
) -> None:
    """Check that a head was trained on this encoder, with its convention for a preset.

    Args:
        parameter: that names the head, for the error message.
        head: a head that is to work on the encoder's features.
        encoder: the backbone.
        preset: the parameter ``preset``.

    Raises:
        SettingsError: it was trained with another convention or on another encoder.
    """
    used = _used_preset(encoder, preset)
    if head.preset not in (None, used):
        raise SettingsError(
            f"{parameter}: {head.name} was trained with the preset {head.preset}, but the encoder"
            f" {encoder.name} uses the preset {used} here; expected the same"
            " preset for both"
        )
    if head.encoder and encoder.digest not in ("", head.encoder):
        raise SettingsError(
            f"{parameter}: {head.name} was trained on another encoder than {encoder.name}, or on"
            f" another version of it (digest {head.encoder[:8]}, this one has"
            f" {encoder.digest[:8]}): its scores would mean nothing; expected the checkpoint that"
            " it was trained on, or a head that is trained again on this one (concerto-ros train"
            " head; --from-predictions needs no labelled scans)"
        )


def check_intensity(head: LinearHead | None, white: float) -> None:
    """Check that a head sees intensity in place of colours as in its training.

    Args:
        head: the head; None: nothing to check.
        white: the parameter ``intensity_white``.

    Raises:
        SettingsError: it was trained with intensity, and not with this value.
    """
    if head is not None and head.intensity_white and head.intensity_white != white:
        raise SettingsError(
            f"intensity_white: got {white:g}, but {head.name} was trained with intensity in place"
            f" of colours, {head.intensity_white:g} as white; expected the same"
        )


def grid_size_for(encoder: Encoder, preset: str) -> float | None:
    """Return the voxel size in metres that suits the coordinates of ``encoder``.

    That of its training, at the scale that :func:`convention_of` returns for the parameter
    ``preset``: at a quarter of the scale, voxels are four times as large.

    Returns:
        Metres; None where the file of the encoder does not store one.

    Raises:
        SettingsError: the preset in the file does not exist.
    """
    if encoder.grid_size is None or preset not in encoder.conventions:
        return encoder.grid_size
    with naming("checkpoint"):
        trained = _convention(encoder, _trained_preset(encoder) or preset)
        return encoder.grid_size * trained.scale / _convention(encoder, preset).scale


def _used_preset(encoder: Encoder, preset: str) -> str:
    """Return the preset whose convention ``encoder`` uses with the parameter ``preset``."""
    return preset if preset in encoder.conventions else _trained_preset(encoder) or preset


def _trained_preset(encoder: Encoder) -> str | None:
    return encoder.preset or ("indoor" if encoder.grid_size else None)


def _convention(encoder: Encoder, preset: str) -> Convention:
    if preset in encoder.conventions:
        return Convention(*encoder.conventions[preset])
    return convention_for(preset, rotary=encoder.rotary)


def label_set_for(name: str, head: LinearHead | None) -> LabelSet:
    """Return the label set ``name``, or that of ``head`` where ``name`` is empty.

    A head whose file stores no classes has the shipped set of its size that is a data set's.

    Raises:
        ValueError: the label set does not have as many classes as ``head``.
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
            f"got {labels.name} with {len(labels)} classes, expected {head.num_classes} as in the"
            f" head {head.name}"
        )
    return labels


def _label_set_of_size(size: int) -> LabelSet:
    """Return the data set's shipped one of ``size`` classes, else one of numbered classes."""
    for shipped in GUESSED:
        labels = LabelSet.load(shipped)
        if len(labels) == size:
            return labels
    return LabelSet.from_generic(size)
