# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shape and training of the bundled object encoder.

``concerto-ros objects train demo`` repeats all of it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from concerto_ros.learning.objects.demo_encoder.objects import ANSWERS, FORM, training_objects
from concerto_ros.learning.objects.demo_encoder.report import examine, report
from concerto_ros.learning.objects.training.fine_tune import fine_tune
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.objects.training.training_run import ObjectTrainingResult, RunOptions
from concerto_ros.objects.encoders.demo_encoder import demo_file, save_demo
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.recon.transformer import ReConShape
from concerto_ros.sim.library import part_of

#: A ReCon narrow enough for a computer without a GPU.
SHAPE = ReConShape(
    width=128, blocks=4, heads=4, groups=32, group_size=16, patch_widths=(64, 64, 128)
)

#: Training objects of each class, training background crops, and test objects of each class and
#: type of background.
PER_CLASS, BACKGROUND_COUNT, TEST_PER_CLASS = 280, 1400, 15

EPOCHS = 10

#: Unlike in published recipes the weights are random at first, so the rate is higher.
RECIPE = ObjectTrainingConfig(1e-3, "stretch_turn", smoothing=0.1, start_rate=2e-4)
SEED = 0

#: The page with its accuracy; only a source tree has it.
DOCUMENT = "docs/objects.md"


def train(
    folder: Path,
    *,
    per_class: int = PER_CLASS,
    background_count: int = BACKGROUND_COUNT,
    epochs: int = EPOCHS,
    test_per_class: int = TEST_PER_CLASS,
    seed: int = SEED,
    furniture: Path | None = None,
    output: Path | None = None,
    progress: bool = False,
) -> tuple[ObjectTrainingResult, str]:
    """Make the objects, train, write the encoder; return the result and a report.

    Args:
        folder: Caches the objects and the state of the training.
        per_class: Training objects of each class.
        background_count: Background crops to train on.
        epochs: Epochs of the training.
        test_per_class: Test objects of each class, and background crops of each type.
        seed: Of all random choices.
        furniture: Folder of a furniture library whose models are among the objects, see
            :mod:`concerto_ros.learning.objects.demo_encoder.library_models`; None: generated
            objects only.
        output: The file to write; None for the package's own.
        progress: Whether to show progress bars.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = ReCon(SHAPE, FORM.points, FORM.size_power)
        model.add_head(len(ANSWERS))
    run = f"demo_{per_class}_{background_count}_{epochs}_{seed}"
    if furniture is not None:
        run += f"_{part_of(furniture, False).identity}"
    outcome = fine_tune(
        model,
        training_objects(folder / "demo", per_class, background_count, furniture),
        RECIPE.shortened(epochs - 1),
        RunOptions(
            seed=seed,
            folder=folder / run,
            progress=progress,
        ),
    )
    model.class_names = ANSWERS
    save_demo(model, output)
    found = examine(model, folder, test_per_class, furniture)
    return outcome, report(model, found, test_per_class, output or demo_file())
