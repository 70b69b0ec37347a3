# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A furniture library: pieces by kind, class and place, and whose they are."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np

from concerto_ros.sim.library.catalogue import TABLE, Entry, FurnitureError, read_catalogue
from concerto_ros.sim.library.kinds import Kind, Kinds
from concerto_ros.sim.library.piece_names import piece_name
from concerto_ros.sim.library.shaping import Shape
from concerto_ros.sim.library.store import ShapeStore, cache_folder
from concerto_ros.sim.mesh import CLASSES, Mesh, rotation_about
from concerto_ros.sim.names import NAMELESS
from concerto_ros.sim.textures import TEXTURES

#: Where Debian's package sweethome3d-furniture lies.
DEBIAN = Path("/usr/share/sweethome3d/furniture")
#: One model in this many is held out of training, for validation and test. The salt was chosen
#: so that of nearly every kind in Debian's package about a fifth is.
HELD_OUT, SALT = 5, 3641


@dataclass(frozen=True, eq=False)
class Piece:
    """A model of a library.

    Attributes:
        entry: What its catalogue says.
        kind: What it is and where it stands.
        flat_top: Share of its outline's rectangle that lies flat at its highest point: a table's
            is near 1, a desk's with a shelf on it is not.
    """

    entry: Entry
    kind: Kind
    flat_top: float
    _store: ShapeStore
    _number: int

    @property
    def name(self) -> str:
        """What people call it, e.g. ``office chair``."""
        return piece_name(self.kind.kind, self.kind.name, self.entry.name)

    @property
    def held_out(self) -> bool:
        """Whether it is kept out of training; decided by a hash, the same on every machine."""
        name = f"{SALT}/{self.entry.library}/{self.entry.identity}".encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:4], "big") % HELD_OUT == 0

    @property
    def size(self) -> tuple[float, float, float]:
        """Width, depth and height, metres."""
        width, depth, height = np.ptp(self.shape().corners, axis=(0, 1)).tolist()
        return width, depth, height

    def shape(self) -> Shape:
        """Its triangles, colours and materials, turned to the front, back edge at y = 0."""
        return _turned(self._store, self._number, self.kind.turn)

    def mesh(self, classes: Sequence[str] = CLASSES) -> Mesh:
        """The mesh, on z = 0, its back along y = 0, its front towards +y, x centred.

        Args:
            classes: What the labels are positions in.

        Raises:
            ValueError: ``classes`` lacks a class of the piece.
        """
        return mesh_of(self.shape(), self.kind, classes).called(self.name)


@lru_cache(maxsize=400)
def _turned(store: ShapeStore, number: int, degrees: float) -> Shape:
    shape = store.shape(number)
    if not degrees:
        return shape
    turn = rotation_about("z", np.radians(degrees)).astype(np.float32)
    corners = shape.corners @ turn.T
    low, high = corners.min((0, 1)), corners.max((0, 1))
    corners -= np.array([(low[0] + high[0]) / 2, low[1], low[2]], np.float32)
    return Shape(corners, shape.color, shape.part, shape.materials)


