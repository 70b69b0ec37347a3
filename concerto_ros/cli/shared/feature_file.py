# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The options of the feature file that ``segment`` writes, and the file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from concerto_ros.cli.shared.output_file import check_output

if TYPE_CHECKING:
    from concerto_ros.heads.similarity import FeatureQuery
    from concerto_ros.labels.prediction import Prediction
    from concerto_ros.pipeline import SemanticPipeline

SUFFIX = ".npz"

#: Number types of the features, the default first.
DTYPES = ("float32", "float16")


def add_feature_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the file of features, and what it holds."""
    group = parser.add_argument_group("features")
    group.add_argument(
        "--features",
        type=Path,
        metavar="OUT.npz",
        help="file for the features of each point: xyz, label and features, row by row; NaN where"
        " the model does not see the point",
    )
    group.add_argument(
        "--components",
        type=int,
        metavar="K",
        help="write K components of the features instead, the same directions at every run of a"
        " model (they are in the file as axes), up to 256",
    )
    group.add_argument(
        "--dtype",
        choices=DTYPES,
        help=f"number type of the features (default {DTYPES[0]})",
    )


def check_feature_arguments(arguments: argparse.Namespace) -> None:
    """Check the options before anything is computed.

    Raises:
        ValueError: the file has another suffix or is that of the cloud, or an option has no
            meaning without it.
    """
    if arguments.features is None:
        for name in ("components", "dtype"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--{name}: has no meaning without --features OUT.npz")
    else:
        check_output("--features", arguments.features, SUFFIX, [arguments.file])


def feature_question(
    arguments: argparse.Namespace, pipeline: SemanticPipeline
) -> FeatureQuery | None:
    """Return the query for what the file holds; None where no file is wanted.

    Raises:
        ValueError: the model has not as many components.
    """
    from concerto_ros.heads.similarity import FeatureQuery

    if arguments.features is None:
        return None
    if arguments.components is None:
        return FeatureQuery(every=True)
    return FeatureQuery(every=True, axes=pipeline.projection.first(arguments.components).axes)


def write_features(
    arguments: argparse.Namespace,
    points: np.ndarray,
    prediction: Prediction,
    pipeline: SemanticPipeline,
) -> Path:
    """Write the file.

    Args:
        arguments: the options.
        points: (N, 3) of the cloud's file, metres.
        prediction: the answer to :func:`feature_question`, for the same points.
        pipeline: what made it.

    Raises:
        OSError: the file cannot be written.
    """
    from concerto_ros.files.atomic_write import replacing

    assert prediction.components is not None
    with np.errstate(over="ignore"):  # what float16 does not hold becomes infinite
        features = prediction.components.astype(arguments.dtype or DTYPES[0])
    arrays = {"xyz": points, "label": prediction.label, "features": features}
    if arguments.components is not None:
        arrays["axes"] = pipeline.projection.first(arguments.components).axes.numpy()
    arrays["model"] = np.array(prediction.model)
    arrays["encoder"] = np.array(pipeline.encoder.digest)
    with replacing(arguments.features) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # of its own allow_pickle
    return arguments.features
