# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label sets: the class of each label, and its colour.

The shipped sets are the files of ``config/labels``; any other file of the same layout can be used
as well.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.error_text import one_line
from concerto_ros.files.shared_files import share_path

#: The label of points without a class (also PCL's and ScanNet's ignore label).
UNLABELLED = 255
UNLABELLED_COLOR = (128, 128, 128)

#: Most characters of the name of a class that is added.
LONGEST_NAME = 64


@dataclass(frozen=True)
class SemanticClass:
    """One class of a label set.

    Attributes:
        id: its label, and its position in the set.
        name: its name.
        color: (red, green, blue), each 0..255.
        source_id: its number in the dataset that it comes from.
    """

    id: int
    name: str
    color: tuple[int, int, int]
    source_id: int


@dataclass(frozen=True)
class LabelSet:
    """The classes of a model's head, in label order.

    Attributes:
        name: its name in parameters and messages.
        title: its name for people.
        classes: one for each label.
    """

    name: str
    title: str
    classes: tuple[SemanticClass, ...]

    @classmethod
    def load(cls, name_or_path: str | Path) -> LabelSet:
        """Load a shipped set by its name (see :meth:`shipped`), or a YAML file by its path.

        Raises:
            ValueError: there is no such set, or the file is invalid; the text names the file, the
                field and the value, or the names of the shipped sets.
        """
        path = Path(name_or_path)
        if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
            if not path.is_file():
                raise ValueError(f"label set {str(path)!r}: the file does not exist")
            return _read(path)
        names = cls.shipped()
        if str(name_or_path) not in names:
            fault = "is a file of another kind" if path.is_file() else "does not exist"
            raise ValueError(
                f"label set {str(name_or_path)!r} {fault}, expected one of"
                f" {', '.join(names)}, or the path of a .yaml file"
            )
        return _read(share_path(f"config/labels/{name_or_path}.yaml"))

    @classmethod
    def shipped(cls) -> tuple[str, ...]:
        """Return the names of the shipped sets."""
        return tuple(sorted(path.stem for path in share_path("config/labels").glob("*.yaml")))

    @classmethod
    def from_generic(cls, count: int) -> LabelSet:
        """Return ``class_0`` .. ``class_<count - 1>`` in colours far apart, for unnamed classes.

        Raises:
            ValueError: ``count`` is not between 1 and 255.
        """
        if not 1 <= count <= UNLABELLED:
            raise ValueError(f"count is {count}, expected 1 to {UNLABELLED} classes")
        classes = tuple(
            SemanticClass(label, f"class_{label}", _spread_color(label), label)
            for label in range(count)
        )
        return cls(f"generic{count}", f"{count} classes without names", classes)

    @classmethod
    def of_names(
        cls,
        name: str,
        names: Sequence[str],
        colors: Sequence[tuple[int, int, int]] | None = None,
    ) -> LabelSet:
        """Return a set of classes with these names, in colours far apart.

        Args:
            name: of the set.
            names: of the classes, in label order.
            colors: (red, green, blue) of each class, 0..255; None: chosen here.

        Raises:
            ValueError: a name is taken or not a valid class name, there are too many, or the
                colours are not as many.
        """
        if colors is not None and len(colors) != len(names):
            raise ValueError(
                f"colors: got {len(colors)}, expected {len(names)}, one for each name"
            )
        labels = cls(name, f"{len(names)} classes by name", ())
        for label, own in enumerate(names):
            color = _spread_color(label) if colors is None else colors[label]
            labels = labels.with_class(own, color)
        return labels

    @classmethod
    def from_content(cls, content: Any, where: str | Path) -> LabelSet:
        """Build the set from ``content``, the parsed content of a label set file.

        Args:
            content: as :attr:`content` returns it.
            where: the file that errors name.

        Raises:
            ValueError: the content is invalid; the text names ``where``, the field and the value.
        """
        return _checked(Path(where), content)

    @property
    def content(self) -> dict[str, Any]:
        """Plain values from which :meth:`from_content` builds the same set."""
        entries = [vars(entry) | {"color": list(entry.color)} for entry in self.classes]
        return {"name": self.name, "title": self.title, "classes": entries}

    def with_class(self, name: str, color: tuple[int, int, int] | None = None) -> LabelSet:
        """Return a copy with one more class at its end.

        Args:
            name: of the class.
            color: (red, green, blue), 0..255; None: one that differs from the others.

        Raises:
            ValueError: the name is taken or not a valid class name, or the set is full.
        """
        if name in (entry.name for entry in self.classes):
            raise ValueError(
                f"class {name!r} is in the label set {self.name} already; choose another name"
            )
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
            raise ValueError(
                f"the name of a class is {shown!r}, {len(name)} characters; expected 1 to"
                f" {LONGEST_NAME} printable characters"
            )
        if len(self) >= UNLABELLED:
            raise ValueError(
                f"the label set {self.name} has {len(self)} classes already, expected at most"
                f" {UNLABELLED}; {name!r} is one too many"
            )
        taken = {entry.source_id for entry in self.classes}
        source_id = next(i for i in range(len(self), 2 * UNLABELLED) if i not in taken)
        added = SemanticClass(len(self), name, color or self._color_apart(), source_id)
        return LabelSet(self.name, self.title, (*self.classes, added))

    def _color_apart(self) -> tuple[int, int, int]:
        """Return, of many colours, the one farthest from all that are in use."""
        used = np.array([*(entry.color for entry in self.classes), UNLABELLED_COLOR], float)
        offered = [_spread_color(label) for label in range(UNLABELLED)]
        distance = np.linalg.norm(np.array(offered, float)[:, None] - used, axis=2).min(axis=1)
        return offered[int(distance.argmax())]

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def palette(self) -> np.ndarray:
        """Colour of every label, (256, 3) uint8; grey for 255 and for labels without a class."""
        palette = np.tile(np.array(UNLABELLED_COLOR, np.uint8), (256, 1))
        for label, entry in enumerate(self.classes):
            palette[label] = entry.color
        palette.setflags(write=False)
        return palette


