# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label maps: which value in a label file means which class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.files.error_text import one_line
from concerto_ros.labels.label_set import UNLABELLED, LabelSet, SemanticClass

#: Values that mean "no label" by default: Pointcept's and ScanNet's.
IGNORED = (-1, UNLABELLED)

#: What a value that is no whole number becomes where others are ignored; means "no label".
NO_VALUE = np.iinfo(np.int64).min

#: In a label map file, the class name of a value that is not learned.
IGNORE = "ignore"

#: Maximum number of unknown values that an error lists.
MAX_LISTED = 8


@dataclass(frozen=True)
class LabelMap:
    """Mapping from the values in label files to labels, the positions in a label set.

    Attributes:
        classes: The label set.
        values: Label of each value in the files, 255 for one that is not learned; None if the
            values are the labels already.
        ignored: Values that mean "no label", even if ``values`` lists them.
        ignored_unless_listed: Values that mean "no label" unless ``values`` lists them.
        ignore_others: Whether a value that is neither listed nor ignored means "no label"; else
            it is an error.
        source: File or label set that the mapping comes from, for error messages.
    """

    classes: LabelSet
    values: Mapping[int, int] | None = None
    ignored: frozenset[int] = frozenset()
    ignored_unless_listed: frozenset[int] = field(default=frozenset(IGNORED))
    ignore_others: bool = False
    source: str = ""

    @classmethod
    def load(cls, name_or_path: str | Path) -> LabelMap:
        """Load a label map file, a label set file, or a shipped label set by its name.

        A label map is YAML with ``classes`` (a list of names, or a label set by name or path)
        and, if the values in the files are not the positions in it, ``map``: for each value the
        name of its class or ``ignore``. ``others: ignore`` ignores all values that are not
        listed. The path of a label set is relative to the label map's folder.

        Raises:
            DataError: The file is missing or invalid; names the file and the faulty key.
        """
        path = Path(name_or_path)
        if path.suffix not in (".yaml", ".yml"):
            return cls.of(_label_set(str(name_or_path), Path()), source=str(name_or_path))
        content = _read_yaml(path)
        if set(content) == {"name", "title", "classes"}:
            return cls.of(_label_set(path, Path()), source=str(path))
        unknown = set(content) - {"classes", "map", "others"}
        if unknown or "classes" not in content:
            raise _wrong(path, "keys", sorted(map(str, content)), "classes, map and others")
        classes = _classes(path, content["classes"])
        if "map" not in content and "others" not in content:
            return cls.of(classes, source=str(path))
        others = content.get("others", "error")
        if others not in (IGNORE, "error"):
            raise _wrong(path, "others", others, "ignore or error")
        values = _values(path, content.get("map"), classes) if "map" in content else None
        return cls(classes, values, ignore_others=others == IGNORE, source=str(path))

    @classmethod
    def of(cls, classes: LabelSet, source: str = "") -> LabelMap:
        """The label map of files whose values are the positions in ``classes``."""
        return cls(classes, source=source or classes.name)

    def ignoring(self, values: int | Iterable[int]) -> LabelMap:
        """A copy in which ``values`` mean "no label"; -1 and 255 no longer do by default."""
        values = [values] if isinstance(values, int) else values
        return replace(self, ignored=frozenset(values), ignored_unless_listed=frozenset())

    @property
    def meanings(self) -> str:
        """What the values in the files mean, as text; equal for equal maps.

        Part of the identity of a training run, so the wording has to stay.
        """
        values = "labels" if self.values is None else dict(sorted(self.values.items()))
        unless_listed = sorted(self.ignored_unless_listed)
        others = "ignored" if self.ignore_others else "an error"
        return (
            f"{values}, ignored {sorted(self.ignored)} and, unless listed, {unless_listed}, "
            f"others {others}"
        )

    def apply(self, values: np.ndarray, where: str) -> np.ndarray:
        """Map the values of a label file to labels.

        Args:
            values: (N,) values as they are in the file.
            where: Name of the file, for error messages.

        Returns:
            (N,) uint8 labels, 255 for "no label".

        Raises:
            DataError: A value is not an integer, or unknown.
        """
        values = integer_labels(values, where, others_ignored=self.ignore_others)
        distinct, inverse = np.unique(values, return_inverse=True)
        labels = np.full(len(distinct), UNLABELLED, np.uint8)
        unknown = []
        for i, value in enumerate(distinct.tolist()):
            label = self._label(value)
            if label is None:
                unknown.append(value)
            else:
                labels[i] = label
        if unknown:
            raise DataError(f"{where}: {self._unknown(unknown, distinct, inverse)}")
        return labels[inverse.reshape(-1)]

    def _label(self, value: int) -> int | None:
        """The label of a value; None if it is unknown."""
        if value == NO_VALUE or value in self.ignored:
            return UNLABELLED
        if self.values is None and 0 <= value < len(self.classes):
            return value
        if self.values is not None and value in self.values:
            return self.values[value]
        if value in self.ignored_unless_listed or self.ignore_others:
            return UNLABELLED
        return None

    def _unknown(self, unknown: list[int], distinct: np.ndarray, inverse: np.ndarray) -> str:
        """Error text for unknown values."""
        count = np.bincount(inverse.reshape(-1), minlength=len(distinct))
        rows = np.searchsorted(distinct, unknown)
        listed = ", ".join(map(str, unknown[:MAX_LISTED]))
        listed += ", ..." if unknown[MAX_LISTED:] else ""
        values = "value" if len(unknown) == 1 else "values"
        known = f"0 to {len(self.classes) - 1}" if self.values is None else "the values it lists"
        return (
            f"unknown label {values} {listed} (at {count[rows].sum()} points), expected "
            f"{known} ({self.source}). Exclude a value from training with --ignore-index, or "
            "define its class in a label map (--label-map)"
        )


