# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoders as protocols want them, and files of what was trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from concerto_ros.files.torch_file import write_file
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.training.recipes import benchmark_of
from concerto_ros.objects.encoders.any2point.encoder import from_source
from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.shared.base import DEMO, NAMES, NONE_OF_THESE, ObjectEncoder

#: What an encoder is loaded for: its own answers, a linear SVM on its features, names of classes
#: alone, a training.
PROTOCOLS = ("classify", "svm", "zero-shot", "fine-tune")


def load_for(
    path: str | os.PathLike,
    layout: str,
    protocol: str,
    options: Mapping[str, Any] | None = None,
) -> ObjectEncoder:
    """An encoder for a data set: what its file does not tell is as published for that benchmark.

    Args:
        protocol: One of :data:`PROTOCOLS`.
        options: Keywords that go before that.

    Raises:
        ValueError: For another protocol, and as ``load_object_encoder``.
    """
    options = dict(options or {})
    encoder = load_object_encoder(path, **options)
    if protocol == "svm" and encoder.classes is not None:
        protocol = "classify"  # features of a fine-tuned file need the form it was tuned in
    more = published_form(encoder, layout, protocol)
    if os.fspath(path) == DEMO or not more or options.keys() & more.keys():
        return encoder
    return load_object_encoder(path, **more, **options)


def published_form(
    encoder: ObjectEncoder | type[ObjectEncoder], layout: str, protocol: str
) -> dict[str, Any]:
    """Keywords of ``load_object_encoder`` for a protocol on the benchmark of a data set."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    return encoder.published_options(benchmark_of(layout), protocol)


def to_fine_tune(
    path: str | os.PathLike,
    layout: str,
    method: str,
    classes: int,
    *,
    variant: str | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> ObjectEncoder:
    """An encoder with a new head for ``classes``, by ``seed``.

    Args:
        variant: Of Any2Point; ``path`` is then the file of the model that lends its transformer.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        if variant is not None:
            return from_source(variant, path, **{"classes": classes} | dict(options or {}))
        encoder = load_for(path, layout, "fine-tune", options)
        encoder.reset_head(classes, method, benchmark_of(layout))
    return encoder


def check_classes(encoder: ObjectEncoder, objects: ObjectSet) -> None:
    """Raise ValueError where the answers of ``encoder`` are not the classes of ``objects``.

    It may have one answer more, that it is none of these. Of a file that tells no names, the
    number has to do. An encoder without a head is left to ``classify``.
    """
    count, own, wanted = encoder.classes, encoder.class_names, objects.classes
    fits = own in (wanted, (*wanted, NONE_OF_THESE)) if own else count in (None, len(wanted))
    if not fits:
        raise ValueError(
            f"the encoder answers with {count} classes ({_some(own) or 'of unknown names'}), the"
            f" labels of {objects.name} are of {len(wanted)} ({_some(wanted)}); expected the same"
            " ones in the same order"
        )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + ", ..." * (len(names) > 4)


def trained_sizes(encoder: ObjectEncoder, method: str) -> tuple[int, int]:
    """How many numbers a method trains: beside the head, and in the head."""
    sizes = {name: value.numel() for name, value in encoder.trained_parameters(method).items()}
    inside = f"{encoder.head_name}."
    head = sum(size for name, size in sizes.items() if name.startswith(inside))
    return sum(sizes.values()) - head, head


def count_trained(encoder: ObjectEncoder, method: str) -> str:
    """How many numbers a method trains, as a sentence."""
    total = sum(value.numel() for value in encoder.parameters())
    beside, head = trained_sizes(encoder, method)
    return f"trains {beside:,} numbers beside the head and {head:,} in it, of {total:,}"


def save_object_encoder(path: Path, encoder: ObjectEncoder, class_names: tuple[str, ...]) -> None:
    """Write a fine-tuned encoder as the official files are, with the names of its classes.

    ``load_object_encoder`` reads it back, with the keywords that the first file took.
    """
    state = encoder.published_state()
    state = {name: value.detach().cpu().clone() for name, value in state.items()}
    write_file(path, {"base_model": state, NAMES: list(class_names)})
