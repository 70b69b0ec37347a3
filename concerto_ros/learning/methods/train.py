# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Four methods to train a pretrained encoder for new classes, cheapest first.

Learning rates and the choice of trained parameters are those of the Sonata and Concerto papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from concerto_ros.files.digest import digest, shown, weights_digest
from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.scan_identity import (
    points_by_label,
    require_labels,
    scan_identity,
)
from concerto_ros.learning.methods.config import (
    DROP_PATH,
    LARGE_RATE,
    LARGE_WIDTH,
    METHODS,
    TrainingConfig,
)
from concerto_ros.learning.methods.decoder import with_decoder
from concerto_ros.learning.methods.feature_cache import (
    FeatureCache,
    FeatureHead,
    fingerprint,
    join_features,
)
from concerto_ros.learning.methods.lora import add_lora, merge_lora
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.training.losses import balanced_weights
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.learning.training.stochastic_depth import stochastic_depth
from concerto_ros.learning.training.temperature import MAX_VOXELS, fit_temperature, scored
from concerto_ros.learning.training.trainer import Collate, Trainer, TrainingResult
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.blocks import AttentionBlock
from concerto_ros.ptv3.checkpoint import randomise
from concerto_ros.segmentation.convention import preset_with


def published_rate(method: str, encoder: Encoder) -> float:
    """Return the published peak learning rate of a method for encoders of this width."""
    large = encoder.config.enc_channels[-1] >= LARGE_WIDTH
    return LARGE_RATE if large else METHODS[method][1]


