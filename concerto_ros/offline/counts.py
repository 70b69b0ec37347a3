# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Message accounting of a bag: received = used + dropped, by input and by reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from concerto_ros.intake import tally
from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.sensors.frame import Frame


@dataclass
class BagInputCounts(tally.InputCounts):
    """Message counts of one input; an RGB-D pair is one message, as is an unpaired image.

    Attributes:
        examples: By reason, what was wrong with the first message that was dropped for it.
    """

    examples: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return plain values for JSON, reasons in alphabetical order."""
        return {
            "received": self.received,
            "used": self.fused,
            "dropped": dict(sorted(self.drops.items())),
            "examples": dict(sorted(self.examples.items())),
        }


@dataclass
class Counts(tally.Tally):
    """Counts of a segment of a bag or of the whole bag.

    Attributes:
        inputs: Message counts of each input by name.
        seen: Messages of the inputs and transforms.
        labelled: Maps that were labelled, each a message on every output.
        restarts: How often the stamps went back and the map was cleared.
        evicted: Voxels removed because of ``max_voxels``.
        clipped: Points left out because their cloud has more than ``max_points``.
        ignored: Points in ``ignore_box`` or within ``ignore_radius`` of their input.
        off_lattice: Points of used clouds more than 2^20 voxels from the origin of fixed_frame.
        uncolored: Frames without colours because theirs are not decoded.
        refused_transforms: Invalid transforms and unreadable messages of transforms.
        not_finite: Times that a voxel stayed unlabelled because its features or scores were not
            finite.
        unfamiliar: Maps of which much does not look like what the model was trained on.
    """

    inputs: dict[str, BagInputCounts]
    seen: int = 0
    labelled: int = 0
    restarts: int = 0
    evicted: int = 0
    clipped: int = 0
    ignored: int = 0
    off_lattice: int = 0
    uncolored: int = 0
    refused_transforms: int = 0
    not_finite: int = 0
    unfamiliar: int = 0

    @classmethod
    def of(cls, names: Iterable[str]) -> Counts:
        """Make counts of zero for inputs of these names."""
        return cls({name: BagInputCounts() for name in names})

    def received(self, name: str, count: int = 1, stamp: int = 0) -> None:
        """Count received messages of an input."""
        self.inputs[name].received += count

    def dropped(self, name: str, reason: str, text: str = "", count: int = 1) -> None:
        """Count dropped messages of an input, and keep the first ``text`` for each reason."""
        counts = self.inputs[name]
        counts.examples.setdefault(reason, counts.drop(reason, text, count))

    def fused(
        self, name: str, frame: Frame, insertion: Insertion, stage_ms: dict[str, float]
    ) -> None:
        """Count a fused frame of an input."""
        self.inputs[name].fused += 1
        self.evicted += insertion.evicted
        self.clipped += frame.clipped
        self.ignored += frame.ignored
        self.off_lattice += insertion.outside
        self.uncolored += bool(frame.uncolored)

    def restarted(self, why: str) -> None:
        """Count that time went back."""
        self.restarts += 1

    def add(self, other: Counts) -> None:
        """Add the counts of another segment."""
        for name, counts in other.inputs.items():
            own = self.inputs[name]
            own.received += counts.received
            own.fused += counts.fused
            own.drops += counts.drops
            own.examples = counts.examples | own.examples
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_json(self) -> dict[str, Any]:
        """Return plain values for JSON, with sums over all inputs."""
        dropped: Counter[str] = sum((counts.drops for counts in self.inputs.values()), Counter())
        return {
            "received": sum(counts.received for counts in self.inputs.values()),
            "used": sum(counts.fused for counts in self.inputs.values()),
            "dropped": dict(sorted(dropped.items())),
            "inputs": {name: counts.as_json() for name, counts in self.inputs.items()},
            **{name: getattr(self, name) for name in _NUMBERS},
        }

    def write(self, path: Path) -> None:
        """Write :meth:`as_json` to a JSON file."""
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Counts:
        """Read what :meth:`write` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        inputs = {
            name: BagInputCounts(
                counts["received"], counts["used"], Counter(counts["dropped"]), counts["examples"]
            )
            for name, counts in content["inputs"].items()
        }
        return cls(inputs, **{name: content.get(name, 0) for name in _NUMBERS})


_NUMBERS = (
    "seen",
    "labelled",
    "restarts",
    "evicted",
    "clipped",
    "ignored",
    "off_lattice",
    "uncolored",
    "refused_transforms",
    "not_finite",
    "unfamiliar",
)
