# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Four ways to teach a pretrained encoder new classes, cheapest first.

Recipes (learning rates, which parameters learn) are those of the Sonata and Concerto papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from concerto_ros.files.digest import digest, shown
from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.scan_identity import about_scans
from concerto_ros.learning.methods.decoder import with_decoder
from concerto_ros.learning.methods.feature_cache import (
    FeatureCache,
    FeatureHead,
    fingerprint,
    join_features,
)
from concerto_ros.learning.methods.lora import ALPHA, DROPOUT, RANK, add_lora, merge_lora
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.training.losses import balanced_weights
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.learning.training.stochastic_depth import stochastic_depth
from concerto_ros.learning.training.trainer import Trainer, TrainingResult
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.blocks import Block
from concerto_ros.ptv3.checkpoint import randomise
from concerto_ros.segmentation.convention import preset_with

#: What is trained, in words, and the published highest learning rate.
METHODS = {
    "head": ("a linear head on the frozen encoder", 2e-3),
    "decoder": ("a decoder and a linear head on the frozen encoder", 1e-3),
    "lora": ("low-rank adapters in the encoder's attention and a linear head", 2e-3),
    "full": ("the encoder, a decoder and a linear head", 1e-3),
}

#: The published rate of stochastic depth, where a decoder is trained; else there is none.
DROP_PATH = {"decoder": 0.3, "full": 0.3}


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; see :class:`~concerto_ros.learning.training.trainer.Trainer` for most fields.

    Attributes
    ----------
    learning_rate: None takes the published one of the method.
    balance: weight the classes by one over the root of their frequency.
    views: for a frozen encoder without decoder, versions of each scan whose features are kept:
        the scan itself and ``views - 1`` augmented ones.
    decoder: for full fine-tuning, whether a decoder is added.
    drop_path: how often branches of the deepest blocks are left out of a voxel's sum, see
        ``stochastic_depth``; None takes the published rate of the method.
    """

    folder: Path
    steps: int = 2000
    batch_size: int = 2
    accumulate: int = 1
    learning_rate: float | None = None
    weight_decay: float = 0.02
    balance: bool = False
    views: int = 4
    decoder: bool = True
    rank: int = RANK
    alpha: float = ALPHA
    dropout: float = DROPOUT
    drop_path: float | None = None
    validate_every: int = 100
    patience: int = 0
    checkpoint_every: int = 200
    minutes: float | None = None
    seed: int = 0
    progress: bool = True


def train(
    method: str,
    encoder: Encoder,
    data: Sequence[Scan],
    validation: Sequence[Scan],
    num_classes: int,
    collate: ScanCollate,
    recipe: TrainingConfig,
) -> tuple[Encoder, LinearHead, TrainingResult]:
    """Train by one of :data:`METHODS`; the encoder to use the head with, and the head.

    ``encoder`` is changed in place by ``lora`` and ``full``. Of a frozen encoder every feature is
    computed once per view and kept in ``recipe.folder / "features"``. What was trained knows the
    preset whose convention ``collate`` has; ValueError where it has that of none.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}, expected one of {', '.join(METHODS)}")
    preset = preset_with(collate.convention, encoder.rotary)
    device = next(encoder.parameters()).device
    encoder = encoder.eval().requires_grad_(False)
    about = {
        "method": method,
        "encoder": fingerprint(encoder),
        "input": shown(collate) + (f", {recipe.views} views" if method == "head" else ""),
        "class weights": "balanced" if recipe.balance else "equal",
        **about_scans(data),
        "validation": digest([str(about_scans(validation))]),
    }
    if method == "decoder" or (method == "full" and recipe.decoder):
        encoder = with_decoder(encoder, seed=recipe.seed)
    head = LinearHead(sum(encoder.channels), num_classes, name=str(recipe.folder / "head.pth"))
    randomise(head, seed=recipe.seed)
    head.to(device)
    if method == "head":
        outcome = _train_head(encoder, head, data, validation, collate, recipe, about)
    else:
        if method == "decoder":
            encoder.dec.requires_grad_(True)
        elif method == "lora":
            adapters = f"rank {recipe.rank}, alpha {recipe.alpha}, dropout {recipe.dropout}"
            about["adapters"] = adapters
            add_lora(
                encoder,
                rank=recipe.rank,
                alpha=recipe.alpha,
                dropout=recipe.dropout,
                seed=recipe.seed,
            )
        else:
            encoder.requires_grad_(True)
        rate = recipe.drop_path
        rate = DROP_PATH.get(method, 0.0) if rate is None else rate
        about["stochastic depth"] = str(rate)
        model = Segmenter(encoder, head)
        with drop_path(encoder, rate):
            outcome = _run(model, data, validation, collate, recipe, about)
    if method == "lora":
        merge_lora(encoder)
    if method != "head":
        encoder.grid_size, encoder.preset = collate.voxel_size, preset
        encoder.trained = True
    head.preset = preset
    return (
        encoder.eval().requires_grad_(False),
        head.eval().requires_grad_(False),
        outcome,
    )


