# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Taught classes: a source of labels extended by classes that a person taught with examples."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch

from concerto_ros.heads.added_rows import AddedRows, Examples, counterexamples, fitted_rows
from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.taught_regions import TeachingError
from concerto_ros.labels.label_set import LabelSet

NO_HEAD = (
    "there is no head that a class could be taught to: set the parameter head, or label by words"
)

#: Why classes cannot be saved as a head.
NO_MATRIX = (
    "the map is labelled by words, which a file of a linear head cannot hold; call ~/set_words"
    " without names first: the classes that were taught stay"
)


class Teachable(Protocol):
    """What classes can be taught to: a linear head, or words."""

    @property
    def in_channels(self) -> int:
        """Feature width that it takes."""

    @property
    def num_classes(self) -> int:
        """Number of its classes."""

    def feature_logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits of (n, in_channels) features: of the classes, and of other rivals."""

    def with_rows(self, rows: AddedRows, labels: LabelSet) -> Teachable:
        """Return a copy with the rows of taught classes, whose classes are ``labels``."""


class TaughtClasses:
    """A source of labels as it was loaded, the examples taught since, and both together.

    It is immutable: :meth:`taught` and :meth:`without` return a new one.

    Attributes:
        head: with all taught classes; None: there is none, and nothing can be taught.
        labels: its classes.
        names: of the taught classes, in the order in which they were taught.
        newest_examples: number of voxels that showed the class taught last.
    """

    def __init__(
        self,
        base: Teachable | None,
        labels: LabelSet,
        examples_by_class: Mapping[str, Examples] | None = None,
        newest_examples: int = 0,
    ):
        """Extend ``base`` by the classes in ``examples_by_class``.

        Args:
            base: the head as it was loaded, or words; None: there is neither.
            labels: the classes of ``base``.
            examples_by_class: the examples of each taught class, by its name; their features are
                those of all levels of the encoder.
            newest_examples: see :attr:`newest_examples`.
        """
        self._base, self._base_labels = base, labels
        self._examples = dict(examples_by_class or {})
        self.names = tuple(self._examples)
        self.newest_examples = newest_examples
        self.head, self.labels = base, labels
        if base is not None and self._examples:
            self.labels = _extended(labels, self.names)
            label_by_name = {entry.name: entry.id for entry in self.labels.classes}
            examples = {
                label_by_name[name]: _of_width(own, base.in_channels)
                for name, own in self._examples.items()
            }
            rows = fitted_rows(base.feature_logits, base.num_classes, examples)
            self.head = base.with_rows(rows, self.labels)

    def on(self, base: Teachable | None, labels: LabelSet) -> TaughtClasses:
        """Return the same taught classes on another base, which has the classes ``labels``.

        A class that the base has already is refined, any other is added.
        """
        return TaughtClasses(base, labels, self._examples)

    def named_head(self) -> LinearHead:
        """Return the head with its classes in it, ready to be saved.

        Raises:
            TeachingError: there is no head, or the labels come from words.
        """
        if self.head is None:
            raise TeachingError(NO_HEAD)
        if not isinstance(self.head, LinearHead):
            raise TeachingError(NO_MATRIX)
        head = copy.copy(self.head)
        head.labels = self.labels
        return head

    def label_of(self, name: str) -> int:
        """Return the label of the class ``name``.

        Raises:
            ValueError: the class does not exist.
        """
        return [entry.name for entry in self.labels.classes].index(name)

    def check_name(self, name: str) -> None:
        """Check that a class ``name`` exists or can be added.

        Raises:
            TeachingError: (a ValueError) there is no head.
            ValueError: the name is not a valid class name, or the label set is full.
        """
        self._checked_base(name)

    def _checked_base(self, name: str) -> Teachable:
        """Return the base; the errors are those of :meth:`check_name`."""
        if self._base is None:
            raise TeachingError(NO_HEAD)
        if name not in (entry.name for entry in self.labels.classes):
            self.labels.with_class(name)
        return self._base

    def taught(self, name: str, examples: Examples) -> TaughtClasses:
        """Return a copy with more examples of the class ``name``, which is new or refined by them.

        Raises:
            TeachingError: there are no counterexamples. Any row would fit then, even one
                that gives the whole map this label.
        """
        base = self._checked_base(name)
        known = self._examples.get(name)
        together = examples if known is None else known.joined(examples)
        by_class = self._examples | {name: together.thinned()}
        count = len(examples.showing)
        taught = TaughtClasses(base, self._base_labels, by_class, count)
        own = _of_width(by_class[name], base.in_channels)
        label = taught.label_of(name)
        against = counterexamples(base.feature_logits, base.num_classes, label, own)
        if len(by_class) == 1 and not len(against):
            raise TeachingError(
                f"class_name: there are no counterexamples for {name!r}: all voxels sampled"
                " elsewhere in the map have this label already; teach it where objects of other"
                " classes are in view, too"
            )
        return taught

    def without(self, name: str) -> TaughtClasses:
        """Return a copy without the examples of the class ``name``.

        A class of the head as it was loaded is then as it was.

        Raises:
            TeachingError: the class was not taught.
        """
        if name not in self._examples:
            known = ", ".join(self.names) or "none"
            raise TeachingError(
                f"class_name: got {name!r}, expected one that was taught since the head was"
                f" loaded: {known}"
            )
        by_class = {key: value for key, value in self._examples.items() if key != name}
        return TaughtClasses(self._base, self._base_labels, by_class)


def _extended(labels: LabelSet, names: Sequence[str]) -> LabelSet:
    new = [name for name in names if name not in (entry.name for entry in labels.classes)]
    for name in new:
        labels = labels.with_class(name)
    added = "".join(f" + {name}" for name in new)
    return replace(labels, name=labels.name + added, title=labels.title + added)


def _of_width(examples: Examples, width: int) -> Examples:
    """The channels that a base takes: those of the coarsest levels, which come last."""
    return Examples(examples.showing[:, -width:], examples.other[:, -width:])
