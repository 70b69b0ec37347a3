# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The file of a language head: safetensors, with what it was trained for in the metadata.

It holds ``weight`` (D, C) and ``bias`` (D,) of any floating-point type, where they are known the
vectors ``trained_words`` (T, D) of the texts of its training and ``anchors`` (A, D) that some of
them stand for, and in the metadata, each as JSON, the fields of :class:`About`. All of these may
be missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.finite_tensors import not_finite
from concerto_ros.files.safetensors_file import read_tensors, write_tensors
from concerto_ros.ptv3.state_dict import CheckpointError

#: What a point may be besides the words that are asked for, so that these can lose.
CONTRAST = ("floor", "wall", "ceiling", "object")

#: Name of the tensor with the vectors of the texts that a head was trained with.
TRAINED_WORDS = "trained_words"
#: Name of the tensor with directions of the text space that no text has, for classes.
ANCHORS = "anchors"


@dataclass(frozen=True)
class About:
    """The metadata of a file.

    Attributes:
        text_encoder: name of the text encoder whose space it is; empty: not known.
        template: the prompt that names were put into, with ``{name}``; empty: the text encoder's.
        normalised: whether vectors in this space are meant to have length one.
        temperature: that of the softmax over cosines.
        sigmoid_scale, sigmoid_bias: of the sigmoid of each cosine that takes the place of the
            softmax; None: a softmax.
        threshold: the probability that a word must have, from 0 to below 1.
        contrast: words that always take part.
        meanings: for each text of the training the contrast word that it is another word for;
            empty: none.
        stands_for: for each text of the training the row, of texts and after them anchors, whose
            place it takes; empty: each stands for itself.
        rivals: row in ``trained_words`` of each name of a thing that competes with a text that is
            looked for, and the rows, as of ``stands_for``, of what it belongs to.
        find_threshold: the probability that such a text must have, from 0 to below 1; 0: not
            known.
        license: of the weights; empty: none is named.
        encoder: digest of the encoder that it was trained on; None: not known.
        preset: whose input convention it was trained with; None: not known.
    """

    text_encoder: str = ""
    template: str = ""
    normalised: bool = True
    temperature: float = 1.0
    sigmoid_scale: float | None = None
    sigmoid_bias: float | None = None
    threshold: float = 0.0
    contrast: tuple[str, ...] = CONTRAST
    meanings: tuple[str, ...] = ()
    stands_for: tuple[int, ...] = ()
    rivals: tuple[tuple[int, tuple[int, ...]], ...] = ()
    find_threshold: float = 0.0
    license: str = ""
    encoder: str | None = None
    preset: str | None = None


def read_language_file(path: Path) -> tuple[dict[str, torch.Tensor], About]:
    """Read a file: its tensors in float32, and what is known about them.

    Raises:
        CheckpointError: the file is missing or damaged, holds other tensors, or a value is not
            finite or not accepted; the text names it and what is expected.
    """
    try:
        tensors, metadata = read_tensors(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"language head {path} cannot be read: {error}; expected a safetensors file with"
            " weight and bias, or 'demo'"
        ) from error
    _check_tensors(tensors, path)
    values = {}
    for name in About.__dataclass_fields__:
        if name in metadata:
            try:
                values[name] = json.loads(metadata[name])
            except ValueError:
                values[name] = metadata[name]  # a text without quotes, from another program
    about = _checked(values, path, tensors)
    return {name: value.float() for name, value in tensors.items()}, about


def write_language_file(path: Path, tensors: dict[str, torch.Tensor], about: About) -> None:
    """Write tensors as they are; :func:`read_language_file` reads them back.

    Raises:
        CheckpointError: as :func:`read_language_file`.
        OSError: the file cannot be written.
    """
    _check_tensors(tensors, path)
    values = {name: value for name, value in asdict(about).items() if value is not None}
    values |= {"contrast": list(about.contrast), "meanings": list(about.meanings)}
    values["stands_for"] = list(about.stands_for)
    values["rivals"] = [[row, list(wholes)] for row, wholes in about.rivals]
    _checked(values, path, tensors)
    with replacing(path) as partial:
        write_tensors(
            partial, tensors, {name: json.dumps(value) for name, value in values.items()}
        )


