# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros train language DATA --pixel-features ...``: a language head from posed images."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from concerto_ros.cli.train.arguments import word_vectors
from concerto_ros.cli.train.zero_shot_report import zero_shot_report

if TYPE_CHECKING:
    import torch

    from concerto_ros.learning.data.formats import Cached
    from concerto_ros.learning.language.config import LanguageConfig
    from concerto_ros.posed.scene import PosedScene

#: Voxels of each scene that AdamW learns from, at most: a scene is a whole place, not one scan.
VOXELS = 20_000

#: Options of the training from labelled scans, which have no meaning here, and what they are
#: without.
OF_SCANS = {"words": None, "views": 1, "augment": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    from concerto_ros.learning.data.posed import TOLERANCE

    images = parser.add_argument_group(
        "images",
        "With --pixel-features DATA are posed RGB-D images: a bag, or a folder of color/, depth/,"
        " pose/ and intrinsic/ or of such folders (see docs/words.md).",
    )
    images.add_argument(
        "--pixel-features",
        metavar="DIR",
        help="learn without labels from vectors of pixels: a folder of feature images"
        " <scene>/<frame>.npy, or open_clip:MODEL/WEIGHTS (never downloaded here)",
    )
    images.add_argument(
        "--max-frames",
        type=int,
        default=200,
        metavar="N",
        help="images of a scene, at most: of more, as many evenly spread ones (default 200)",
    )
    images.add_argument(
        "--depth-unit",
        type=float,
        default=0.001,
        metavar="METRES",
        help="metres of a unit of depth images in folders (default 0.001)",
    )
    images.add_argument(
        "--depth-tolerance",
        type=float,
        default=TOLERANCE,
        metavar="SHARE",
        help="a pixel sees a point whose depth differs from the pixel's by at most this share of"
        f" it (default {TOLERANCE})",
    )


def run(arguments: argparse.Namespace, config: LanguageConfig) -> int:
    """Train, measure on held-out scenes and labelled scans, and write the head and a report."""
    from concerto_ros.cli.shared.scan_arguments import load_encoder_for
    from concerto_ros.heads.language import save_language_head
    from concerto_ros.learning.data.collate import ScanCollate
    from concerto_ros.learning.data.posed.opening import open_pixel_features, open_scenes
    from concerto_ros.learning.language.from_images import agreement, train_from_images
    from concerto_ros.learning.language.images import ImageOptions, SceneVoxels
    from concerto_ros.segmentation.model_options import convention_of
    from concerto_ros.words.prompts import checked_template, template_of

    for name, without in OF_SCANS.items():
        if getattr(arguments, name) != without:
            raise ValueError(
                f"--{name}: has no meaning with --pixel-features, which learns no words and takes"
                " scenes as they are; expected it to be left out"
            )
    encoder, voxel_size = load_encoder_for(arguments)
    scenes = open_scenes(
        arguments.data,
        preset=arguments.preset,
        depth_unit=arguments.depth_unit,
        map_frame=arguments.map_frame,
    )
    text_encoder = _text_encoder(arguments)
    template = checked_template(arguments.template or template_of(text_encoder))
    pixels = open_pixel_features(
        arguments.pixel_features,
        alone=len(scenes) == 1,
        device=next(encoder.parameters()).device,
    )
    scans, words = _validation(arguments, voxel_size, text_encoder, template, pixels.width)
    collate = ScanCollate(convention_of(encoder, arguments.preset), voxel_size)
    options = ImageOptions(arguments.depth_tolerance, arguments.max_frames)
    training, held_out = (
        SceneVoxels(encoder, part, pixels, collate, arguments.out, options)
        for part in _parts(scenes, arguments.holdout, arguments.seed)
    )
    for line in (*training.in_words(), *held_out.in_words()):
        print(line)
    print(
        f"{len(training)} training and {len(held_out)} held-out scenes; encoder {encoder.name},"
        f" vectors of {arguments.pixel_features} ({pixels.width} channels), text encoder"
        f" {text_encoder}"
    )
    labelled = () if scans is None else scans
    head, outcome = train_from_images(encoder, training, labelled, words, collate, config)
    head.text_encoder, head.template = text_encoder, template
    written = [arguments.out / "language.safetensors"]
    save_language_head(written[0], head)
    levels = head.concat_levels(encoder)
    facts = {
        "trained": "a language head from posed images, without labels",
        "encoder": encoder.name,
        "vectors of pixels": str(arguments.pixel_features),
        "text encoder": text_encoder,
        "solver": config.solver,
        "voxel size": f"{voxel_size} m",
        "scenes": f"{len(training)} for training, {len(held_out)} held out",
        "mean cosine with the pixels, training scenes": f"{agreement(head, training, levels):.3f}",
        "seed": arguments.seed,
    }
    if len(held_out):
        cosine = f"{agreement(head, held_out, levels):.3f}"
        facts["mean cosine with the pixels, held-out scenes"] = cosine
    if outcome is not None:
        facts["steps"] = f"{outcome.steps} ({outcome.stopped})"
    for name in facts:
        if name.startswith("mean cosine"):
            print(f"{name}: {facts[name]}")
    if scans is None:
        print("no score: --validation names labelled scans to measure on")
    else:
        title = f"language on {arguments.data}, from {arguments.pixel_features}"
        written += zero_shot_report(
            arguments.out, encoder, head, scans, words, collate, title, facts
        )
    print("wrote " + ", ".join(str(path) for path in written))
    return 0


def _is_model(arguments: argparse.Namespace) -> bool:
    from concerto_ros.words.open_clip_encoder import PREFIX

    return arguments.pixel_features.startswith(PREFIX)


def _text_encoder(arguments: argparse.Namespace) -> str:
    """The text encoder that belongs to the vectors of pixels."""
    if arguments.text_encoder is not None:
        return arguments.text_encoder
    if not _is_model(arguments):
        raise ValueError(
            f"--text-encoder: expected the text encoder that belongs to the 2D model of"
            f" {arguments.pixel_features}, such as open_clip:ViT-L-14-336/openai"
        )
    return arguments.pixel_features


def _validation(
    arguments: argparse.Namespace, voxel_size: float, text_encoder: str, template: str, width: int
) -> tuple[Cached | None, torch.Tensor]:
    """The labelled scans to measure on, and (K, D) vectors of their classes' names."""
    import torch

    from concerto_ros.cli.shared.scan_arguments import ScanOpener
    from concerto_ros.learning.data.scan_identity import require_labels

    if arguments.validation is None:
        return None, torch.zeros(0, width)
    scans = ScanOpener(arguments, voxel_size).open("all", arguments.validation)
    require_labels(scans, "to measure on")
    names = [each.name for each in scans.classes.classes]
    return scans, word_vectors(text_encoder, template, arguments.table).of(names).vectors


def _parts(
    scenes: list[PosedScene], share: float, seed: int
) -> tuple[list[PosedScene], list[PosedScene]]:
    """Scenes to train on, and a random ``share`` to measure on; of one scene none is held out."""
    import numpy as np

    if not 0 <= share < 1:
        raise ValueError(f"--holdout: got {share}, expected 0 to less than 1")
    count = min(max(1, round(share * len(scenes))), len(scenes) - 1) if share else 0
    held_out = set(np.random.default_rng(seed).permutation(len(scenes))[:count].tolist())
    return (
        [scene for at, scene in enumerate(scenes) if at not in held_out],
        [scene for at, scene in enumerate(scenes) if at in held_out],
    )
