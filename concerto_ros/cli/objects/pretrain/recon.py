# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects pretrain recon``: contrast with reconstruct."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
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
    from concerto_ros.learning.objects.pretraining.recon import ReConPreset
    from concerto_ros.learning.objects.pretraining.teachers import TeacherVectors

HELP = "ReCon: reconstruction of masked patches, and contrast with image and text encoders"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add shapes, teachers, masks and what all pre-trainings share."""
    from concerto_ros.learning.objects.names import MASKS, PRESETS

    add_pretraining_arguments(parser, PRESETS["recon"])
    parser.add_argument("--image-teacher", metavar="TEACHER",
                        help="file of vectors by the names of shapes (.npz: names, vectors),"
                        " open_clip:MODEL/WEIGHTS or hog; pictures that are missing are rendered"
                        " (default: no contrast with pictures)")  # fmt: skip
    parser.add_argument("--text-teacher", metavar="TEACHER",
                        help="file of vectors by captions or names of shapes (.npz), or a text"
                        " encoder: minilm, open_clip:MODEL/WEIGHTS, siglip2:MODEL (default: no"
                        " contrast with texts)")  # fmt: skip
    parser.add_argument("--mask", choices=MASKS,
                        help="patches hidden anywhere, or around one (default: the preset's,"
                        " random)")  # fmt: skip
    parser.add_argument("--mask-ratio", type=float, metavar="SHARE",
                        help="share of the patches that is hidden (default: the preset's,"
                        " 0.6)")  # fmt: skip
    parser.add_argument("--self-contrast", action="store_true",
                        help="also contrast class tokens of shapes with different captions (off in"
                        " the paper)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Pre-train, and write the weights and a report."""
    from concerto_ros.learning.objects.pretraining.recon import (
        PRESETS,
        Teachers,
        held_out,
        new_model,
        pretrain_recon,
    )
    from concerto_ros.learning.objects.pretraining.recon_network import encoder_in
    from concerto_ros.ptv3.kernels.usable_device import device_named

    device = device_named(arguments.device)
    preset = _changed(PRESETS[arguments.preset], arguments)
    judge = svm_judge(arguments, partial(encoder_in, points=preset.points))
    every = read_shapes(arguments, "train", "test")
    image, text = _teachers(arguments, every, device)
    # As published, both lists are learned from where other objects judge. Generated objects of the
    # test split are those that an SVM is tested on, so they never are.
    whole = judge is not None and arguments.layout == "shapenet55"
    shapes = every if whole else read_shapes(arguments, "train")
    what = f"accuracy of a linear SVM on {arguments.svm_layout}"
    if judge is None:
        what = "negative loss on the test list"
        others = Teachers(read_shapes(arguments, "test"), image, text)
        judge = held_out(others, preset, arguments.seed)
    teachers = Teachers(shapes, image, text)
    model = new_model(preset, teachers, arguments.seed)
    say_start(shapes, model, what)
    how = run_options(arguments, device, judge, {"preset": arguments.preset})
    before = judge(model)
    print(f"score of random weights: {before:.4f}")
    outcome = pretrain_recon(model, teachers, preset, how)
    facts = _facts(arguments, shapes, preset, what) | {"random weights": f"{before:.4f}"}
    stored = encoder_in(model, preset.points).stored_facts()
    write_pretrained(arguments.out, model, outcome, facts, stored)
    return 0


def _changed(preset: ReConPreset, arguments: argparse.Namespace) -> ReConPreset:
    """Return the preset with the values of the command line."""
    recipe = changed_recipe(preset.recipe, arguments)
    values = given(arguments, "mask", "mask_ratio")
    return replace(preset, recipe=recipe, self_contrast=arguments.self_contrast, **values)


def _teachers(
    arguments: argparse.Namespace, shapes: ShapeSet, device: torch.device
) -> tuple[TeacherVectors | None, TeacherVectors | None]:
    """Return the vectors of the image and of the text teacher."""
    from concerto_ros.learning.objects.pretraining.teacher_encoders import (
        image_teacher,
        text_teacher,
    )

    image = text = None
    if arguments.image_teacher is not None:
        cache = arguments.out / "image_teacher.npz"
        image = image_teacher(arguments.image_teacher, shapes, cache, device, arguments.seed)
    if arguments.text_teacher is not None:
        text = text_teacher(arguments.text_teacher, shapes, arguments.out / "text_teacher.npz")
    return image, text


def _facts(
    arguments: argparse.Namespace, shapes: ShapeSet, preset: ReConPreset, what: str
) -> dict[str, str]:
    """Return what the report says before the curve, by name."""
    recipe = preset.recipe
    return {
        "pre-training": f"ReCon, preset {arguments.preset}",
        "shapes": f"{len(shapes)} of {shapes.name}",
        "image teacher": arguments.image_teacher or "none",
        "text teacher": arguments.text_teacher or "none",
        "mask": f"{preset.mask}, {preset.mask_ratio:g} of the patches",
        "optimizer": f"AdamW, rate {recipe.learning_rate:g}, batches of {recipe.batch_size}",
        "score": what,
    }