@contextmanager
def drop_path(encoder: Encoder, rate: float) -> Iterator[None]:
    """Stochastic depth of attention and MLP in all blocks while open; each voxel by itself.

    As in Point Transformer V3 the rate rises with depth, to ``rate`` in the coarsest blocks: of
    the encoder towards its end, of the decoder towards its beginning.
    """
    encoding, decoding = _branches(encoder.enc), _branches(getattr(encoder, "dec", None))
    with stochastic_depth(encoding, rate), stochastic_depth(decoding[::-1], rate):
        yield


def _branches(stages: nn.Module | None) -> list[list[nn.Module]]:
    modules = () if stages is None else stages.modules()
    return [[block.attn, block.mlp] for block in modules if isinstance(block, Block)]


def _train_head(
    encoder: Encoder,
    head: LinearHead,
    data: Sequence[Scan],
    validation: Sequence[Scan],
    collate: ScanCollate,
    recipe: TrainingConfig,
    about: dict[str, Any],
) -> TrainingResult:
    from tqdm import tqdm

    folder = recipe.folder / "features"
    kept = FeatureCache(
        encoder,
        data,
        collate,
        folder,
        views=recipe.views,
        seed=recipe.seed,
    )
    held_out = FeatureCache(encoder, validation, collate, folder)
    counts = np.zeros(head.num_classes, dtype=np.int64)
    total = len(kept) + len(held_out)
    with tqdm(total=total, disable=not recipe.progress, unit="scan", desc="features") as bar:
        for features in (kept, held_out):
            for index in range(len(features)):
                labels = features[index].labels
                if features is kept:
                    counts += np.bincount(
                        labels[labels != UNLABELLED].numpy(), minlength=head.num_classes
                    )
                bar.update()
    about["features"] = kept.digest()
    model = FeatureHead(encoder, head)
    return _run(model, kept, held_out, join_features, recipe, about, counts)


def _run(
    model, data, validation, collate, recipe: TrainingConfig, about, counts=None
) -> TrainingResult:
    rate = METHODS[about["method"]][1] if recipe.learning_rate is None else recipe.learning_rate
    head = model.head
    weights = None
    if recipe.balance:
        weights = balanced_weights(_count(data, head.num_classes) if counts is None else counts)
    trainer = Trainer(
        model,
        data,
        collate,
        num_classes=head.num_classes,
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        accumulate=recipe.accumulate,
        schedule=Schedule(learning_rate=rate, weight_decay=recipe.weight_decay),
        # Attention blocks learn ten times slower than the rest, as published.
        slow=lambda name: 0.1 if ".block" in name else 1.0,
        class_weights=weights,
        validation=validation,
        validate_every=recipe.validate_every,
        patience=recipe.patience,
        folder=recipe.folder,
        checkpoint_every=recipe.checkpoint_every,
        minutes=recipe.minutes,
        seed=recipe.seed,
        about=about,
        device=next(model.parameters()).device,
        progress=recipe.progress,
    )
    return trainer.run()


def _count(data: Sequence[Scan], num_classes: int) -> np.ndarray:
    """(K,) labelled points of each class."""
    counts = np.zeros(num_classes, dtype=np.int64)
    for index in range(len(data)):
        scan = data[index]
        counts += np.bincount(scan.labels[scan.labelled], minlength=num_classes)
    return counts
