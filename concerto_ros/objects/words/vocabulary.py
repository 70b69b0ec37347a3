# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vocabularies that objects are compared with: names, and a text encoder's vector for each."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from concerto_ros.files.numpy_pickle import read_arrays
from concerto_ros.files.safetensors_file import read_tensors
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.words.zero_shot import class_vectors, cosine_scores, prompts

#: Names of the two arrays of a file that stores names and vectors separately.
NAMES, VECTORS = "names", "vectors"

#: Key of OpenShape's files with the vector of a class.
OPENSHAPE_VECTOR = "open_clip_text_feat"

#: Exceptions that reading a damaged file raises.
_DAMAGE = (
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Names with vectors of a text encoder.

    Attributes:
        names: K names.
        vectors: (K, D) float32, not normalised.

    Raises:
        ValueError: If the shapes do not match, or a vector is zero or not finite.
    """

    names: tuple[str, ...]
    vectors: torch.Tensor

    def __post_init__(self):
        shape = tuple(self.vectors.shape)
        if len(shape) != 2 or shape[0] != len(self.names) or not all(shape):
            raise ValueError(
                f"vectors have shape {shape}, expected one vector for each of the"
                f" {len(self.names)} names"
            )
        bad = (~self.vectors.isfinite()).any(1) | (self.vectors == 0).all(1)
        if bad.any():
            names = [name for name, wrong in zip(self.names, bad.tolist(), strict=True) if wrong]
            raise ValueError(
                f"vectors of {', '.join(names[:4])} are zero or not finite, expected finite ones"
            )

    @classmethod
    def of_words(
        cls,
        names: Sequence[str],
        encode: Callable[[Sequence[str]], torch.Tensor],
        template: Callable[[str], list[str]] = prompts,
    ) -> Vocabulary:
        """Encode each name's prompts with a text encoder and sum them.

        Args:
            names: The words.
            encode: T texts to (T, D), as
                :func:`~concerto_ros.objects.words.text_encoder.load_text_encoder` returns it.
            template: The prompts about a name: by default ReCon's 60;
                :func:`~concerto_ros.objects.words.zero_shot.name_alone` for OpenShape.
        """
        features = torch.stack([encode(template(name)).float().cpu() for name in names])
        return cls(tuple(names), class_vectors(features))

    def of(self, names: Sequence[str]) -> Vocabulary:
        """Select ``names``, in this order.

        Raises:
            ValueError: If a name is not in the vocabulary.
        """
        own = self.names
        missing = [name for name in names if name not in own]
        if missing:
            raise ValueError(
                f"the vocabulary has no vector of {', '.join(missing[:4])}; it has"
                f" {', '.join(own[:8])}{', ...' if len(own) > 8 else ''}"
            )
        return Vocabulary(tuple(names), self.vectors[[own.index(name) for name in names]])

    def scores(self, encoder: ObjectEncoder, embedded: torch.Tensor) -> torch.Tensor:
        """Compute (B, K) cosines between (B, D) of ``encoder.embed_words`` and each name.

        Raises:
            ValueError: If the names' vectors have another width.
        """
        if embedded.shape[-1] != self.vectors.shape[1]:
            raise ValueError(
                f"the vectors of the names have {self.vectors.shape[1]} channels, expected"
                f" {embedded.shape[-1]} for {encoder.name}: they come from another text encoder"
            )
        return cosine_scores(embedded, encoder.project_words(self.vectors.to(embedded)))

    def save(self, path: str | os.PathLike) -> None:
        """Write a .npz that :func:`read_vocabulary` reads."""
        with Path(path).open("wb") as file:
            np.savez(file, names=np.array(self.names), vectors=self.vectors.numpy())


def read_vocabulary(path: str | os.PathLike, names: Sequence[str] | None = None) -> Vocabulary:
    """Read names and vectors from a .npz, .npy, .pt, .pth or .safetensors file.

    The file holds either a vector for each name, as (D,), (1, D), (P, D) of P prompts, which are
    summed, or a dict with ``open_clip_text_feat`` (OpenShape); or two entries ``names`` and
    ``vectors``; or a single array (K, D) or (K, P, D), which takes ``names`` from the caller.

    Args:
        path: The file.
        names: Those to select, in this order; None for all of the file.

    Raises:
        ValueError: If the file is damaged, holds anything else, or lacks a name.
        OSError: If the file cannot be opened.
    """
    path = Path(path).expanduser()
    if path.suffix not in _READERS:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected one of {', '.join(_READERS)}")
    try:
        content = _READERS[path.suffix](path)
    except _DAMAGE as error:
        raise ValueError(
            f"{path} cannot be read as text embeddings: it is damaged, or holds more than named"
            f" arrays ({type(error).__name__})"
        ) from error
    try:
        return _vocabulary(content, names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _vocabulary(content: Any, names: Sequence[str] | None) -> Vocabulary:
    own: Sequence[str] | None = None
    if isinstance(content, Mapping) and content.keys() == {NAMES, VECTORS}:
        own, content = [str(name) for name in content[NAMES]], content[VECTORS]
    if isinstance(content, Mapping):
        own, content = list(content), [_vector(name, value) for name, value in content.items()]
        widths = sorted({len(vector) for vector in content})
        if len(widths) != 1:
            raise ValueError(f"vectors have {widths or 'no'} channels, expected one width for all")
        vectors = torch.stack(content)
    else:
        vectors = _floats("the array", content)
        vectors = class_vectors(vectors) if vectors.ndim == 3 else vectors
    if own is None:
        if names is None:
            raise ValueError(
                f"got a single array of shape {tuple(vectors.shape)} without names, expected a"
                " vector by name, entries 'names' and 'vectors', or names from the caller"
            )
        return Vocabulary(tuple(names), vectors)
    vocabulary = Vocabulary(tuple(own), vectors)
    return vocabulary if names is None else vocabulary.of(names)


def _vector(name: str, value: Any) -> torch.Tensor:
    """Convert a file's entry for a name to (D,)."""
    if isinstance(value, Mapping):
        if OPENSHAPE_VECTOR not in value:
            raise ValueError(f"{name!r} has {', '.join(value)}, expected {OPENSHAPE_VECTOR!r}")
        value = value[OPENSHAPE_VECTOR]
    vector = _floats(repr(name), value)
    return vector if vector.ndim == 1 else class_vectors(vector.flatten(0, -2).unsqueeze(0))[0]


def _floats(what: str, value: Any) -> torch.Tensor:
    """An array of numbers as float32."""
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.number):
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, torch.Tensor) or not value.ndim:
        kind = getattr(value, "dtype", type(value).__name__)
        raise ValueError(f"{what} is {kind}, expected an array of numbers")
    return value.float()


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _read_npy(path: Path) -> Any:
    """An array, or the dict that OpenShape saves as an array of one object."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version > (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if not dtype.hasobject:
            file.seek(0)
            return np.load(file, allow_pickle=False)
        if shape:
            raise ValueError(f"objects in an array of shape {shape}")
        return read_arrays(file).item()


def _read_pt(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


_READERS: dict[str, Callable[[Path], Any]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".pt": _read_pt,
    ".pth": _read_pt,
    ".safetensors": lambda path: read_tensors(path)[0],
}