def train(
    method: str,
    encoder: Encoder,
    data: Sequence[Scan],
    validation: Sequence[Scan],
    num_classes: int,
    collate: ScanCollate,
    config: TrainingConfig,
) -> tuple[Encoder, LinearHead, TrainingResult]:
    """Train a head, and what else the method trains.

    Args:
        method: One of :data:`METHODS`.
        encoder: Pretrained encoder; ``lora`` and ``full`` change it in place.
        data: Scans to train on.
        validation: Scans to validate on, to which the temperature of the head is fitted; may be
            empty.
        num_classes: Number of classes.
        collate: Augments and grid-samples scans; its convention has to be that of a preset, which
            is stored with the trained weights.
        config: Options. With method ``head`` the features of every scan are computed once per view
            and cached in ``config.folder / "features"``.

    Returns:
        The encoder to use the head with, the head, and the result of the run.

    Raises:
        ValueError: ``method`` is unknown, the convention is that of no preset, or the folder has
            the state of another run.
        DataError: (a ValueError) no point of the scans has a label.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}, expected one of {', '.join(METHODS)}")
    require_labels(data, "to learn from")
    if config.learning_rate is None:
        config = replace(config, learning_rate=published_rate(method, encoder))
    preset = preset_with(collate.convention, encoder.rotary, encoder.conventions)
    device = next(encoder.parameters()).device
    encoder = encoder.eval().requires_grad_(False)
    identity = {
        "method": method,
        "encoder": fingerprint(encoder),
        "input": shown(collate) + (f", {config.views} views" if method == "head" else ""),
        "class weights": "balanced" if config.balance else "equal",
        **scan_identity(data),
        "validation": digest([str(scan_identity(validation))]),
    }
    if method == "decoder" or (method == "full" and config.decoder):
        encoder = with_decoder(encoder, seed=config.seed)
    head = LinearHead(sum(encoder.channels), num_classes, name=str(config.folder / "head.pth"))
    randomise(head, seed=config.seed)
    head.to(device)
    if method == "head":
        result = _train_head(encoder, head, data, validation, collate, config, identity)
    else:
        if method == "decoder":
            encoder.dec.requires_grad_(True)
        elif method == "lora":
            adapters = f"rank {config.rank}, alpha {config.alpha}, dropout {config.dropout}"
            identity["adapters"] = adapters
            add_lora(
                encoder,
                rank=config.rank,
                alpha=config.alpha,
                dropout=config.dropout,
                seed=config.seed,
            )
        else:
            encoder.requires_grad_(True)
        rate = config.drop_path
        rate = DROP_PATH.get(method, 0.0) if rate is None else rate
        identity["stochastic depth"] = str(rate)
        model = Segmenter(encoder, head)
        with drop_path(encoder, rate):
            result = _run(model, data, validation, collate, config, identity)
    if method == "lora":
        merge_lora(encoder)
    if method != "head":
        encoder.grid_size, encoder.preset = collate.voxel_size, preset
        encoder.trained = True
    head.preset = preset
    head.encoder = encoder.digest = weights_digest(encoder, "")
    return (
        encoder.eval().requires_grad_(False),
        head.eval().requires_grad_(False),
        result,
    )


@contextmanager
def drop_path(encoder: Encoder, rate: float) -> Iterator[None]:
    """Stochastic depth of attention and MLP in all blocks while the context is open.

    Voxels are dropped independently. As in Point Transformer V3 the probability rises with the
    depth of the level: to ``rate`` in the last block of the encoder and the first of the decoder.
    """
    encoding, decoding = _branches(encoder.enc), _branches(getattr(encoder, "dec", None))
    with stochastic_depth(encoding, rate), stochastic_depth(decoding[::-1], rate):
        yield


def _branches(stages: nn.Module | None) -> list[list[nn.Module]]:
    """Attention and MLP of every block of some stages, in order."""
    modules = () if stages is None else stages.modules()
    blocks = (block for block in modules if isinstance(block, AttentionBlock) and block.attends)
    return [[block.attn, block.mlp] for block in blocks]


def _train_head(
    encoder: Encoder,
    head: LinearHead,
    data: Sequence[Scan],
    validation: Sequence[Scan],
    collate: ScanCollate,
    config: TrainingConfig,
    identity: dict[str, Any],
) -> TrainingResult:
    """Train a head on cached features, as the encoder is frozen."""
    from tqdm import tqdm

    folder = config.folder / "features"
    training = FeatureCache(
        encoder,
        data,
        collate,
        folder,
        views=config.views,
        seed=config.seed,
    )
    held_out = FeatureCache(encoder, validation, collate, folder)
    counts = np.zeros(head.num_classes, dtype=np.int64)
    total = len(training) + len(held_out)
    with tqdm(total=total, disable=not config.progress, unit="scan", desc="features") as bar:
        for features in (training, held_out):
            for index in range(len(features)):
                labels = features[index].labels
                if features is training:
                    counts += np.bincount(
                        labels[labels != UNLABELLED].numpy(), minlength=head.num_classes
                    )
                bar.update()
    identity["features"] = training.digest()
    model = FeatureHead(encoder, head)
    return _run(model, training, held_out, join_features, config, identity, counts)


def _run(
    model: Segmenter | FeatureHead,
    data: Sequence[Any],
    validation: Sequence[Any],
    collate: Collate,
    config: TrainingConfig,
    identity: dict[str, Any],
    counts: np.ndarray | None = None,
) -> TrainingResult:
    """Train ``model``; ``counts`` (K,) are the labelled voxels of each class, None: of scans."""
    assert config.learning_rate is not None  # train() fills it in
    head = model.head
    weights = None
    if config.balance:
        weights = balanced_weights(
            points_by_label(data, head.num_classes) if counts is None else counts
        )
    trainer = Trainer(
        model,
        data,
        collate,
        num_classes=head.num_classes,
        steps=config.steps,
        batch_size=config.batch_size,
        accumulate=config.accumulate,
        schedule=Schedule(learning_rate=config.learning_rate, weight_decay=config.weight_decay),
        # Attention blocks have a tenth of the learning rate of the rest, as published.
        rate_factor=lambda name: 0.1 if ".block" in name else 1.0,
        class_weights=weights,
        validation=validation,
        validate_every=config.validate_every,
        patience=config.patience,
        folder=config.folder,
        checkpoint_every=config.checkpoint_every,
        minutes=config.minutes,
        seed=config.seed,
        identity=identity,
        device=next(model.parameters()).device,
        progress=config.progress,
    )
    result = trainer.run()
    if len(validation):
        head.temperature = _temperature(model, validation, collate)
    return result


@torch.inference_mode()
def _temperature(
    model: Segmenter | FeatureHead, validation: Sequence[Any], collate: Collate
) -> float:
    """Fit the temperature of a head to the voxels of validation items; 1 if none has a label."""
    model.eval()
    device = next(model.parameters()).device
    batches = (collate([validation[index]], None).to(device) for index in range(len(validation)))
    voxels = scored(
        ((model(batch), batch.labels) for batch in batches), MAX_VOXELS // len(validation)
    )
    return fit_temperature(*voxels) if len(voxels.labels) else 1.0
