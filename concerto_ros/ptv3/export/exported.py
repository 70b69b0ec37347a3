# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writing exports that were verified, and reading them in place of an encoder's own features."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from concerto_ros.files.atomic_write import replacing
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.export.arrays import hierarchy_arrays, takes_clusters
from concerto_ros.ptv3.export.comparison import cloud_sizes, worst_deviation
from concerto_ros.ptv3.export.description import (
    PRECISIONS,
    Description,
    ExportError,
    HeadDescription,
)
from concerto_ros.ptv3.export.head_matrix import HeadMatrix
from concerto_ros.ptv3.hierarchy import Hierarchy

#: The formats by the ending of their files.
FORMATS = {".onnx": "onnx", ".pt2": "pt2"}

#: Voxels of the cloud on which a file is compared with its encoder when it is loaded.
_PROBE = 300


class Program(Protocol):
    """A file of one format, loaded."""

    description: Description
    runtime: str

    def run(
        self, arrays: Mapping[str, torch.Tensor], outputs: tuple[str, ...]
    ) -> list[torch.Tensor]:
        """Compute the named outputs of the named inputs, all on the CPU."""


class Exported:
    """An exported encoder: computes the floating-point half of a forward pass from its file.

    Attributes:
        description: what the file says about itself.
        runtime: name and version of what runs it.
    """

    def __init__(self, path: str | os.PathLike, format: str | None = None):
        """Load a file.

        Args:
            path: the file.
            format: one of :data:`FORMATS`; None: that of the ending of ``path``.

        Raises:
            ExportError: (a ValueError) it does not exist, is not an export, or what runs its
                format is not installed.
        """
        self._path = Path(path)
        if not self._path.is_file():
            raise ExportError(
                f"{self._path} is not there, expected a file that concerto-ros export has written"
            )
        program = _opened(self._path, format or _format(self._path, None))
        self.description, self.runtime, self._run = (
            program.description,
            program.runtime,
            program.run,
        )

    def __call__(self, feat: torch.Tensor, hierarchy: Hierarchy) -> list[torch.Tensor]:
        """Compute the features of each level of the pyramid.

        Args:
            feat: (N, in_channels) float, on the CPU.
            hierarchy: as :meth:`Encoder.hierarchy` builds it there.

        Raises:
            ExportError: the batch has more voxels than the file takes.
        """
        return self._computed(feat, hierarchy, len(self.description.config.channels))

    def with_scores(self, feat: torch.Tensor, hierarchy: Hierarchy) -> list[torch.Tensor]:
        """Compute the features of each level, then the scores if the file has a head."""
        return self._computed(feat, hierarchy, None)

    def _computed(
        self, feat: torch.Tensor, hierarchy: Hierarchy, outputs: int | None
    ) -> list[torch.Tensor]:
        description = self.description
        most = description.max_voxels
        if most is not None and len(feat) > most:
            raise ExportError(
                f"{self._path} takes at most {most} voxels, got {len(feat)}; export again with"
                " --max-voxels"
            )
        arrays = {"feat": feat.float()}
        clusters = takes_clusters(description.inputs)
        arrays |= hierarchy_arrays(hierarchy, description.config, clusters=clusters)
        names = tuple(spec.name for spec in description.outputs[:outputs])
        return self._run(arrays, names)

    def attach(self, encoder: Encoder, *, max_voxels: int) -> None:
        """Let an encoder compute its features by this file from now on.

        Args:
            encoder: what was exported, in float32 on the CPU.
            max_voxels: most voxels that it will be given.

        Raises:
            ExportError: the file is an export of another encoder, takes fewer voxels, or computes
                other features.
        """
        self.description.check_fits(encoder, self._path)
        most = self.description.max_voxels
        if most is not None and most < max_voxels:
            raise ExportError(
                f"{self._path} takes at most {most} voxels, expected at least the {max_voxels} of"
                f" max_voxels; set max_voxels to {most}, or export again with --max-voxels"
            )
        size = min(_PROBE, most or _PROBE)
        precision = self.description.precision
        worst = worst_deviation(self, encoder, None, precision, [(size,)])
        if not worst <= 1:
            raise ExportError(
                f"{self._path} computes other features than the checkpoint {encoder.name!r}, by"
                f" {worst:.3g} times the tolerance, expected at most 1; export it again"
            )
        encoder.program = self


class Written(NamedTuple):
    """What was written and how well it agrees.

    Attributes:
        page: the JSON beside the file.
        runtime: what ran the file.
        worst: the largest deviation from the encoder, as a multiple of the tolerance.
        batches: sizes of the clouds of each batch that was compared.
    """

    page: Path
    runtime: str
    worst: float
    batches: list[tuple[int, ...]]


