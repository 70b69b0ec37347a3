# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure a model on labelled scans: IoU and accuracy per class, mIoU, mAcc, allAcc.

Counted at the original points of the scans, as Pointcept does. --phases takes a vote over several
places of the voxel grid: slower, a little better. Writes report.md, report.json, confusion.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from concerto_ros.cli.scan_arguments import ScansOfCommand, load_encoder_for

HELP = "measure a model on labelled scans"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The scans and the model."""
    from concerto_ros.cli.scan_arguments import add_data_arguments, add_input_arguments
    from concerto_ros.learning.data.formats import SPLITS

    parser.add_argument("data", type=Path, help="labelled scans: a folder, or a bag")
    parser.add_argument("--checkpoint", default="demo", help="encoder (default demo)")
    parser.add_argument("--head", default="", help="linear head (default: the encoder's own)")
    parser.add_argument(
        "--split", choices=SPLITS, default="val", help="which of the scans (default val)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the hold-out (default 0)")
    parser.add_argument(
        "--phases", type=int, default=1, help="places of the grid that vote (default 1)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate"), help="default out/evaluate"
    )
    add_data_arguments(parser)
    add_input_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Label every scan and count."""
    from concerto_ros.heads import LinearHead
    from concerto_ros.learning.evaluation.evaluate import evaluate
    from concerto_ros.learning.evaluation.report import class_table, summary, write_report
    from concerto_ros.learning.methods.segmenter import Segmenter
    from concerto_ros.segmentation.model_options import convention_of

    encoder, voxel_size = load_encoder_for(arguments)
    if not arguments.head and arguments.checkpoint != "demo":
        raise ValueError(f"--head: expected, {arguments.checkpoint} brings none of its own")
    head = LinearHead.load(arguments.head or "demo", encoder)
    convention = convention_of(encoder, arguments.preset, head)
    data = ScansOfCommand(arguments, voxel_size).open(arguments.split)
    if not len(data):
        raise ValueError(f"{arguments.data}: no scans in {arguments.split}; use --split all")
    if len(data.classes) != head.num_classes:
        raise ValueError(
            f"head {head.name!r} knows {head.num_classes} classes, the labels of "
            f"{arguments.data} {len(data.classes)}; expected the same ones (see --label-map)"
        )
    score = evaluate(
        Segmenter(encoder, head),
        data,
        convention,
        voxel_size,
        phases=arguments.phases,
        device=next(head.parameters()).device,
        progress=True,
    )
    facts = {
        "encoder": encoder.name,
        "head": head.name,
        "scans": f"{len(data)} ({arguments.split})",
        "voxel size": f"{voxel_size} m",
        "grid phases": arguments.phases,
    }
    title = f"{encoder.name} on {arguments.data}"
    written = write_report(arguments.out, score, data.classes, title=title, facts=facts)
    print(class_table(score, data.classes))
    print(summary(score))
    print("wrote " + ", ".join(str(path) for path in written))
    return 0
