# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vectors of frozen teachers: of the pictures of shapes, or of texts about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.digest import digest
from concerto_ros.files.numpy_file import read_npz


@dataclass(frozen=True, eq=False)
class TeacherVectors:
    """What a frozen encoder says, several vectors for each of K names.

    Attributes:
        names: K names: of shapes, or captions.
        vectors: (K, V, D) float32, not normalised: V pictures of a shape, or V prompts about a
            caption, of which each step of a training draws one.
        source: Where they come from, for messages and reports.

    Raises:
        ValueError: If shapes do not match, a name occurs twice, or a vector is not finite.
    """

    names: tuple[str, ...]
    vectors: torch.Tensor
    source: str = "the teacher"

    def __post_init__(self):
        shape = tuple(self.vectors.shape)
        if len(shape) != 3 or shape[0] != len(self.names) or not all(shape):
            raise ValueError(
                f"{self.source}: 'vectors' has shape {shape}, expected (K, D) or (K, V, D) for the"
                f" {len(self.names)} 'names'"
            )
        if len(self._row) != len(self.names):
            raise ValueError(f"{self.source}: 'names' has a name twice, expected each once")
        bad = (~self.vectors.isfinite()).flatten(1).any(1)
        if bad.any():
            name = self.names[int(bad.nonzero()[0])]
            raise ValueError(
                f"{self.source}: the vectors of {name!r} are not finite, expected finite ones"
            )

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    @property
    def width(self) -> int:
        """D, the number of channels of a vector."""
        return self.vectors.shape[2]

    def rows(self, names: Sequence[str]) -> torch.Tensor:
        """Return (S,) int64, the row of each of S names.

        Raises:
            ValueError: If a name is not among them; the text names the file.
        """
        missing = [name for name in dict.fromkeys(names) if name not in self._row]
        if missing:
            raise ValueError(
                f"{self.source}: 'names' lacks {len(missing)} of {len(set(names))} names, such as"
                f" {missing[0]!r}; it has {', '.join(map(repr, self.names[:2]))} and so on"
            )
        return torch.tensor([self._row[name] for name in names])

    def draw(self, rows: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw one vector (B, D) of each of the rows (B,), from a generator on the CPU."""
        which = torch.randint(self.vectors.shape[1], (len(rows),), generator=generator)
        return self.vectors[rows.cpu(), which]

    def identity(self) -> dict[str, Any]:
        """Tell these vectors from others, for a run that resumes."""
        return {"names": digest(self.names), "vectors": digest([self.vectors.numpy()])}

    def save(self, path: Path) -> None:
        """Write an .npz that :func:`read_teacher` reads; a killed program leaves the old one."""
        with replacing(Path(path)) as partial, partial.open("wb") as file:
            np.savez(
                file,
                names=np.array(self.names),
                vectors=self.vectors.numpy(),
                source=np.array(self.source),
            )


def read_teacher(path: Path) -> TeacherVectors:
    """Read an .npz with ``names`` (K,) and ``vectors`` (K, D), or (K, V, D) for several of a name.

    Where it also has ``source``, what :meth:`TeacherVectors.save` wrote, that is the source; else
    the path is.

    Raises:
        ValueError: If the file cannot be read or holds anything else; the text names it.
    """
    content = read_npz(path)
    for part in ("names", "vectors"):
        if part not in content:
            raise ValueError(
                f"{path} has no array {part!r}, expected 'names' (K,) and 'vectors' (K, D) or"
                f" (K, V, D); it has {', '.join(content) or 'nothing'}"
            )
    names, vectors = content["names"], content["vectors"]
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise ValueError(
            f"{path}: 'names' is {names.dtype} of shape {names.shape}, expected (K,) texts"
        )
    if vectors.dtype.kind not in "fiu":
        raise ValueError(f"{path}: 'vectors' is {vectors.dtype}, expected numbers")
    texts = names.astype(str).tolist()
    tensor = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))
    source = str(content.get("source", path))
    return TeacherVectors(
        tuple(texts), tensor.unsqueeze(1) if tensor.ndim == 2 else tensor, source
    )
