# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exported encoders as ONNX files, written by onnx and run by ONNX Runtime (extra ``[onnx]``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.export.description import METADATA, Description, ExportError
from concerto_ros.ptv3.export.head_matrix import HeadMatrix

#: Bytes. A file of protocol buffers has at most 2 GiB; the graph needs much less than the rest.
_MAX_WEIGHTS = 2_000_000_000


def write(path: Path, encoder: Encoder, head: HeadMatrix | None, description: Description) -> None:
    """Write an encoder as an ONNX file.

    Args:
        path: the file.
        encoder: in the precision to write.
        head: the linear head of the description.
        description: of the file.

    Raises:
        ExportError: onnx is not installed, or the weights do not fit into a file.
    """
    try:
        import onnx
    except ImportError as error:
        raise ExportError(_missing("onnx", error)) from error
    from concerto_ros.ptv3.export.onnx_graph import EncoderGraph
    from concerto_ros.ptv3.export.onnx_nodes import GraphWriter

    size = sum(value.numel() * value.element_size() for value in encoder.parameters())
    if size > _MAX_WEIGHTS:
        raise ExportError(
            f"the weights have {size} bytes, at most {_MAX_WEIGHTS} fit into an ONNX file; export"
            " with --precision float16, or with --format pt2"
        )
    graph = GraphWriter(description.inputs)
    layers = EncoderGraph(encoder, graph)
    values = layers.features()
    if head is not None:
        values = [*values, layers.scores(values, head)]
    outputs = list(zip(description.outputs, values, strict=True))
    onnx.save(graph.model(outputs, {METADATA: description.text()}), str(path))


class OnnxProgram:
    """An ONNX file in ONNX Runtime on the CPU, with as many threads as PyTorch has.

    Attributes:
        description: what it computes.
        runtime: name and version of what runs it.
    """

    def __init__(self, path: Path):
        """Load a file.

        Raises:
            ExportError: ONNX Runtime is not installed or does not take the file.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ExportError(_missing("onnxruntime", error)) from error
        self.runtime = f"ONNX Runtime {onnxruntime.__version__}"
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), _options(onnxruntime), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own kinds, which have no common one
            cause = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ExportError(
                f"{path} cannot be loaded by {self.runtime}: {cause}; expected an ONNX file that"
                " concerto-ros export has written whole, and a runtime that knows its operators"
            ) from error
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.description = Description.read(metadata.get(METADATA), path)
        _check_names(self._session, self.description, path)

    def run(
        self, arrays: Mapping[str, torch.Tensor], outputs: tuple[str, ...]
    ) -> list[torch.Tensor]:
        """Compute the named outputs of the named inputs, all on the CPU.

        Raises:
            ExportError: ONNX Runtime cannot; the text is its own.
        """
        feeds = {name: value.contiguous().numpy() for name, value in arrays.items()}
        try:
            values = self._session.run(list(outputs), feeds)
        except Exception as error:
            raise ExportError(f"{self.runtime} cannot run the exported file: {error}") from error
        return [torch.from_numpy(value) for value in values]


def _options(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone
    # Every cloud has other sizes: a plan of memory for each would be kept and never used again.
    options.enable_mem_pattern = False
    # Between two clouds its threads leave the cores to others.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _check_names(session: Any, description: Description, path: Path) -> None:
    """Check that a file takes and returns the arrays that its description says."""
    for kind, values, specs in (
        ("takes", session.get_inputs(), description.inputs),
        ("returns", session.get_outputs(), description.outputs),
    ):
        got = {value.name: _sizes(value.shape) for value in values}
        expected = {spec.name: _sizes(spec.shape) for spec in specs}
        for name in sorted(got.keys() | expected.keys()):
            if got.get(name) != expected.get(name):
                raise ExportError(
                    f"{path} {kind} {name} {got.get(name, 'not at all')}, expected"
                    f" {expected.get(name, 'no such array')}; write it again with concerto-ros"
                    " export"
                )


def _sizes(shape: Any) -> tuple[int | None, ...]:
    """Return sizes, None for those that vary."""
    return tuple(size if isinstance(size, int) else None for size in shape)


def _missing(package: str, error: ImportError) -> str:
    return (
        f"ONNX files need the package {package}, which cannot be imported ({error}); install the"
        " extra: pip install 'concerto_ros[onnx]'"
    )
