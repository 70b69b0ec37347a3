# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an exported file says about itself, inside it and as JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from concerto_ros.ptv3.config import ConfigError, PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.export.arrays import ArraySpec, input_specs, rows_of

#: Name under which a file carries its description.
METADATA = "concerto_ros"

#: Version of the description and of the arrays; a file of another one is refused.
VERSION = 1

PRECISIONS = ("float32", "bfloat16", "float16")


class ExportError(ValueError):
    """A file that is not a usable export, or that cannot be written; the text says why."""


@dataclass(frozen=True)
class HeadDescription:
    """The linear head whose scores a file computes beside the features.

    Attributes:
        name: the name or path that it was loaded by.
        channels: feature width that it takes.
        classes: names in label order.
        temperature: number by which scores are divided before the softmax that turns them into
            confidences.
    """

    name: str
    channels: int
    classes: tuple[str, ...]
    temperature: float


@dataclass(frozen=True)
class Description:
    """What an exported file computes.

    Attributes:
        format: ``onnx`` or ``pt2``.
        model: name or path of the encoder.
        digest: that of its weights; empty for an encoder of no file.
        licence: of its weights; empty where none is known.
        config: its shape.
        precision: type of its weights and products; what goes in and comes out is float32.
        max_voxels: most voxels that it takes; None: no limit.
        head: whose scores it computes as well; None: features alone.
    """

    format: str
    model: str
    digest: str
    licence: str
    config: PTv3Config
    precision: str
    max_voxels: int | None = None
    head: HeadDescription | None = None

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        format: str,
        *,
        precision: str = "float32",
        max_voxels: int | None = None,
        head: HeadDescription | None = None,
    ) -> Description:
        """Describe the export of an encoder; arguments as the attributes."""
        about = (format, encoder.name, encoder.digest, encoder.licence, encoder.config)
        return cls(*about, precision=precision, max_voxels=max_voxels, head=head)

    @property
    def inputs(self) -> tuple[ArraySpec, ...]:
        """What it takes, in order."""
        down = self.head is not None or not self.config.enc_mode
        return input_specs(self.config, clusters=down)

    @property
    def outputs(self) -> tuple[ArraySpec, ...]:
        """What it returns, in order: features of each level of the pyramid, then the scores."""
        specs = [
            ArraySpec(
                f"level{level}_feat",
                "float32",
                (rows_of(level), width),
                f"Features of level {level}, row by row.",
            )
            for level, width in enumerate(self.config.channels)
        ]
        if self.head is not None:
            shape = (rows_of(0), len(self.head.classes))
            meaning = "Score of each class before the softmax; the highest is the label."
            specs.append(ArraySpec("scores", "float32", shape, meaning))
        return tuple(specs)

    def text(self) -> str:
        """Return the description as JSON, for :meth:`read`."""
        return json.dumps({"version": VERSION, **asdict(self)})

    def page(self, **more: Mapping[str, Any]) -> str:
        """Return the JSON for people and other programs: with inputs, outputs and ``more``."""
        about = {"version": VERSION, **asdict(self)}
        arrays = {
            "inputs": [asdict(spec) for spec in self.inputs],
            "outputs": [asdict(spec) for spec in self.outputs],
        }
        return json.dumps({**about, **arrays, **more}, indent=2) + "\n"

    @classmethod
    def read(cls, text: str | None, path: Path) -> Description:
        """Read what a file carries.

        Args:
            text: as :meth:`text` returns it; None: the file carries none.
            path: the file, for the error message.

        Raises:
            ExportError: it is no description of this version.
        """
        again = "; write it again with concerto-ros export"
        if text is None:
            raise ExportError(
                f"{path} carries no description {METADATA!r}, expected a file that concerto-ros"
                " export has written"
            )
        try:
            content = json.loads(text)
            version = content.pop("version")
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise ExportError(f"{path} has a damaged description ({error}){again}") from error
        if version != VERSION:
            raise ExportError(
                f"{path} has a description of version {version!r}, expected {VERSION}{again}"
            )
        expected = {field.name for field in fields(cls)}
        if set(content) != expected:
            odd = ", ".join(sorted(set(content) ^ expected))
            raise ExportError(
                f"{path} has a damaged description (missing or unknown: {odd}){again}"
            )
        try:
            content["config"] = PTv3Config(**content["config"])
            if content["head"] is not None:
                head = HeadDescription(**content["head"])
                content["head"] = replace(head, classes=tuple(head.classes))
        except (ConfigError, TypeError) as error:
            raise ExportError(f"{path} has a damaged description ({error}){again}") from error
        precision, most = content["precision"], content["max_voxels"]
        if precision not in PRECISIONS or not (most is None or isinstance(most, int)):
            raise ExportError(
                f"{path} has a damaged description (precision {precision!r}, max_voxels {most!r};"
                f" expected one of {', '.join(PRECISIONS)}, and a whole number or none){again}"
            )
        return cls(**content)

    def check_fits(self, encoder: Encoder, path: Path) -> None:
        """Check that a file is an export of this encoder.

        Raises:
            ExportError: it is one of another; the text names what differs.
        """
        ours, theirs = asdict(encoder.config), asdict(self.config)
        for name, value in ours.items():
            if theirs[name] != value:
                raise ExportError(
                    f"{path} is an export of {self.model!r} with {name} {theirs[name]!r}, expected"
                    f" {value!r} as in the checkpoint {encoder.name!r}; export that checkpoint, or"
                    " set checkpoint to the exported one"
                )
        if self.digest != encoder.digest:
            raise ExportError(
                f"{path} is an export of {self.model!r} with the weights"
                f" {self.digest or 'of no file'}, expected {encoder.digest or 'those of no file'}"
                f" as in the checkpoint {encoder.name!r}; export that checkpoint, or set"
                " checkpoint to the exported one"
            )
