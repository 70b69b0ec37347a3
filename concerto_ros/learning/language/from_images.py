# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of a language head on a frozen encoder, from posed images and vectors of their pixels.

What OpenScene distils into a whole network (Peng et al., CVPR 2023), one linear layer learns here:
the space of a 2D model that speaks with a text encoder, without a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from concerto_ros.files.digest import shown, weights_digest
from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.scoring import Softmax
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.language.fitting import (
    SOLVERS,
    LanguageConfig,
    fitted_temperature,
    run_steps,
)
from concerto_ros.learning.language.images import (
    PixelSamples,
    PixelVoxels,
    SceneVoxels,
    join_pixel_voxels,
)
from concerto_ros.learning.language.samples import Voxels, VoxelSamples, join_voxels
from concerto_ros.learning.methods.feature_cache import FeatureCache, fingerprint
from concerto_ros.learning.methods.ridge import RidgeSums
from concerto_ros.learning.training.trainer import TrainingResult
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.checkpoint import randomise
from concerto_ros.segmentation.convention import preset_with

#: By which cosines are divided where no labelled scan tells better: CLIP's.
TEMPERATURE = 0.01


class _ImageModel(nn.Module):
    """The head: vectors of voxels in training, else (V, K) logits of words."""

    words: torch.Tensor

    def __init__(self, head: LanguageHead, words: torch.Tensor):
        super().__init__()
        self.head = head
        self.register_buffer("words", functional.normalize(words.float(), dim=1))

    def forward(self, batch: PixelVoxels | Voxels) -> torch.Tensor:
        vectors = self.head(batch.feat)
        if self.training:
            return vectors
        return functional.normalize(vectors, dim=1) @ self.words.T / TEMPERATURE


def train_from_images(
    encoder: Encoder,
    scenes: SceneVoxels,
    validation: Sequence[Scan],
    words: torch.Tensor,
    collate: ScanCollate,
    config: LanguageConfig,
) -> tuple[LanguageHead, TrainingResult | None]:
    """Train a language head.

    Args:
        encoder: Frozen encoder.
        scenes: Voxels with their targets.
        validation: Labelled scans to choose the weights by and to fit the temperature to; may be
            empty.
        words: (K, D) vectors of their classes; (0, D) without scans.
        collate: Grid-samples scans; its convention has to be that of a preset.
        config: Options. The ridge takes all voxels, AdamW at most ``config.voxels`` of each scene;
            scans are not augmented.

    Returns:
        The head, without the name of its text encoder, and the result of the run; None of the
        ridge, which has no steps.

    Raises:
        ValueError: The solver is unknown, the convention is that of no preset, the vectors of
            words and pixels differ in width, or the folder has the state of another run.
    """
    if config.solver not in SOLVERS:
        raise ValueError(f"solver is {config.solver!r}, expected one of {', '.join(SOLVERS)}")
    width = scenes.pixels.width
    if words.shape[1] != width:
        raise ValueError(
            f"vectors of words have {words.shape[1]} channels and those of pixels {width},"
            " expected the text encoder that belongs to the 2D model"
        )
    preset = preset_with(collate.convention, encoder.rotary, encoder.conventions)
    encoder = encoder.eval().requires_grad_(False)
    plain = ScanCollate(collate.convention, collate.voxel_size)
    cache = FeatureCache(encoder, validation, plain, config.folder / "features")
    head = LanguageHead(
        sum(encoder.channels), width, name=str(config.folder / "language.safetensors")
    )
    randomise(head, seed=config.seed)
    model = _ImageModel(head, words).to(next(encoder.parameters()).device)
    levels = head.concat_levels(encoder)
    checked = VoxelSamples(cache, levels, config.voxels, config.seed)
    result = None
    if config.solver == "ridge":
        _solve(head, scenes, config.strength)
    else:
        identity = {
            "method": "language from images",
            "encoder": fingerprint(encoder),
            "input": shown(plain),
            "scenes": scenes.digest(),
            "validation": cache.digest(),
        }
        result = _train(model, scenes, checked, levels, config, identity)
    head = head.eval().requires_grad_(False)
    head.scoring = Softmax(fitted_temperature(model, checked, TEMPERATURE))
    head.preset, head.encoder = preset, weights_digest(encoder, "")
    return head, result


@torch.inference_mode()
def agreement(head: LanguageHead, scenes: SceneVoxels, concat_levels: int) -> float:
    """Mean cosine between a head's vectors and the targets, over all voxels that have one.

    Raises:
        ValueError: No voxel has one.
    """
    total, count = 0.0, 0
    for index in range(len(scenes)):
        for feat, target in scenes.joined(index, concat_levels):
            vectors = head(feat.to(head.weight.device)).cpu()
            total += float(functional.cosine_similarity(vectors, target).sum())
            count += len(target)
    if not count:
        raise ValueError("no voxel of the scenes has a target, expected at least one")
    return total / count


def _solve(head: LanguageHead, scenes: SceneVoxels, strength: float) -> None:
    sums = RidgeSums(head.in_channels, head.width)
    for features, targets in scenes:
        sums.add_levels(features.feats, features.clusters, targets.vectors.float(), targets.rows)
    weight, bias = sums.solve(strength)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)


def _train(
    model: _ImageModel,
    scenes: SceneVoxels,
    validation: VoxelSamples,
    concat_levels: int,
    config: LanguageConfig,
    identity: dict[str, str],
) -> TrainingResult:
    samples = PixelSamples(scenes, concat_levels, config.voxels, config.seed)
    return run_steps(
        model,
        samples,
        validation,
        _joined,
        _cosine_loss,
        config,
        num_classes=len(model.words),
        identity=identity,
    )


def _joined(items: Sequence[Any], generator: np.random.Generator | None) -> PixelVoxels | Voxels:
    """A batch: of voxels with targets to train on, or with labels to validate on."""
    return join_voxels(items) if isinstance(items[0], Voxels) else join_pixel_voxels(items)


def _cosine_loss(vectors: torch.Tensor, batch: PixelVoxels) -> torch.Tensor:
    return 1 - functional.cosine_similarity(vectors, batch.target).mean()
