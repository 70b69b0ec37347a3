# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What MixCon3D's training teaches a small encoder, on generated objects in OpenShape's layout.

``python -m benchmarks.mixcon3d [folder] [seeds]`` makes surfaces of the synthetic benchmark, whose
texts are the names of their classes (MiniLM) and whose pictures are described by oriented
gradients, and prints the accuracy of a linear SVM on frozen features: of random weights, of a
training whose loss leaves the joint representation out, and of the whole one.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.openshape import TrainingSplit
from concerto_ros.learning.objects.data.synthetic import synthetic_objects
from concerto_ros.learning.objects.mixcon3d.contrast import ContrastModel
from concerto_ros.learning.objects.mixcon3d.recipe import PRESETS
from concerto_ros.learning.objects.mixcon3d.training import ContrastOptions, train_contrast
from concerto_ros.learning.objects.pretraining.i2p_mae.image_models import oriented_gradients
from concerto_ros.learning.objects.pretraining.teacher_encoders import render_shape
from concerto_ros.learning.objects.protocols.linear_svm import linear_svm
from concerto_ros.learning.objects.training.recipes import svm_recipe
from concerto_ros.objects.encoders.mixcon3d.encoder import MixCon3D
from concerto_ros.objects.encoders.mixcon3d.network import Balls, PointPatchTransformer, Sizes
from concerto_ros.words.minilm import MiniLM

#: Objects of each class in either split, views of each, and pixels along the sides of one.
OBJECTS, VIEWS, SIDE = 15, 6, 64

#: The encoder, and how it is trained.
SIZES, BALLS, POINTS = Sizes(64, 2, 128, 32), Balls(32, 0.4, 32), 256
RECIPE = replace(
    PRESETS["mixcon3d"].shortened(40).with_rate(2e-3),
    batch_size=50, accumulate=1, points=POINTS, average=0.99,
)  # fmt: skip


def write_openshape(folder: Path, objects: ObjectSet) -> None:
    """Write objects as OpenShape's data: clouds, vectors of pictures, and names as texts."""
    encoder = MiniLM()
    words = encoder(objects.classes).numpy()
    described = np.stack([_pictures(points) for points in objects.points])
    flat = described.reshape(-1, described.shape[-1])
    turn = np.random.default_rng(0).standard_normal((flat.shape[1], encoder.width))
    images = ((described - flat.mean(0)) @ turn).astype(np.float32)
    entries = []
    for row, label in enumerate(objects.labels):
        vector = {"original": words[label], "prompt_avg": words[label]}
        content = {
            "xyz": objects.points[row],
            "rgb": np.full_like(objects.points[row], 0.4),
            "image_feat": images[row],
            "text": [objects.classes[label]],
            "text_feat": [vector],
            "blip_caption": "",
            "msft_caption": "",
            "retrieval_text": [],
            "retrieval_text_feat": [],
        }
        np.save(folder / f"{row}.npy", np.array(content, dtype=object), allow_pickle=True)
        entries.append({"dataset": "synthetic", "id": str(row), "data_path": f"mnt/{row}.npy"})
    split = folder / "meta_data" / "split" / "train_all.json"
    split.parent.mkdir(parents=True, exist_ok=True)
    split.write_text(json.dumps(entries))


def _pictures(points: np.ndarray) -> np.ndarray:
    """Return (VIEWS, D) gradients of pictures from all around (N, 3) points, y up."""
    views = []
    for angle in 2 * np.pi * np.arange(VIEWS) / VIEWS:
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([(cosine, 0, sine), (0, 1, 0), (-sine, 0, cosine)])
        views.append(render_shape(points @ turn, SIDE).mean(-1) / 255)
    grey = torch.from_numpy(np.stack(views)).float().unsqueeze(1)
    return oriented_gradients(grey)[0].flatten(1).numpy()


def new_model(channels: int, seed: int, fusion: bool) -> ContrastModel:
    """Return an untrained model of the small encoder."""
    torch.manual_seed(seed)
    trunk = PointPatchTransformer(SIZES, BALLS, 1, SIZES.width)
    return ContrastModel(MixCon3D(trunk, SIZES.width, channels, POINTS), fusion=fusion)


def main() -> None:
    """Train and print a row for each seed."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out/mixcon3d_benchmark")
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    folder.mkdir(parents=True, exist_ok=True)
    train, test = (
        synthetic_objects(folder, part, OBJECTS, "surface") for part in ("train", "test")
    )
    write_openshape(folder, train)
    split = TrainingSplit(folder.resolve(), "train_all")
    recipe = svm_recipe(MixCon3D, "synthetic")

    def right(model: ContrastModel) -> float:
        return 100 * linear_svm(model.encoder.eval(), train, test, recipe).accuracy

    print("| seed | random weights | without the joint representation | whole |")
    print("|" + 4 * " ---: |")
    for seed in range(seeds):
        row = [right(new_model(MiniLM.width, seed, True))]
        for fusion in (False, True):
            model = new_model(MiniLM.width, seed, fusion)
            out = folder / f"{'whole' if fusion else 'without'}_{seed}"
            how = ContrastOptions(folder=out, seed=seed)
            result = train_contrast(model, split, replace(RECIPE, fusion=fusion), how)
            row.append(right(model))
            losses = [f"{one.losses['total']:.2f}" for one in result.epochs[::13]]
            print(f"{out.name}: loss {', '.join(losses)}", file=sys.stderr, flush=True)
        print(f"| {seed} | " + " | ".join(f"{share:.1f} %" for share in row) + " |", flush=True)


if __name__ == "__main__":
    main()
