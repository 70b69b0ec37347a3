# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the object encoder in the box is made: its shape, its data, its two trainings.

``concerto-ros objects train demo`` does all of it again, in some ten minutes on two cores.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from concerto_ros.learning.checkpoints import read_tensors, write_file
from concerto_ros.learning.objects.embedding import classify_objects
from concerto_ros.learning.objects.fine_tune import Outcome, fine_tune
from concerto_ros.learning.objects.object_set import ObjectSet, join
from concerto_ros.learning.objects.pretrain import new_recon, pretrain
from concerto_ros.learning.objects.recipes import Recipe
from concerto_ros.learning.objects.scores import Score, class_table
from concerto_ros.learning.objects.synthetic import CLASSES, synthetic_objects
from concerto_ros.learning.objects.views import KINDS
from concerto_ros.objects.demo import demo_file, save_demo
from concerto_ros.objects.recon import ReCon
from concerto_ros.objects.recon_trunk import ReConShape

#: A ReCon narrow enough for a computer without a GPU.
SHAPE = ReConShape(
    width=128, blocks=4, heads=4, groups=32, group_size=16, patch_widths=(64, 64, 128)
)
POINTS = 512

#: Objects of each class, seen in each of ``views.KINDS``, to learn from and to test on.
PER_CLASS, TEST_PER_CLASS = 100, 30

#: Steps of the training without labels, then epochs of the one with them.
PRETRAIN_STEPS, EPOCHS = 200, 10

#: Unlike published recipes it starts from little, so its rate is higher.
RECIPE = Recipe(1e-3, "stretch_turn", smoothing=0.1, start_rate=2e-4)
SEED = 0

#: The page that says how good it is; only a source tree has it.
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "objects.md"


def sightings(folder: Path, split: str, per_class: int) -> list[ObjectSet]:
    """Objects of the synthetic benchmark, the same ones in all kinds of views."""
    return [synthetic_objects(folder / "data", split, per_class, kind) for kind in KINDS]


def pretrained(
    folder: Path,
    *,
    per_class: int = PER_CLASS,
    steps: int = PRETRAIN_STEPS,
    seed: int = SEED,
    progress: bool = False,
) -> ReCon:
    """The small ReCon after its training without labels; read from ``folder`` where it is."""
    model = new_recon(SHAPE, POINTS, seed)
    path = folder / f"pretrained_{per_class}_{steps}_{seed}.pt"
    if path.is_file():
        model.load_state_dict(read_tensors(path)["weights"])
        return model.eval().requires_grad_(False)
    seen = sightings(folder, "train", per_class)
    pretrain(model, seen, steps=steps, seed=seed, progress=progress)
    write_file(path, {"weights": model.state_dict()})
    return model


def train(
    folder: Path,
    *,
    per_class: int = PER_CLASS,
    steps: int = PRETRAIN_STEPS,
    epochs: int = EPOCHS,
    seed: int = SEED,
    output: Path | None = None,
    progress: bool = False,
) -> tuple[Outcome, str]:
    """Make the objects, train, write the encoder; how it went and :func:`report`.

    ``folder`` keeps the objects and the state of the training. ``output`` is the file to write,
    the one of the package if None.
    """
    model = pretrained(folder, per_class=per_class, steps=steps, seed=seed, progress=progress)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model.add_head(len(CLASSES))
    outcome = fine_tune(
        model,
        join("synthetic, train", sightings(folder, "train", per_class)),
        RECIPE.shortened(epochs - 1),
        seed=seed,
        folder=folder / f"demo_{per_class}_{steps}_{epochs}_{seed}",
        progress=progress,
    )
    model.class_names = CLASSES
    save_demo(model, output)
    return outcome, report(model, scores(model, folder), output or demo_file())


def report(model: ReCon, found: dict[str, Score], file: Path) -> str:
    """What :func:`scores` found, and how large and how fast the encoder is; Markdown."""
    count = sum(value.numel() for value in model.parameters())
    batch = torch.rand(16, model.points, 3, generator=torch.Generator().manual_seed(0))
    spent = []
    with torch.inference_mode():
        for _ in range(5):
            start = time.perf_counter()
            model.classify(batch)
            spent.append(1000 * (time.perf_counter() - start) / len(batch))
    right = ", ".join(f"{kind} {100 * score.accuracy:.1f} %" for kind, score in found.items())
    lines = [
        f"{count / 1e6:.2f} million parameters, {file.stat().st_size / 1e6:.1f} MB;"
        f" {min(spent):.1f} ms for an object in a batch of {len(batch)}"
        f" ({torch.get_num_threads()} threads). Of {TEST_PER_CLASS} test objects of each class are"
        f" right: {right}. From maps of voxels, as in the node:",
        "",
        class_table(found["map"], CLASSES),
    ]
    return "\n".join(lines)


def scores(model: ReCon, folder: Path, per_class: int = TEST_PER_CLASS) -> dict[str, Score]:
    """How good an encoder for :data:`~synthetic.CLASSES` is on test objects, by kind of view."""
    found = {}
    for kind in KINDS:
        test = synthetic_objects(folder / "data", "test", per_class, kind)
        guesses = classify_objects(model, test).argmax(1)
        found[kind] = Score.of(guesses, test.labels, len(CLASSES))
    return found
