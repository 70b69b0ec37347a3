# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write an encoder as a file that runs without this package: ONNX, or PyTorch's .pt2.

The file holds the floating-point half of the encoder, for any number of voxels; the geometry of a
cloud goes in as arrays, which OUT.json lists and docs/export.md describes. It is loaded again and
compared with the encoder before it is kept: a file that deviates is not written, exit status 1.

The node computes with it where the parameter exported names it, beside checkpoint. Writing and
running ONNX needs pip install 'concerto_ros[onnx]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.cli.shared.output_file import check_output

if TYPE_CHECKING:
    from concerto_ros.ptv3 import Encoder
    from concerto_ros.ptv3.export.head_matrix import HeadMatrix

HELP = "write an encoder as ONNX or .pt2, for ONNX Runtime, C++ and other programs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the model, the file and its format."""
    from concerto_ros.settings.presets import PRESETS

    parser.add_argument(
        "checkpoint", help="encoder: demo (the bundled model), an official name or a file"
    )
    parser.add_argument("out", type=Path, help="file to write, ending with .onnx or .pt2")
    parser.add_argument(
        "--format",
        choices=("pt2", "onnx"),
        help="format of the file (default: by its ending)",
    )
    parser.add_argument(
        "--head",
        default="",
        help="linear head whose scores the file computes as well: demo, an official name or a"
        " file (default: features alone)",
    )
    parser.add_argument(
        "--preset",
        default="indoor",
        choices=tuple(PRESETS),
        help="which bundled model demo is, and the input convention (default indoor)",
    )
    parser.add_argument(
        "--precision",
        default="float32",
        choices=("float32", "bfloat16", "float16"),
        help="type of the weights and products; inputs and outputs are float32 (default float32)",
    )
    parser.add_argument(
        "--max-voxels",
        type=int,
        metavar="N",
        help="most voxels that the file is used with (default: any number)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the file and its description, and print how well it agrees with the encoder."""
    from concerto_ros.ptv3 import load_encoder
    from concerto_ros.ptv3.export.exported import write_export
    from concerto_ros.segmentation.model_options import convention_of

    read = [Path(name) for name in (arguments.checkpoint, arguments.head) if name]
    check_output("out", arguments.out, arguments.out.suffix, read)
    encoder = load_encoder(arguments.checkpoint, preset=arguments.preset)
    head = _head(arguments, encoder)
    convention = convention_of(encoder, arguments.preset)
    written = write_export(
        encoder,
        arguments.out,
        format=arguments.format,
        head=head,
        precision=arguments.precision,
        max_voxels=arguments.max_voxels,
        notes={
            "grid_size": encoder.grid_size,
            "scale": convention.scale,
            "centre": convention.centre,
        },
    )
    print(
        f"compared on {len(written.batches)} batches of up to {max(map(sum, written.batches))}"
        f" voxels by {written.runtime}: {written.worst:.3g} of the tolerance"
    )
    print(f"wrote {arguments.out} and {written.page}")
    print(
        f"for the node, in its parameter file: checkpoint: {arguments.checkpoint},"
        f" exported: {arguments.out}"
    )
    return 0


def _head(arguments: argparse.Namespace, encoder: Encoder) -> HeadMatrix | None:
    """Return the matrix of ``--head``, if there is one, after it was checked."""
    if not arguments.head:
        return None
    from concerto_ros.heads import LinearHead
    from concerto_ros.ptv3.export.head_matrix import HeadMatrix
    from concerto_ros.segmentation.model_options import (
        check_trained_for,
        label_set_for,
        naming,
    )

    with naming("--head"):
        head = LinearHead.load(arguments.head, encoder, preset=arguments.preset)
    check_trained_for("--head", head, encoder, arguments.preset)
    names = tuple(entry.name for entry in label_set_for("", head).classes)
    layer = head.seg_head
    return HeadMatrix(head.name, names, head.temperature, layer.weight.data, layer.bias.data)