def write_export(
    encoder: Encoder,
    path: Path,
    *,
    format: str | None = None,
    head: HeadMatrix | None = None,
    precision: str = "float32",
    max_voxels: int | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Written:
    """Export an encoder: write a file, load it again, compare it, and only then keep it.

    Args:
        encoder: in float32 on the CPU.
        path: the file; its description is written beside it as ``<path>.json``.
        format: one of :data:`FORMATS`; None: that of the ending of ``path``.
        head: whose scores the file computes as well; None: features alone.
        precision: type of the weights and products, one of
            :data:`~concerto_ros.ptv3.export.description.PRECISIONS`.
        max_voxels: most voxels that the file takes; None: no limit.
        notes: what the JSON says of the input beside that, e.g. the size of the voxels.

    Raises:
        ExportError: an argument is not accepted, or the file does not compute what the encoder
            does; nothing is written then.
    """
    if type(encoder) is not Encoder:
        raise ExportError(
            f"the encoder {encoder.name!r} is a {type(encoder).__name__}, expected a Point"
            " Transformer V3 (Sonata, Concerto, Utonia or demo): others are not exported"
        )
    format = _format(path, format)
    _check(format, precision, max_voxels)
    about = None
    if head is not None:
        width = head.weight.shape[1]
        about = HeadDescription(head.name, width, head.classes, head.temperature)
    description = Description.of(
        encoder, format, precision=precision, max_voxels=max_voxels, head=about
    )
    dtype = getattr(torch, precision)
    rounded = encoder if dtype == torch.float32 else copy.deepcopy(encoder).to(dtype)
    page = path.with_name(f"{path.name}.json")
    for target in (path, page):
        if target.is_dir():
            raise ExportError(f"{target} is a folder, expected a file or none of this name")
    config = encoder.config
    batches = cloud_sizes(max(config.enc_patch_size + config.dec_patch_size), max_voxels)
    with replacing(path) as partial:
        _write(partial, rounded, head, description)
        exported = Exported(partial, format)
        worst = worst_deviation(exported.with_scores, encoder, head, precision, batches)
        if not worst <= 1:
            raise ExportError(
                f"{path} is not written: it deviates from the encoder by {worst:.3g} times the"
                f" tolerance, expected at most 1 (run by {exported.runtime})"
            )
        verified = {
            "runtime": exported.runtime,
            "voxels": batches,
            "worst_deviation": worst,
            "unit": "tolerance",
        }
        with replacing(page) as partial_page:
            page_text = description.page(input=notes or {}, verified=verified)
            partial_page.write_text(page_text)
    return Written(page, exported.runtime, worst, batches)


def _format(path: Path, format: str | None) -> str:
    """Return the format of a file, which its ending has to name: by it files are recognised."""
    endings = {name: ending for ending, name in FORMATS.items()}
    if format is not None and format not in endings:
        raise ExportError(f"format is {format!r}, expected one of {', '.join(endings)}")
    expected = endings[format] if format else " or ".join(FORMATS)
    if path.suffix not in FORMATS or (format and path.suffix != expected):
        raise ExportError(
            f"{path} ends with {path.suffix!r}, expected {expected}, by which the format is"
            " recognised"
        )
    return FORMATS[path.suffix]


def _check(format: str, precision: str, max_voxels: int | None) -> None:
    if precision not in PRECISIONS:
        raise ExportError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if (format, precision) == ("onnx", "bfloat16"):
        raise ExportError(
            "precision is 'bfloat16', expected float32 or float16 for the format onnx: ONNX"
            " Runtime has no operators for bfloat16 on CPUs"
        )
    if max_voxels is not None and max_voxels < 1:
        raise ExportError(f"max_voxels is {max_voxels}, expected at least 1")


def _write(path: Path, encoder: Encoder, head: HeadMatrix | None, about: Description) -> None:
    if about.format == "onnx":
        from concerto_ros.ptv3.export import onnx_file

        onnx_file.write(path, encoder, head, about)
        return
    from concerto_ros.ptv3.export import pt2_file

    pt2_file.write(path, encoder, head, about)


def _opened(path: Path, format: str) -> Program:
    if format == "onnx":
        from concerto_ros.ptv3.export.onnx_file import OnnxProgram

        return OnnxProgram(path)
    from concerto_ros.ptv3.export.pt2_file import Pt2Program

    return Pt2Program(path)
