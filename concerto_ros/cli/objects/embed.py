# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects embed``: features and, with a head, classes of objects in files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.cli.objects.arguments import add_encoder_arguments, options_of

if TYPE_CHECKING:
    import torch

    from concerto_ros.objects import ObjectEncoder

HELP = "classify and embed object point clouds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and the encoder."""
    parser.description = (
        "Classify and embed object point clouds. Each file holds one object, in metres with z up."
    )
    parser.add_argument(
        "clouds",
        nargs="+",
        type=Path,
        help="point cloud files of single objects, in the formats of concerto-ros segment",
    )
    add_encoder_arguments(parser)
    parser.add_argument("--out", type=Path, help="write the features to this .npz")


def run(arguments: argparse.Namespace) -> int:
    """Print what each object is and write the features."""
    import numpy as np
    import torch

    from concerto_ros.cli.shared.output_file import check_output
    from concerto_ros.files.atomic_write import replacing
    from concerto_ros.objects import load_object_encoder
    from concerto_ros.objects.finding.naming import BATCH

    if arguments.out is not None:
        check_output("--out", arguments.out, ".npz", arguments.clouds)
    encoder = load_object_encoder(arguments.checkpoint, **options_of(arguments))
    # An encoder whose results depend on the rest of the batch gets a batch of one.
    size, features = BATCH if encoder.per_object else 1, []
    for start in range(0, len(arguments.clouds), size):
        paths = arguments.clouds[start : start + size]
        batch = torch.stack([_object_of(path, encoder) for path in paths])
        with torch.inference_mode():
            features.append(encoder.embed(batch).numpy())
            shares = encoder.classify(batch).softmax(1) if encoder.classes else None
        for row, path in enumerate(paths):
            shown = f"{encoder.feature_channels} features"
            if shares is not None:
                shown = _best_of(shares[row], encoder.class_names)
            print(f"{path}: {shown}")
    if arguments.out is not None:
        names = np.array([str(path) for path in arguments.clouds])
        with replacing(arguments.out) as partial, partial.open("wb") as file:
            np.savez(file, names=names, features=np.concatenate(features))
        print(f"wrote {arguments.out}")
    return 0


def _object_of(path: Path, encoder: ObjectEncoder) -> torch.Tensor:
    """Read the object in a file as the encoder takes it."""
    from concerto_ros.sensors.cloud_files import read_cloud

    frame = read_cloud(path)
    try:
        return encoder.prepare(frame.points, frame.colors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _best_of(shares: torch.Tensor, names: tuple[str, ...]) -> str:
    """Format the three most likely classes; ``shares`` are (classes,) probabilities."""
    best = shares.topk(min(3, len(shares)))
    return ", ".join(
        f"{names[label] if names else label} {100 * share:.0f} %"
        for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    )
