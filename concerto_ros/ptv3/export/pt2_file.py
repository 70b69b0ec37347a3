# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exported encoders as files of ``torch.export``, which PyTorch alone runs."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.export.arrays import hierarchy_arrays, takes_clusters
from concerto_ros.ptv3.export.comparison import cloud_like_a_room
from concerto_ros.ptv3.export.description import METADATA, Description, ExportError
from concerto_ros.ptv3.export.head_matrix import HeadMatrix
from concerto_ros.ptv3.export.program import ArrayProgram

#: Voxels of the first of the two clouds with which a program is traced, and least of the second.
_SHORT, _LONG = 20, 333


def write(path: Path, encoder: Encoder, head: HeadMatrix | None, description: Description) -> None:
    """Write an encoder as a file of ``torch.export``; arguments as for ONNX.

    Raises:
        ExportError: PyTorch cannot trace it; the text is its own.
    """
    arrays = traced_arrays(encoder, clusters=takes_clusters(description.inputs))
    dynamic = {
        spec.name: {
            axis: torch.export.Dim.DYNAMIC
            for axis, size in enumerate(spec.shape)
            if isinstance(size, str)
        }
        for spec in description.inputs
    }
    program = ArrayProgram(encoder, head).eval().requires_grad_(False)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of PyTorch, on its own code
        try:
            traced = torch.export.export(
                program, (arrays,), dynamic_shapes=(dynamic,), strict=False
            )
            # By the path itself it would ask for its usual ending.
            with path.open("wb") as file:
                torch.export.save(traced, file, extra_files={METADATA: description.text()})
        except (RuntimeError, ValueError, torch._dynamo.exc.TorchDynamoException) as error:
            raise ExportError(
                f"PyTorch {torch.__version__} cannot trace the encoder: {error}; an .onnx file is"
                " written without tracing"
            ) from error


def traced_arrays(encoder: Encoder, *, clusters: bool) -> dict[str, torch.Tensor]:
    """Return the inputs with which an encoder is traced.

    What varies is at least two of everything, at the coarsest level too: PyTorch takes a size of
    one for a constant of the program, which then refuses every other cloud. So the longer cloud
    reaches over more than one of the coarsest voxels.

    Args:
        encoder: in the precision to write.
        clusters: as for :func:`~concerto_ros.ptv3.export.arrays.input_specs`.
    """
    config = encoder.config
    side = 2 * math.prod(config.stride)
    sizes = (_SHORT, max(_LONG, 2 * side**2))
    feat, *voxels = cloud_like_a_room(sizes, config.in_channels, 0)
    geometry = hierarchy_arrays(encoder.hierarchy(*voxels), config, clusters=clusters)
    return {"feat": feat, **geometry}


class Pt2Program:
    """A file of ``torch.export`` in PyTorch on the CPU.

    Attributes:
        description: what it computes.
        runtime: name and version of what runs it.
    """

    def __init__(self, path: Path):
        """Load a file, which is a program of PyTorch: load only files that you trust.

        Raises:
            ExportError: PyTorch does not take the file.
        """
        self.runtime = f"PyTorch {torch.__version__}"
        carried = {METADATA: ""}
        try:
            program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=carried)
        except Exception as error:  # of its readers, which have no common kind
            cause = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ExportError(
                f"{path} cannot be loaded by {self.runtime}: {cause}; expected a .pt2 file that"
                " concerto-ros export has written whole, with the same version of PyTorch"
            ) from error
        self.description = Description.read(carried[METADATA] or None, path)
        self._names = [spec.name for spec in self.description.outputs]
        self._compute = program.module()

    def run(
        self, arrays: Mapping[str, torch.Tensor], outputs: tuple[str, ...]
    ) -> list[torch.Tensor]:
        """Compute the named outputs of the named inputs, all on the CPU.

        Raises:
            ExportError: PyTorch cannot; the text is its own.
        """
        try:
            values = self._compute(dict(arrays))
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            raise ExportError(f"{self.runtime} cannot run the exported file: {error}") from error
        by_name = dict(zip(self._names, values, strict=True))
        return [by_name[name].float() for name in outputs]
