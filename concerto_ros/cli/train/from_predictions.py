# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train head --from-predictions``: a head learns what a former one is sure of."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concerto_ros.labels.label_set import LabelSet
    from concerto_ros.learning.adaptation.predictions import Predictor
    from concerto_ros.learning.data.formats import Cached

#: Probability from which a prediction is believed.
CONFIDENCE = 0.8

#: Images of a scene, at most.
_MAX_FRAMES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    former = parser.add_argument_group("labels by a former model, without labelled scans")
    former.add_argument(
        "--from-predictions",
        action="store_true",
        help="take the confident predictions of a former encoder and its head as labels: DATA are"
        " recordings as for train adapt, whose labels are not read",
    )
    former.add_argument(
        "--former-checkpoint",
        metavar="FILE",
        default="demo",
        help="the former encoder (default: demo, the bundled model of the preset)",
    )
    former.add_argument(
        "--former-head",
        metavar="FILE",
        help="its head (default: that of the bundled model)",
    )
    former.add_argument(
        "--confidence",
        type=float,
        default=CONFIDENCE,
        metavar="P",
        help=f"probability that a prediction must have to be a label (default {CONFIDENCE})",
    )


def facts(arguments: argparse.Namespace) -> dict[str, object]:
    """What a report says about the labels, by name; nothing where they were given."""
    if not getattr(arguments, "from_predictions", False):
        return {}
    what = f"predictions of {arguments.former_checkpoint} with a probability of"
    judged = "the validation scans have labels of their own"
    if arguments.validation is None:
        judged = "scores here are agreement with such predictions, not with the truth"
    return {"labels": f"{what} {arguments.confidence:g} or more; {judged}"}


def open_scans(arguments: argparse.Namespace, voxel_size: float) -> tuple[Cached, Cached]:
    """Open recordings as scans to train and to validate on, labelled by the former model.

    Args:
        arguments: Of ``train head``.
        voxel_size: Of the new encoder, metres.

    Raises:
        ValueError: The former head does not belong to the former encoder, nothing is confident, or
            an option does not go with predictions.
    """
    from concerto_ros.cli.shared.scan_arguments import ScanOpener
    from concerto_ros.learning.adaptation.data_options import DataOptions
    from concerto_ros.learning.adaptation.opening import open_recordings
    from concerto_ros.learning.adaptation.predictions import (
        PredictedScans,
        require_predictions,
        same_classes,
    )
    from concerto_ros.learning.adaptation.scenes import SomeScenes
    from concerto_ros.learning.data.formats import Cached
    from concerto_ros.learning.data.formats.splits import held_out_rows
    from concerto_ros.learning.data.scan_identity import require_labels

    if arguments.intensity_white:
        raise ValueError(
            f"--intensity-white: got {arguments.intensity_white:g}, expected 0 with"
            " --from-predictions, which reads no intensity"
        )
    if not 0 <= arguments.holdout < 1:
        raise ValueError(f"--holdout: got {arguments.holdout}, expected 0 to less than 1")
    predictor, classes = _former(arguments)
    options = DataOptions(
        voxel_size,
        arguments.preset,
        arguments.out,
        arguments.frames_per_scan,
        arguments.every,
        _MAX_FRAMES,
        arguments.map_frame,
        fitted_normals=not arguments.no_fitted_normals,
    )
    scenes = open_recordings([arguments.data], options)
    rows, held_out = held_out_rows(range(len(scenes)), arguments.holdout, None)
    data, validation = (
        Cached(PredictedScans(SomeScenes(scenes, part.tolist()), predictor, classes))
        for part in (rows, held_out)
    )
    share = require_predictions(data, arguments.confidence)
    print(
        f"{arguments.former_checkpoint} labels {100 * share:.0f} % of the points with a"
        f" probability of {arguments.confidence:g} or more; the others have no label"
    )
    if arguments.validation is None:
        if len(validation):
            require_predictions(validation, arguments.confidence)
    else:
        validation = ScanOpener(arguments, voxel_size).open("val", arguments.validation)
        same_classes(classes, validation.classes)
        require_labels(validation, "to validate on")
    return data, validation


def _former(arguments: argparse.Namespace) -> tuple[Predictor, LabelSet]:
    """The former encoder with its head, and the classes."""
    from concerto_ros.cli.shared.scan_arguments import load_encoder_for
    from concerto_ros.heads.linear import LinearHead
    from concerto_ros.learning.adaptation.predictions import Predictor
    from concerto_ros.learning.methods.segmenter import Segmenter
    from concerto_ros.ptv3.bundled import DEMO
    from concerto_ros.segmentation.model_options import (
        check_intensity,
        convention_of,
        label_set_for,
    )

    named = argparse.Namespace(
        checkpoint=arguments.former_checkpoint,
        preset=arguments.preset,
        device=arguments.device,
        voxel_size=None,
    )
    encoder, voxel_size = load_encoder_for(named)
    name = arguments.former_head or (DEMO if arguments.former_checkpoint == DEMO else None)
    if name is None:
        raise ValueError(
            f"--former-head is missing, expected the head of {arguments.former_checkpoint}"
        )
    head = LinearHead.load(name, encoder, preset=arguments.preset)
    check_intensity(head, 0.0)
    convention = convention_of(encoder, arguments.preset, head)
    model = Segmenter(encoder, head).eval()
    predictor = Predictor(model, convention, voxel_size, arguments.confidence)
    return predictor, label_set_for("", head)