def write_label_set(labels: LabelSet, path: str | Path) -> None:
    """Write a label set file; its path is a value for the node's parameter ``label_set``."""
    import yaml

    classes = [
        {"id": c.id, "source_id": c.source_id, "name": c.name, "color": list(c.color)}
        for c in labels.classes
    ]
    content = {"name": labels.name, "title": labels.title, "classes": classes}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True)
    Path(path).write_text(text, encoding="utf-8")


def named_classes(names: list[str], name: str = "own") -> LabelSet:
    """A label set of classes with these ``names``, in this order and in distinct colours."""
    generic = LabelSet.from_generic(len(names))
    classes = tuple(
        SemanticClass(c.id, text, c.color, c.source_id)
        for c, text in zip(generic.classes, names, strict=True)
    )
    return LabelSet(name, name, classes)


def integer_labels(values: np.ndarray, where: str, *, others_ignored: bool = False) -> np.ndarray:
    """The label values of a file as (N,) int64; floats are accepted if they are whole numbers.

    Args:
        values: As they are in the file.
        where: Name of the file, for error messages.
        others_ignored: Whether other numbers than whole ones become :data:`NO_VALUE`, as NaN,
            CloudCompare's mark of a point without a value; else they are refused.

    Raises:
        DataError: A value is not a whole number; names the file ``where``.
    """
    values = np.asarray(values)
    if values.dtype.kind in "US":
        first = values.flat[0] if values.size else ""
        raise DataError(
            f"{where}: labels are {values.dtype} (the first: {str(first)!r}), expected whole"
            " numbers; np.unique(labels, return_inverse=True) numbers texts, and a label map"
            " (--label-map) names the numbers"
        )
    if values.dtype.kind not in "fiub":
        raise DataError(f"{where}: labels are {values.dtype}, expected whole numbers")
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    values = values.astype(np.float64)
    whole = np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < 2**53)
    if not whole.all():
        wrong = values[~whole]
        if not others_ignored:
            raise DataError(
                f"{where}: {len(wrong)} labels are not integers (the first: {wrong[0]}), expected"
                " whole numbers; --label-field names another field, and 'others: ignore' in a"
                " label map (--label-map) leaves such points out"
            )
    return np.where(whole, values, 0).astype(np.int64) + np.where(whole, 0, NO_VALUE)


def _classes(path: Path, value: object) -> LabelSet:
    if isinstance(value, str):
        return _label_set(value, path.parent)
    names = value if isinstance(value, list) else []
    texts = all(isinstance(name, str) and name.strip() for name in names)
    if not texts or not 1 <= len(names) <= UNLABELLED or len(set(names)) < len(names):
        expected = f"1 to {UNLABELLED} different names, or a label set's name or path"
        raise _wrong(path, "classes", value, expected)
    if IGNORE in names:
        raise _wrong(path, "classes", value, f"no class named {IGNORE}")
    folder = path.resolve().parent
    return named_classes(names, folder.name if path.stem == "label_map" else path.stem)


def _label_set(name: str | Path, folder: Path) -> LabelSet:
    beside = folder / name
    try:
        return LabelSet.load(beside if beside.suffix in (".yaml", ".yml") else name)
    except ValueError as error:
        raise DataError(str(error)) from None


def _values(path: Path, entries: object, classes: LabelSet) -> dict[int, int]:
    if not isinstance(entries, dict) or not entries:
        raise _wrong(path, "map", entries, "lines of the form 'value: class name'")
    labels = {c.name: c.id for c in classes.classes}
    values = {}
    for value, name in entries.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(path, "a key of map", value, "an integer")
        if name in (IGNORE, None):
            values[value] = UNLABELLED
        elif isinstance(name, str) and name in labels:
            values[value] = labels[name]
        else:
            known = ", ".join(labels)
            raise _wrong(path, f"the class of value {value}", name, f"{IGNORE} or one of: {known}")
    return values


def _read_yaml(path: Path) -> dict:
    import yaml

    if not path.is_file():
        raise DataError(f"label map {path}: the file does not exist")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"label map {path}: cannot be read: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise _wrong(path, "content", content, "the keys classes, map and others")
    return content


def _wrong(path: Path, what: str, got: object, expected: str) -> DataError:
    return DataError(f"label map {path}: {what}: got {got!r}, expected {expected}")
