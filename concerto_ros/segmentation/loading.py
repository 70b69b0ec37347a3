# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The models that the settings name: encoder, head and label set."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from concerto_ros.files.error_text import in_words
from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.ptv3.bundled import DEMO
from concerto_ros.ptv3.checkpoint import check_finite, load_encoder
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.export.exported import Exported
from concerto_ros.ptv3.kernels.backends import BackendError, choose_backend
from concerto_ros.ptv3.kernels.out_of_memory import leave_memory
from concerto_ros.ptv3.kernels.usable_device import device_named
from concerto_ros.segmentation.model_options import (
    check_trained_for,
    dtype_named,
    label_set_for,
    naming,
)
from concerto_ros.segmentation.point_words import PointWords
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings
from concerto_ros.words.vocabulary import read_vocabulary
from concerto_ros.words.word_vectors import WordVectors


def load_models(
    settings: Settings, *, download: bool = True
) -> tuple[Encoder, LinearHead | None, LabelSet]:
    """Load the encoder on its device, its head if there is one, and the classes in label order.

    Args:
        settings: the parameters that name the models.
        download: whether models that are not on this machine may be downloaded.

    Raises:
        SettingsError: a model cannot be loaded. The text names the parameter and, where a file is
            missing, where to get it.
    """
    device, precision, exported = _exported(settings)
    leave_memory(device)
    dtype = dtype_named(precision, device)
    try:
        choose_backend(settings.backend, device)
    except BackendError as error:
        raise SettingsError(str(error)) from error
    with naming("checkpoint"):
        encoder = load_encoder(
            settings.checkpoint,
            preset=settings.preset,
            device=device,
            dtype=dtype,
            download=download,
        )
    encoder.backend = settings.backend
    if exported is not None:
        with naming("exported"):
            exported.attach(encoder, max_voxels=settings.max_voxels)
    name = settings.head or (DEMO if settings.checkpoint == DEMO else "")
    head = None
    if name:
        with naming("head"):
            head = LinearHead.load(name, preset=settings.preset, download=download)
            head.concat_levels(encoder)
            check_finite(copy.deepcopy(head).to(dtype=dtype), Path(name))
    with naming("label_set"):
        labels = label_set_for(settings.label_set, head)
    return encoder, head, labels


def _exported(settings: Settings) -> tuple[torch.device, str, Exported | None]:
    """Return the device, the precision of the weights, and the exported file if one is set.

    An exported file computes on the CPU in its own precision. The encoder beside it is float32: it
    is what the file is compared with.
    """
    if not settings.exported:
        return device_named(settings.device), settings.precision, None
    if settings.device not in ("auto", "cpu"):
        raise SettingsError(
            f"device: got {settings.device!r}, expected auto or cpu with exported, whose files"
            " compute on the CPU"
        )
    with naming("exported"):
        exported = Exported(Path(settings.exported).expanduser())
    precision = exported.description.precision
    if settings.precision not in ("auto", precision):
        raise SettingsError(
            f"precision: got {settings.precision!r}, expected auto or {precision}, as in the file"
            f" {settings.exported} of exported"
        )
    return torch.device("cpu"), "float32", exported


def load_words(settings: Settings, encoder: Encoder) -> PointWords:
    """Load the language head and the sources of word vectors that the settings name.

    Args:
        settings: the parameters; those of the group ``words`` name the models.
        encoder: the backbone that gives the features.

    Raises:
        SettingsError: something cannot be loaded or does not fit the encoder; the text names the
            parameter.
    """
    with naming("words.head"):
        head = LanguageHead.load(settings.words.head, encoder, preset=settings.preset)
    check_trained_for("words.head", head, encoder, settings.preset)
    with naming("words.table"):
        try:
            tables = [read_vocabulary(settings.words.table)] if settings.words.table else []
        except OSError as error:
            raise ValueError(in_words(error)) from error
        vectors = WordVectors(head.text_encoder, tables, head.template)
    return PointWords(head, vectors, encoder)
