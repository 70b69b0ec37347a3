# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes that a person teaches, and the head that knows them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

from concerto_ros.heads.added_rows import Examples, counterexamples, taught_head
from concerto_ros.heads.linear import LinearHead
from concerto_ros.heads.taught_regions import TeachingError
from concerto_ros.labels.label_set import LabelSet

NO_HEAD = "there is no head that could learn: set the parameter head"


class TaughtClasses:
    """A head as it was loaded, what was taught since, and the head that this makes.

    It does not change: :meth:`taught` and :meth:`without` give another one.

    Attributes
    ----------
    head: with all that was taught; None: there is none that could learn.
    labels: its classes.
    names: of the classes that were taught, in that order.
    newest_examples: voxels that the newest lesson was learned from.
    """

    def __init__(
        self,
        base: LinearHead | None,
        labels: LabelSet,
        lessons: Mapping[str, Examples] | None = None,
        newest_examples: int = 0,
    ):
        self._base, self._base_labels = base, labels
        self._lessons = dict(lessons or {})
        self.names = tuple(self._lessons)
        self.newest_examples = newest_examples
        self.head, self.labels = base, labels
        if self._lessons:
            self.labels = _extended(labels, self.names)
            numbers = {entry.name: entry.id for entry in self.labels.classes}
            self.head = taught_head(
                base, {numbers[name]: examples for name, examples in self._lessons.items()}
            )

    def named_head(self) -> LinearHead:
        """The head, knowing its classes, for a file; TeachingError where there is none."""
        if self.head is None:
            raise TeachingError(NO_HEAD)
        head = copy.copy(self.head)
        head.labels = self.labels
        return head

    def label_of(self, name: str) -> int:
        """The label of the class ``name``."""
        return [entry.name for entry in self.labels.classes].index(name)

    def check_name(self, name: str) -> None:
        """ValueError for a name that no class can have, one class too many, and no head at all."""
        if self._base is None:
            raise TeachingError(NO_HEAD)
        if name not in (entry.name for entry in self.labels.classes):
            self.labels.with_class(name)

    def taught(self, name: str, examples: Examples) -> TaughtClasses:
        """With more examples of the class ``name``, which is new or refined by them.

        Raises TeachingError where nothing shows what the class is not: any row would do then, also
        one that gives the whole map this name.
        """
        self.check_name(name)
        known = self._lessons.get(name)
        together = examples if known is None else known.joined(examples)
        lessons = self._lessons | {name: together.thinned()}
        count = len(examples.showing)
        taught = TaughtClasses(self._base, self._base_labels, lessons, count)
        against = counterexamples(self._base, taught.label_of(name), lessons[name])
        if len(lessons) == 1 and not len(against):
            raise TeachingError(
                f"class_name: nothing shows what {name!r} is not, as all that was sampled"
                " elsewhere in the map is called so already; teach it where other things are in"
                " sight, too"
            )
        return taught

    def without(self, name: str) -> TaughtClasses:
        """With everything forgotten that was taught of ``name``.

        A class of the head as it was loaded then is what it was; raises TeachingError where
        nothing was taught of it.
        """
        if name not in self._lessons:
            known = ", ".join(self.names) or "none"
            raise TeachingError(
                f"class_name: got {name!r}, expected one that was taught since the head was"
                f" loaded: {known}"
            )
        lessons = {key: value for key, value in self._lessons.items() if key != name}
        return TaughtClasses(self._base, self._base_labels, lessons)


def _extended(labels: LabelSet, names: Sequence[str]) -> LabelSet:
    new = [name for name in names if name not in (entry.name for entry in labels.classes)]
    for name in new:
        labels = labels.with_class(name)
    added = "".join(f" + {name}" for name in new)
    return replace(labels, name=labels.name + added, title=labels.title + added)
