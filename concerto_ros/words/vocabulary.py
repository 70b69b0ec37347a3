# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vocabularies: names, and a text encoder's vector for each."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.numpy_pickle import read_npy_objects
from concerto_ros.files.safetensors_file import read_tensors, write_tensors
from concerto_ros.words.prompts import prompts

#: Entries of a file that stores names and vectors separately; the last two may be absent.
NAMES, VECTORS, ENCODER, TEMPLATE = "names", "vectors", "encoder", "template"

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


class ProjectsWords(Protocol):
    """What :meth:`Vocabulary.scores` asks of an encoder of objects."""

    @property
    def name(self) -> str:
        """The model's name, for errors."""

    def project_words(self, texts: torch.Tensor) -> torch.Tensor:
        """Project (K, D) vectors of a text encoder to what the model compares."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Names with vectors of a text encoder.

    Attributes:
        names: K names.
        vectors: (K, D) float32, not normalised.
        encoder: Name of the text encoder, such as ``minilm``; empty where nobody noted it.
        template: The prompt that the vectors were made with, such as ``a {name} in a scene``;
            empty where nobody noted it, or where there was more than one.

    Raises:
        ValueError: If the shapes do not match, or a vector is zero or not finite.
    """

    names: tuple[str, ...]
    vectors: torch.Tensor
    encoder: str = ""
    template: str = ""

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

    @property
    def width(self) -> int:
        """D, the number of channels of a vector."""
        return self.vectors.shape[1]

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
                :func:`~concerto_ros.words.text_encoder.load_text_encoder` returns it.
            template: The prompts about a name: by default ReCon's 60;
                :func:`~concerto_ros.words.prompts.name_alone` for OpenShape.
        """
        features = torch.stack([encode(template(name)).float().cpu() for name in names])
        return cls(tuple(names), class_vectors(features), getattr(encode, "name", ""))

    def of(self, names: Sequence[str]) -> Vocabulary:
        """Select ``names``, in this order.

        Raises:
            ValueError: If a name is not in the vocabulary.
        """
        rows = {name: row for row, name in reversed(list(enumerate(self.names)))}
        missing = [name for name in names if name not in rows]
        if missing:
            own = self.names
            raise ValueError(
                f"the vocabulary has no vector of {', '.join(missing[:4])}; it has"
                f" {', '.join(own[:8])}{', ...' if len(own) > 8 else ''}"
            )
        return replace(
            self, names=tuple(names), vectors=self.vectors[[rows[name] for name in names]]
        )

    def scores(self, encoder: ProjectsWords, embedded: torch.Tensor) -> torch.Tensor:
        """Compute (B, K) cosines between (B, D) of ``encoder.embed_words`` and each name.

        Raises:
            ValueError: If the names' vectors have another width.
        """
        if embedded.shape[-1] != self.width:
            raise ValueError(
                f"the vectors of the names have {self.width} channels, expected"
                f" {embedded.shape[-1]} for {encoder.name}: they come from another text encoder"
            )
        return cosine_scores(embedded, encoder.project_words(self.vectors.to(embedded)))

    def save(self, path: str | os.PathLike, *, half: bool = False) -> None:
        """Write a file that :func:`read_vocabulary` reads; a killed program leaves the old one.

        Args:
            path: A .npz or .safetensors file; missing folders are created.
            half: Whether vectors are stored in half precision.

        Raises:
            ValueError: If ``path`` ends in anything else, or a vector does not fit half precision.
            OSError: If the file cannot be written.
        """
        path = checked_table_path(path)
        vectors = self.vectors.half() if half else self.vectors
        Vocabulary(self.names, vectors)  # refuses what became zero or infinite
        with replacing(path) as partial:
            if path.suffix == ".safetensors":
                notes = {
                    NAMES: json.dumps(self.names, ensure_ascii=False),
                    ENCODER: self.encoder,
                    TEMPLATE: self.template,
                }
                write_tensors(partial, {VECTORS: vectors}, notes)
                return
            with partial.open("wb") as file:
                np.savez(
                    file,
                    names=np.array(self.names),
                    vectors=vectors.numpy(),
                    encoder=np.array(self.encoder),
                    template=np.array(self.template),
                )


def checked_table_path(path: str | os.PathLike) -> Path:
    """Return the path of a table that :meth:`Vocabulary.save` can write.

    Raises:
        ValueError: If it ends in anything but .npz and .safetensors.
    """
    path = Path(path).expanduser()
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"{path} ends in {path.suffix!r}, expected .npz or .safetensors")
    return path


def class_vectors(text_features: torch.Tensor) -> torch.Tensor:
    """Sum features (K, P, D) of P prompts of each of K classes to (K, D), without weights."""
    return text_features.sum(1)


def cosine_scores(features: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Compute (B, K) cosines of objects (B, D) and classes (K, D), both not normalised."""
    return nn.functional.normalize(features, dim=-1) @ nn.functional.normalize(vectors, dim=-1).T


def read_vocabulary(path: str | os.PathLike, names: Sequence[str] | None = None) -> Vocabulary:
    """Read names and vectors from a .npz, .npy, .pt, .pth or .safetensors file.

    The file holds either a vector for each name, as (D,), (1, D), (P, D) of P prompts, which are
    summed, or a dict with ``open_clip_text_feat`` (OpenShape); or what :meth:`Vocabulary.save`
    writes; or a single array (K, D) or (K, P, D), which takes ``names`` from the caller.

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
    notes = {ENCODER: "", TEMPLATE: ""}
    if isinstance(content, Mapping) and content.keys() - notes.keys() == {NAMES, VECTORS}:
        notes = {key: str(content.get(key, "")) for key in notes}
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
    vocabulary = Vocabulary(tuple(own), vectors, **notes)
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
    array = read_npy_objects(path)
    if not array.dtype.hasobject:
        return array
    if array.shape:
        raise ValueError(f"objects in an array of shape {array.shape}")
    return array.item()


def _read_pt(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Vectors by name, or the entries that :meth:`Vocabulary.save` writes."""
    tensors, notes = read_tensors(path)
    if tensors.keys() != {VECTORS} or NAMES not in notes:
        return tensors
    names = json.loads(notes[NAMES])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("the names are no list of texts")
    return {**notes, **tensors, NAMES: names}


_READERS: dict[str, Callable[[Path], Any]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".pt": _read_pt,
    ".pth": _read_pt,
    ".safetensors": _read_safetensors,
}