def _check_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    weight = shapes.get("weight", ())
    fits = {"weight", "bias"} <= set(shapes) and len(weight) == 2 and all(weight)
    words = shapes.get(TRAINED_WORDS, (1, *weight[:1]))
    anchors = shapes.get(ANCHORS, (1, *weight[:1]))
    fits &= set(shapes) <= {"weight", "bias", TRAINED_WORDS, ANCHORS}
    fits &= all(len(each) == 2 and each[1:] == weight[:1] for each in (words, anchors))
    floating = all(value.is_floating_point() for value in tensors.values())
    if not (fits and floating and shapes["bias"] == weight[:1]):
        raise CheckpointError(
            f"language head {path} has {_shown(shapes)}, expected floating-point tensors weight"
            " (width of the text space, feature width), bias (width of the text space) and, if"
            f" any, {TRAINED_WORDS} and {ANCHORS} (words, width of the text space)"
        )
    if faults := not_finite(tensors):
        raise CheckpointError(
            f"language head {path} has weights that are not finite (NaN or infinity): {faults};"
            " expected finite weights: take another file, or train the head again"
        )


def _shown(shapes: dict[str, tuple[int, ...]]) -> str:
    listed = [f"{name} {shape}" for name, shape in sorted(shapes.items())]
    return (", ".join(listed[:4]) or "no tensors") + (", ..." if len(listed) > 4 else "")


def _checked(values: dict[str, Any], path: Path, tensors: dict[str, torch.Tensor]) -> About:
    for name, value in values.items():
        accepted, expected = _ACCEPTED[name]
        if not accepted(value):
            raise CheckpointError(
                f"language head {path} has {name} {value!r} in its metadata, expected {expected}"
            )
    if ("sigmoid_scale" in values) != ("sigmoid_bias" in values):
        raise CheckpointError(
            f"language head {path} has one of sigmoid_scale and sigmoid_bias in its metadata,"
            " expected both or none"
        )
    values = values | {
        name: tuple(values[name])
        for name in ("contrast", "meanings", "stands_for")
        if name in values
    }
    values["rivals"] = tuple((row, tuple(wholes)) for row, wholes in values.get("rivals", ()))
    about = About(**values)
    texts = len(tensors.get(TRAINED_WORDS, ()))
    if about.meanings and len(about.meanings) != texts:
        raise CheckpointError(
            f"language head {path} has {len(about.meanings)} meanings in its metadata, expected"
            f" one for each of its {texts} {TRAINED_WORDS}"
        )
    if about.stands_for and len(about.stands_for) != texts:
        raise CheckpointError(
            f"language head {path} has {len(about.stands_for)} rows stands_for in its metadata,"
            f" expected one for each of its {texts} {TRAINED_WORDS}"
        )
    anchors = len(tensors.get(ANCHORS, ()))
    for name, rows, known in (
        ("rivals", [row for row, _ in about.rivals], texts),
        ("wholes of rivals", [n for _, wholes in about.rivals for n in wholes], texts + anchors),
        ("stands_for", about.stands_for, texts + anchors),
    ):
        if beyond := [row for row in rows if row >= known]:
            raise CheckpointError(
                f"language head {path} has row {beyond[0]} as {name} in its metadata, expected"
                f" rows below {known}, of its {TRAINED_WORDS} and {ANCHORS}"
            )
    return about


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and type(value) is not bool and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_prompt(value: Any) -> bool:
    return _is_text(value) and (not value or "{name}" in value)


def _is_row(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_row, value))


def _is_rival(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and _is_row(value[0]) and _are_rows(value[1])
    )


def _is_above_zero(value: Any) -> bool:
    return _is_number(value) and value > 0


#: What is accepted for each field of the metadata, and that in words.
_ACCEPTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "text_encoder": (_is_text, "the name of a text encoder"),
    "template": (_is_prompt, "a prompt with {name} in it"),
    "normalised": (lambda value: isinstance(value, bool), "true or false"),
    "temperature": (_is_above_zero, "a finite number above 0"),
    "sigmoid_scale": (_is_above_zero, "a finite number above 0"),
    "sigmoid_bias": (_is_number, "a finite number"),
    "threshold": (lambda value: _is_number(value) and 0 <= value < 1, "0 to below 1"),
    "contrast": (
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "a list of words",
    ),
    "meanings": (
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "a list of words",
    ),
    "stands_for": (
        _are_rows,
        "a list of rows",
    ),
    "rivals": (
        lambda value: isinstance(value, list) and all(map(_is_rival, value)),
        "a list of rows, each with a list of rows",
    ),
    "find_threshold": (lambda value: _is_number(value) and 0 <= value < 1, "0 to below 1"),
    "license": (_is_text, "the name of a licence"),
    "encoder": (_is_text, "the digest of an encoder"),
    "preset": (_is_text, "the name of a preset"),
}
