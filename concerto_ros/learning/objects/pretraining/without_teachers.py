# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of a small ReCon without labels and without teachers.

As published, masked patches are reconstructed. The published contrast, with features of an image
and a text encoder, is replaced: the global tokens of two views of an object shall agree, and
differ from those of other objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.pretraining.masks import random_mask
from concerto_ros.learning.objects.pretraining.recon_network import (
    ReConPretraining,
    Reconstruction,
)
from concerto_ros.learning.objects.training.fine_tune import CHANGES
from concerto_ros.learning.objects.training.losses import chamfer_squared
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.recon.transformer import ReConShape

#: Blocks of the decoder.
DECODER_BLOCKS = 1

#: Share of the patches that is masked.
MASK_RATIO = 0.6

#: Approximate radius of a patch; reconstructions are compared in this unit.
PATCH_RADIUS = 0.2

#: Temperature of the softmax over cosines.
TEMPERATURE = 0.1

SCHEDULE = Schedule(learning_rate=1e-3, weight_decay=0.05, clip=10.0)


def new_recon(shape: ReConShape, points: int, seed: int = 0) -> ReCon:
    """Build an untrained ReCon without a head, its weights by ``seed``."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return ReCon(shape, points)


def pretrain(
    model: ReCon,
    sightings: Sequence[ObjectSet],
    *,
    steps: int,
    batch_size: int = 64,
    schedule: Schedule = SCHEDULE,
    seed: int = 0,
    progress: bool = False,
) -> list[float]:
    """Train the trunk of ``model``; return the losses, by step.

    Every random choice of a step follows from the seed and the step.

    Args:
        model: Its trunk is trained in place.
        sightings: The same objects in the same order, seen in one way or several; labels are not
            used.
        steps: Number of steps.
        batch_size: Objects of a step, two sightings of each.
        schedule: Learning rate, weight decay and clipping.
        seed: Of all random choices.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the sets have different lengths.
    """
    from tqdm import tqdm

    lengths = {len(one) for one in sightings}
    if len(lengths) != 1:
        raise ValueError(
            f"sightings have {sorted(lengths)} objects, expected the same number in all"
        )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        width = model.trunk.shape.width
        task = ReConPretraining(
            model.trunk.shape,
            decoder_blocks=DECODER_BLOCKS,
            image=width,
            text=width,
            stop_gradient=False,  # without teachers the patches need what the views agree on
        )
    task.MAE_encoder = model.trunk.requires_grad_(True)
    optimizer = torch.optim.AdamW(task.parameters(), weight_decay=schedule.weight_decay)
    losses = []
    task.train()
    for step in tqdm(range(steps), disable=not progress, unit="step"):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step / steps)
        rng = np.random.default_rng((seed, step))
        generator = torch.Generator().manual_seed(1_000_003 * seed + step)
        points = _two_sightings(sightings, batch_size, model.points, rng)
        points = CHANGES["stretch_turn"](points, generator)
        mask = random_mask(len(points), model.trunk.shape.groups, MASK_RATIO, generator)
        loss = _loss(task(points, mask))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(task.parameters(), schedule.clip)
        optimizer.step()
        losses.append(float(loss.detach()))
    model.eval().requires_grad_(False)
    return losses


def agreement_loss(tokens: torch.Tensor) -> torch.Tensor:
    """Compute how badly (2 B, C) vectors match their partner, B rows away: a scalar.

    Symmetric cross entropy of the cosines (InfoNCE, van den Oord et al., 2018).
    """
    first, second = nn.functional.normalize(tokens, dim=1).chunk(2)
    cosines = first @ second.T / TEMPERATURE
    own = torch.arange(len(first), device=tokens.device)
    entropy = nn.functional.cross_entropy
    return (entropy(cosines, own) + entropy(cosines.T, own)) / 2


def _loss(result: Reconstruction) -> torch.Tensor:
    assert result.image is not None and result.text is not None  # both have channels
    rebuilt = chamfer_squared(result.rebuilt / PATCH_RADIUS, result.true / PATCH_RADIUS)
    return rebuilt + agreement_loss(result.image) + agreement_loss(result.text)


def _two_sightings(
    sightings: Sequence[ObjectSet], batch_size: int, count: int, rng: np.random.Generator
) -> torch.Tensor:
    """Return (2 B, count, 3): random objects, then the same in another view if possible."""
    total = len(sightings[0])
    rows = rng.choice(total, min(batch_size, total), replace=False)
    ways = rng.permutation(len(sightings))[:2]
    parts = []
    for way in (ways[0], ways[-1]):
        points = sightings[way].points[rows]
        parts.append(points[:, rng.permutation(points.shape[1])[:count]])
    return torch.from_numpy(np.concatenate(parts))
