# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loading of encoders for protocols, and files of trained ones."""

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

#: What an encoder is loaded for: its own head, a linear SVM on its features, class names alone,
#: training.
PROTOCOLS = ("classify", "svm", "zero-shot", "fine-tune")


def load_for(
    path: str | os.PathLike,
    layout: str,
    protocol: str,
    options: Mapping[str, Any] | None = None,
) -> ObjectEncoder:
    """Load an encoder for a data set, with the options that are published for that benchmark.

    Args:
        path: File of the encoder, or ``demo``.
        layout: Layout of the data set.
        protocol: One of :data:`PROTOCOLS`.
        options: Keywords of ``load_object_encoder`` that take precedence.

    Raises:
        ValueError: If the protocol is unknown, or the file or an option does not fit.
    """
    options = dict(options or {})
    encoder = load_object_encoder(path, **options)
    if protocol == "svm" and encoder.classes is not None:
        protocol = "classify"  # features of a fine-tuned file need the form it was tuned with
    more = published_form(encoder, layout, protocol)
    if os.fspath(path) == DEMO or not more or options.keys() & more.keys():
        return encoder
    return load_object_encoder(path, **more, **options)


def published_form(
    encoder: ObjectEncoder | type[ObjectEncoder], layout: str, protocol: str
) -> dict[str, Any]:
    """Return keywords of ``load_object_encoder`` for a protocol on the benchmark of a data set."""
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
    """Load an encoder and put a new head for ``classes`` on it.

    Args:
        path: File of the encoder; with ``variant``, of the model that lends its transformer.
        layout: Layout of the data set.
        method: The training method.
        classes: Number of classes.
        variant: A variant of Any2Point, to start from a source model.
        options: Keywords that take precedence over published ones.
        seed: Of the new weights.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        if variant is not None:
            return from_source(variant, path, **{"classes": classes} | dict(options or {}))
        encoder = load_for(path, layout, "fine-tune", options)
        encoder.reset_head(classes, method, benchmark_of(layout))
    return encoder


def check_classes(encoder: ObjectEncoder, objects: ObjectSet) -> None:
    """Check that the classes of ``encoder`` are those of ``objects``.

    The encoder may also have the class :data:`NONE_OF_THESE`. Where its file stores no names, the
    numbers are compared. An encoder without a head is left to ``classify``.

    Raises:
        ValueError: If they differ.
    """
    count, own, labels = encoder.classes, encoder.class_names, objects.classes
    same = own in (labels, (*labels, NONE_OF_THESE)) if own else count in (None, len(labels))
    if not same:
        raise ValueError(
            f"the encoder has {count} classes ({_some(own) or 'of unknown names'}), the labels of"
            f" {objects.name} have {len(labels)} ({_some(labels)}); expected the same ones in the"
            " same order"
        )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + ", ..." * (len(names) > 4)


def trained_sizes(encoder: ObjectEncoder, method: str) -> tuple[int, int]:
    """Count the numbers that a method trains: beside the head, and in the head."""
    sizes = {name: value.numel() for name, value in encoder.trained_parameters(method).items()}
    inside = f"{encoder.head_name}."
    head = sum(size for name, size in sizes.items() if name.startswith(inside))
    return sum(sizes.values()) - head, head


def count_trained(encoder: ObjectEncoder, method: str) -> str:
    """Say in a sentence how many numbers a method trains."""
    total = sum(value.numel() for value in encoder.parameters())
    beside, head = trained_sizes(encoder, method)
    return f"trains {beside:,} numbers beside the head and {head:,} in it, of {total:,}"


def save_object_encoder(path: Path, encoder: ObjectEncoder, class_names: tuple[str, ...]) -> None:
    """Write a fine-tuned encoder in the form of the official files, with its class names.

    ``load_object_encoder`` reads it back, with the options that the first file needed.
    """
    state = encoder.published_state()
    state = {name: value.detach().cpu().clone() for name, value in state.items()}
    content = {"base_model": state, NAMES: list(class_names)}
    write_file(path, content | encoder.stored_facts())
