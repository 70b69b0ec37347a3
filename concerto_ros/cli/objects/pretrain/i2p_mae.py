# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects pretrain i2p-mae``: masked points, taught by an image model."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from concerto_ros.cli.objects.arguments import changed_recipe, run_options
from concerto_ros.cli.objects.pretrain.arguments import (
    add_pretraining_arguments,
    given,
    read_shapes,
    say_start,
    svm_judge,
    write_pretrained,
)

if TYPE_CHECKING:
    import torch

    from concerto_ros.learning.objects.data.shape_set import ShapeSet
    from concerto_ros.learning.objects.pretraining.i2p_mae.guides import Guide
    from concerto_ros.learning.objects.pretraining.i2p_mae.recipe import I2PMAERecipe

HELP = "I2P-MAE: reconstruction of masked points and of 2D features, at several scales"

#: What --guide takes before a folder of files.
FILES = "files:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the image model, its use, and what all pre-trainings share."""
    from concerto_ros.learning.objects.names import GUIDANCE, PRESETS

    add_pretraining_arguments(parser, PRESETS["i2p-mae"])
    parser.add_argument("--guide", metavar="MODEL",
                        help="frozen image model: clip:FILE (a ViT of OpenAI's CLIP; the paper's"
                        " is ViT-B-16.pt), transformers:FOLDER (a ViT such as DINOv2), hog (needs"
                        " no weights), or files:FOLDER with the features of each shape, as"
                        " --write-features writes them")  # fmt: skip
    parser.add_argument("--guidance", choices=GUIDANCE,
                        help="use it to choose what stays visible (masking), as targets, both, or"
                        " not at all (default: the preset's, both)")  # fmt: skip
    parser.add_argument("--mask-ratio", type=float, metavar="SHARE",
                        help="share of the groups of the highest level that is masked (default:"
                        " the preset's, 0.8)")  # fmt: skip
    parser.add_argument("--write-features", type=Path, metavar="FOLDER",
                        help="only write what the image model says of each shape, for"
                        " --guide files:FOLDER")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Pre-train and write the weights and a report; or only write the features of the shapes."""
    from concerto_ros.learning.objects.pretraining.i2p_mae.recipe import PRESETS
    from concerto_ros.learning.objects.pretraining.i2p_mae.run import (
        encoder_in,
        held_out,
        new_model,
        pretrain_i2p_mae,
    )
    from concerto_ros.ptv3.kernels.usable_device import device_named

    device = device_named(arguments.device)
    recipe = _changed(PRESETS[arguments.preset], arguments)
    if arguments.write_features is not None:
        return _write_features(arguments, recipe, device)
    encoder_of = partial(encoder_in, points=_svm_points(arguments.svm_layout, recipe))
    judge = svm_judge(arguments, encoder_of)
    shapes = read_shapes(arguments, "train")  # as published, also where an SVM judges
    guide = _guide(arguments, recipe, shapes, device)
    if judge is not None:
        what = f"accuracy of a linear SVM on {arguments.svm_layout}"
    else:
        others, what = read_shapes(arguments, "test"), "negative loss on the test list"
        judge = held_out(others, _guide(arguments, recipe, others, device), recipe, arguments.seed)
    model = new_model(recipe, guide, arguments.seed)
    say_start(shapes, model, what)
    how = run_options(arguments, device, judge, {"preset": arguments.preset})
    outcome = pretrain_i2p_mae(model, shapes, guide, recipe, how)
    facts = {
        "pre-training": f"I2P-MAE, preset {arguments.preset}",
        "shapes": f"{len(shapes)} of {shapes.name}",
        "image model": arguments.guide or "none",
        "guidance": recipe.guidance,
        "mask": f"{recipe.mask_ratio:g} of {recipe.grouping.groups[-1]} groups",
        "optimizer": f"AdamW, rate {recipe.training.learning_rate:g}, batches of"
        f" {recipe.training.batch_size}",
        "score": what,
    }
    stored = encoder_in(model, recipe.points).stored_facts()
    write_pretrained(arguments.out, model, outcome, facts, stored)
    return 0


def _changed(recipe: I2PMAERecipe, arguments: argparse.Namespace) -> I2PMAERecipe:
    """Return the recipe with the values of the command line."""
    values = given(arguments, "guidance", "mask_ratio")
    return replace(recipe, training=changed_recipe(recipe.training, arguments), **values)


def _guide(
    arguments: argparse.Namespace, recipe: I2PMAERecipe, shapes: ShapeSet, device: torch.device
) -> Guide | None:
    """Return the guide for the given shapes; None where the recipe uses none."""
    from concerto_ros.learning.images.image_models import load_image_model
    from concerto_ros.learning.objects.pretraining.i2p_mae.guides import FileGuide, ImageGuide

    name = arguments.guide
    if recipe.guidance == "none" or name is None:
        return None
    if name.startswith(FILES):
        return FileGuide(Path(name.removeprefix(FILES)), shapes)
    return ImageGuide(load_image_model(name, device))


def _svm_points(layout: str | None, recipe: I2PMAERecipe) -> int:
    """Return how many points the published linear SVM takes, at most those of the recipe."""
    from concerto_ros.learning.objects.training.models import published_form
    from concerto_ros.objects.encoders.i2p_mae.encoder import I2PMAE

    published = published_form(I2PMAE, layout or "", "svm")["points"]
    return min(published, recipe.points)


def _write_features(
    arguments: argparse.Namespace, recipe: I2PMAERecipe, device: torch.device
) -> int:
    """Write what the image model says of the shapes of both lists."""
    from concerto_ros.learning.images.image_models import load_image_model
    from concerto_ros.learning.objects.pretraining.i2p_mae.guides import write_feature_files

    if arguments.guide is None or arguments.guide.startswith(FILES):
        raise ValueError(
            f"--write-features with --guide {arguments.guide}, expected an image model"
        )
    model, shapes = (
        load_image_model(arguments.guide, device),
        read_shapes(arguments, "train", "test"),
    )
    write_feature_files(
        shapes, model, arguments.write_features, points=recipe.points, device=device, progress=True
    )
    print(f"wrote the features of {len(shapes)} shapes into {arguments.write_features}")
    return 0
