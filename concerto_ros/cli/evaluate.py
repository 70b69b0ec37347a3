# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure a model on labelled scans: IoU and accuracy per class, mIoU, mAcc, allAcc.

Counted at the original points of the scans, as Pointcept does, not at voxels. --augment and
--grid-offsets average the predictions over views of a scan and over offsets of the voxel grid
(test-time augmentation): slower and slightly better. The folder --out gets report.md, report.json
and confusion.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from concerto_ros.cli.shared.former_names import add_former_name
from concerto_ros.cli.shared.scan_arguments import ScanOpener, load_encoder_for

HELP = "measure a model on labelled scans"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the scans and the model."""
    from concerto_ros.cli.shared.scan_arguments import add_data_arguments, add_input_arguments
    from concerto_ros.learning.data.layout_names import SPLITS

    parser.add_argument(
        "data", type=Path, help="labelled scans: a folder, or a bag with a labelled map"
    )
    parser.add_argument(
        "--checkpoint",
        default="demo",
        help="encoder: an official name or a file (default: demo, the bundled model of the"
        " preset)",
    )
    parser.add_argument(
        "--head",
        default="",
        help="linear head: an official name or a file (default: the demo model's)",
    )
    parser.add_argument(
        "--split", choices=SPLITS, default="val", help="scans to measure on (default val)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="random seed of the split into training and validation scans, the same as in training"
        " (default 0)",
    )
    offsets = parser.add_argument(
        "--grid-offsets",
        type=int,
        default=1,
        metavar="N",
        help="number of voxel grid offsets whose predictions are averaged (default 1)",
    )
    add_former_name(parser, "--phases", offsets)
    parser.add_argument(
        "--augment",
        type=int,
        choices=(1, 4, 10, 13),
        default=1,
        help="number of views of each scan whose predictions are averaged, as Pointcept's testers"
        " choose them: 13 rooms (turned, scaled, mirrored), 10 nuScenes, 4 SemanticKITTI"
        " (default 1: the scan as it is)",
    )
    parser.add_argument(
        "--every-point",
        action="store_true",
        help="label each point of a voxel by itself, in as many runs as the fullest voxel has"
        " points, as Pointcept's testers do, instead of the mean that the node's map holds",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/evaluate"),
        help="folder for the report (default out/evaluate)",
    )
    add_data_arguments(parser)
    add_input_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Label every scan, print the scores and write the report."""
    from concerto_ros.heads import LinearHead
    from concerto_ros.learning.data.scan_identity import require_labels
    from concerto_ros.learning.evaluation.evaluate import evaluate
    from concerto_ros.learning.evaluation.report import class_table, summary, write_report
    from concerto_ros.learning.methods.segmenter import Segmenter
    from concerto_ros.segmentation.model_options import check_intensity, convention_of

    encoder, voxel_size = load_encoder_for(arguments)
    if not arguments.head and arguments.checkpoint != "demo":
        raise ValueError(
            f"--head: got none, expected a linear head for {arguments.checkpoint}: only the demo"
            " model includes a head"
        )
    head = LinearHead.load(arguments.head or "demo", encoder, preset=arguments.preset)
    convention = convention_of(encoder, arguments.preset, head)
    check_intensity(head, arguments.intensity_white)
    data = ScanOpener(arguments, voxel_size).open(arguments.split)
    if not len(data):
        raise ValueError(f"{arguments.data}: no scans in split {arguments.split}; use --split all")
    require_labels(data, "to measure on")
    if len(data.classes) != head.num_classes:
        raise ValueError(
            f"--head: got {head.name!r} with {head.num_classes} classes, expected the "
            f"{len(data.classes)} of {arguments.data}; --label-map can map its labels to others"
        )
    score = evaluate(
        Segmenter(encoder, head),
        data,
        convention,
        voxel_size,
        phases=arguments.grid_offsets,
        views=arguments.augment,
        every_point=arguments.every_point,
        device=next(head.parameters()).device,
        progress=True,
    )
    facts = {
        "encoder": encoder.name,
        "head": head.name,
        "scans": f"{len(data)} ({arguments.split})",
        "voxel size": f"{voxel_size} m",
        "grid phases": arguments.grid_offsets,
        "views": arguments.augment,
        "a voxel is": "each of its points" if arguments.every_point else "the mean of its points",
    }
    title = f"{encoder.name} on {arguments.data}"
    written = write_report(arguments.out, score, data.classes, title=title, facts=facts)
    print(class_table(score, data.classes))
    print(summary(score))
    print("wrote " + ", ".join(str(path) for path in written))
    return 0