def _spread_color(label: int) -> tuple[int, int, int]:
    # Steps of the golden angle never come near a hue that was used a few labels before; the
    # saturation and brightness change with another rhythm so that 255 colours stay distinct.
    hue = label * (3.0 - math.sqrt(5.0)) / 2.0 % 1.0
    saturation = (0.85, 0.55, 1.0)[label % 3]
    brightness = (0.95, 0.75)[label // 3 % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, brightness)
    return round(255 * red), round(255 * green), round(255 * blue)


def _read(path: Path) -> LabelSet:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"label set {path}: cannot be read: {one_line(error)}") from error
    return _checked(path, content)


def _checked(path: Path, content: Any) -> LabelSet:
    _expect_keys(path, "the file", content, ("name", "title", "classes"))
    for key in ("name", "title"):
        _expect(path, key, content[key], _is_text(content[key]), "a text")
    entries = content["classes"]
    is_list = isinstance(entries, list) and 1 <= len(entries) <= UNLABELLED
    got = f"{len(entries)} entries" if isinstance(entries, list) else entries
    _expect(path, "classes", got, is_list, f"a list of 1 to {UNLABELLED} entries")
    classes: list[SemanticClass] = []
    for index, entry in enumerate(entries):
        where = f"entry {index} of classes"
        _expect_keys(path, where, entry, ("id", "source_id", "name", "color"))
        label, source_id, name, color = (
            entry[key] for key in ("id", "source_id", "name", "color")
        )
        # `==` alone would let true and 1.0 pass for 1
        _expect(path, f"id of {where}", label, _is_int(label) and label == index, f"{index}")
        is_id = _is_int(source_id) and 0 <= source_id < 2**32
        _expect(path, f"source_id of {where}", source_id, is_id, "an integer from 0 to 2**32 - 1")
        _expect(path, f"name of {where}", name, _is_text(name), "a text")
        is_color = isinstance(color, list) and len(color) == 3
        is_color = is_color and all(_is_int(value) and 0 <= value <= 255 for value in color)
        _expect(path, f"color of {where}", color, is_color, "[red, green, blue], each 0 to 255")
        for earlier in classes:
            for key, value in (("name", name), ("source_id", source_id)):
                differs = value != getattr(earlier, key)
                expected = f"another than entry {earlier.id} has"
                _expect(path, f"{key} of {where}", value, differs, expected)
        classes.append(SemanticClass(label, name, tuple(color), source_id))
    return LabelSet(content["name"], content["title"], tuple(classes))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _expect_keys(path: Path, where: str, value: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(value, dict) or set(value) != set(keys):
        got = sorted(map(str, value)) if isinstance(value, dict) else value
        raise ValueError(f"label set {path}: {where} is {got!r}, expected the keys {list(keys)}")


def _expect(path: Path, what: str, value: Any, right: bool, expected: str) -> None:
    if not right:
        raise ValueError(f"label set {path}: {what} is {value!r}, expected {expected}")