def mesh_of(shape: Shape, kind: Kind, classes: Sequence[str]) -> Mesh:
    """A shape as a mesh whose labels are positions in ``classes``."""
    named = [kind.class_of(material) for material in shape.materials]
    for name in named:
        if name not in classes:
            raise ValueError(f"classes has no {name!r}, the class of a {kind.kind}: {classes}")
    labels = np.array([classes.index(name) for name in named], np.uint8)
    edge = shape.corners[:, 1:] - shape.corners[:, :1]
    normal = np.cross(edge[:, 0], edge[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-20
    count = len(shape.corners)
    return Mesh(
        corners=shape.corners.copy(),
        normals=np.repeat(normal[:, None], 3, axis=1),
        texture_uv=np.zeros((count, 3, 2), np.float32),
        color=shape.color.copy(),
        texture=np.full(count, TEXTURES.index("photo"), np.int32),
        glow=np.zeros(count, np.float32),
        label=labels[shape.part],
        name=np.full(count, NAMELESS, np.int16),
    )


def find_folder() -> Path | None:
    """The folder of Debian's package sweethome3d-furniture; None where it is not installed."""
    return DEBIAN if any(DEBIAN.glob("*.sh3f")) else None


class FurnitureLibrary:
    """The pieces of one or several catalogues.

    Args:
        pieces: The pieces.
    """

    def __init__(self, pieces: Sequence[Piece]):
        self._pieces = tuple(pieces)

    @classmethod
    def find(cls, cache: Path | None = None) -> FurnitureLibrary | None:
        """Open the library of Debian's package sweethome3d-furniture; None where it is not.

        Args:
            cache: See :meth:`open`.
        """
        folder = find_folder()
        return None if folder is None else cls.open(folder, cache)

    @classmethod
    def open(
        cls, folder: Path, cache: Path | None = None, processes: int | None = None
    ) -> FurnitureLibrary:
        """Open the ``.sh3f`` files of a folder, or its models by its table ``furniture.csv``.

        The first time the models are read, which takes minutes.

        Args:
            folder: The folder.
            cache: Where the models are kept in the form that rooms need; None: the user's cache.
            processes: Number of processes that read models; None: one per core.

        Raises:
            FurnitureError: Nothing is there that can be used; the message says what is expected.
        """
        folder = Path(folder)
        sources = sorted(folder.glob("*.sh3f"))
        if (folder / TABLE).is_file() or not sources:
            sources.append(folder)
        kinds, pieces = Kinds(), []
        for source in sources:
            entries = read_catalogue(source)
            store = ShapeStore(source, entries, cache or cache_folder(), processes)
            for number, (entry, about) in enumerate(zip(entries, store.about, strict=True)):
                kind = kinds.of(entry)
                if about is not None and kind is not None:
                    pieces.append(Piece(entry, kind, about["top"], store, number))
        if not pieces:
            raise FurnitureError(
                f"{folder}: no model is of a known kind; name them as the rules in kinds.yaml do"
            )
        return cls(pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def only(self, held_out: bool) -> FurnitureLibrary:
        """The library of the pieces that are held out, or of those that are not."""
        return FurnitureLibrary([p for p in self._pieces if p.held_out == held_out])

    def pieces(
        self,
        class_name: str | None = None,
        place: str | None = None,
        held_out: bool | None = None,
    ) -> list[Piece]:
        """List pieces.

        Args:
            class_name: Only those of this class.
            place: Only those that stand there, one of :data:`~.kinds.PLACES`.
            held_out: Only those that are, or are not, held out of training.
        """
        return [
            piece
            for piece in self._pieces
            if class_name in (None, piece.kind.class_name)
            and place in (None, piece.kind.place)
            and held_out in (None, piece.held_out)
        ]

    def of_kind(self, kind: str) -> list[Piece]:
        """List the pieces of a kind, e.g. ``coffee table``."""
        return self._by_kind.get(kind, [])

    @cached_property
    def _by_kind(self) -> dict[str, list[Piece]]:
        by_kind = defaultdict(list)
        for piece in self._pieces:
            by_kind[piece.kind.kind].append(piece)
        return dict(by_kind)

    @cached_property
    def identity(self) -> str:
        """Twelve hexadecimal digits that differ where rooms made with the library would."""
        content = [
            (p.entry.library, p.entry.identity, repr(p.kind), p._store.path.stem)
            for p in self._pieces
        ]
        return hashlib.sha256(repr(content).encode()).hexdigest()[:12]

    def credits(self) -> list[tuple[str, str, int, tuple[str, ...]]]:
        """For each library its name, licence, number of models used and their authors."""
        models: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for piece in self._pieces:
            models[piece.entry.library, piece.entry.licence].append(piece.entry)
        return [
            (library, licence, len(entries), tuple(sorted({e.creator for e in entries} - {""})))
            for (library, licence), entries in sorted(models.items())
        ]


@cache
def part_of(folder: Path, held_out: bool) -> FurnitureLibrary:
    """The models of the library in ``folder`` that are held out of training, or the others."""
    return FurnitureLibrary.open(folder).only(held_out)
