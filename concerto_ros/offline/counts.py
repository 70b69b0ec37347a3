# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What became of a bag's messages: received = used + dropped, by input and by reason."""

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
    """Messages of one input; an RGB-D pair is one, and so is an image without a partner.

    ``examples``: by reason, what was wrong with the first message that was dropped for it.
    """

    examples: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values, reasons in alphabetical order."""
        return {
            "received": self.received,
            "used": self.fused,
            "dropped": dict(sorted(self.drops.items())),
            "examples": dict(sorted(self.examples.items())),
        }


@dataclass
class Counts(tally.Tally):
    """Of one part of a bag or of the whole.

    Attributes
    ----------
    inputs: by name.
    seen: messages of the topics that are listened to.
    labelled: maps that were labelled, each a message on every output.
    restarts: times at which the stamps went back and the map was cleared.
    evicted: voxels that left because of ``max_voxels``.
    clipped: points that went unused because their cloud has more than ``max_points``.
    refused_transforms: transforms, or whole messages of them, that make no sense.
    """

    inputs: dict[str, BagInputCounts]
    seen: int = 0
    labelled: int = 0
    restarts: int = 0
    evicted: int = 0
    clipped: int = 0
    refused_transforms: int = 0

    @classmethod
    def of(cls, names: Iterable[str]) -> Counts:
        """Nothing yet, for inputs of these names."""
        return cls({name: BagInputCounts() for name in names})

    def received(self, name: str, count: int = 1, stamp: int = 0) -> None:
        self.inputs[name].received += count

    def dropped(self, name: str, reason: str, text: str = "", count: int = 1) -> None:
        counts = self.inputs[name]
        counts.examples.setdefault(reason, counts.drop(reason, text, count))

    def fused(
        self, name: str, frame: Frame, insertion: Insertion, stage_ms: dict[str, float]
    ) -> None:
        self.inputs[name].fused += 1
        self.evicted += insertion.evicted
        self.clipped += frame.clipped

    def restarted(self, why: str) -> None:
        self.restarts += 1

    def add(self, other: Counts) -> None:
        """Count what another part counted."""
        for name, counts in other.inputs.items():
            own = self.inputs[name]
            own.received += counts.received
            own.fused += counts.fused
            own.drops += counts.drops
            own.examples = counts.examples | own.examples
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_json(self) -> dict[str, Any]:
        """Plain values; ``received``, ``used`` and ``dropped`` also over all inputs."""
        dropped = sum((counts.drops for counts in self.inputs.values()), Counter())
        return {
            "received": sum(counts.received for counts in self.inputs.values()),
            "used": sum(counts.fused for counts in self.inputs.values()),
            "dropped": dict(sorted(dropped.items())),
            "inputs": {name: counts.as_json() for name, counts in self.inputs.items()},
            **{name: getattr(self, name) for name in _NUMBERS},
        }

    def write(self, path: Path) -> None:
        """Write :meth:`as_json` to a file."""
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Counts:
        """What :meth:`write` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        inputs = {
            name: BagInputCounts(
                entry["received"], entry["used"], Counter(entry["dropped"]), entry["examples"]
            )
            for name, entry in content["inputs"].items()
        }
        return cls(inputs, **{name: content[name] for name in _NUMBERS})


_NUMBERS = ("seen", "labelled", "restarts", "evicted", "clipped", "refused_transforms")
