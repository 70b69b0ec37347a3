# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of a language head on a frozen encoder, from labelled scans and words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from concerto_ros.files.digest import digest, shown, weights_digest
from concerto_ros.heads.language import LanguageHead
from concerto_ros.heads.scoring import Softmax
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import NO_NAME, Scan
from concerto_ros.learning.data.scan_identity import require_labels, scan_identity
from concerto_ros.learning.language.fitting import (
    SOLVERS,
    LanguageConfig,
    fitted_temperature,
    run_steps,
)
from concerto_ros.learning.language.model import (
    LanguageLoss,
    LanguageModel,
    TextVectors,
    WordGroup,
)
from concerto_ros.learning.language.samples import VoxelSamples, join_voxels
from concerto_ros.learning.language.word_list import Word
from concerto_ros.learning.methods.feature_cache import FeatureCache, fingerprint
from concerto_ros.learning.methods.ridge import RidgeSums
from concerto_ros.learning.training.losses import balanced_weights
from concerto_ros.learning.training.trainer import TrainingResult
from concerto_ros.ptv3 import Encoder
from concerto_ros.segmentation.convention import preset_with


@dataclass(frozen=True)
class Vocabularies:
    """The words that a head is trained with.

    Attributes:
        labels: The classes of the label set, in label order.
        names: The fine names, in the order of the scans' list; empty for scans without.
        contrast: Words that a point is nearer to than to one that does not fit it.
    """

    labels: Sequence[Word]
    names: Sequence[Word]
    contrast: Sequence[str]


def train_language(
    encoder: Encoder,
    data: Sequence[Scan],
    validation: Sequence[Scan],
    words: Vocabularies,
    vectors: TextVectors,
    collate: ScanCollate,
    config: LanguageConfig,
) -> tuple[LanguageHead, TrainingResult | None]:
    """Train a language head.

    Args:
        encoder: Frozen encoder.
        data: Scans to train on. Where ``words`` has fine names, theirs are positions among them.
        validation: Scans to choose the weights by and to fit the temperature to; may be empty.
        words: What to train with.
        vectors: Gives the vectors of texts.
        collate: Augments and grid-samples scans; its convention has to be that of a preset.
        config: Options. Features are cached in ``config.folder / "features"``; a run of AdamW that
            was interrupted resumes from its state in the folder.

    Returns:
        The head, and the result of the run; None of the ridge, which has no steps.

    Raises:
        ValueError: The solver is unknown, the convention is that of no preset, or the folder has
            the state of another run.
        DataError: (a ValueError) no point of the scans has a label.
    """
    if config.solver not in SOLVERS:
        raise ValueError(f"solver is {config.solver!r}, expected one of {', '.join(SOLVERS)}")
    require_labels(data, "to learn from")
    preset = preset_with(collate.convention, encoder.rotary, encoder.conventions)
    encoder = encoder.eval().requires_grad_(False)
    cache = FeatureCache(
        encoder, data, collate, config.folder / "features", views=config.views, seed=config.seed
    )
    held_out = FeatureCache(encoder, validation, collate, config.folder / "features")
    model = _new_model(encoder, words, vectors)
    name = str(config.folder / "language.safetensors")
    head = LanguageHead(sum(encoder.channels), model.layer.out_features, name=name)
    levels = head.concat_levels(encoder)
    training = VoxelSamples(cache, levels, config.voxels, config.seed)
    checked = VoxelSamples(held_out, levels, config.voxels, config.seed)
    for samples in (training, checked):
        for index in _counted(len(samples), config.progress):
            samples[index]
    result = None
    _start(model, training, config)
    if config.solver == "adamw":
        identity = {
            "method": "language",
            "encoder": fingerprint(encoder),
            "input": shown(collate),
            "words": digest([repr(words), vectors.encoder, vectors.template]),
            **scan_identity(data),
            "features": cache.digest(),
            "validation": digest([held_out.digest()]),
        }
        result = _train(model, training, checked, config, identity)
    weight, bias = model.for_features()
    head.load_state_dict({"weight": weight.cpu(), "bias": bias.cpu()})
    head.text_encoder, head.template = vectors.encoder, vectors.template
    # What stands in a scene competes with a word as well: a sofa is no chair.
    head.contrast = (*words.contrast, *(word.name for word in words.labels))
    meanings = meanings_of(words)
    texts = vectors.of(list(meanings)).vectors
    head.trained_words = functional.normalize(texts.float(), dim=1).cpu()
    head.meanings = tuple(meanings.values())
    learned = model.temperature
    temperature = learned if result else fitted_temperature(model, checked, learned)
    head.scoring = Softmax(temperature)
    head.preset, head.encoder = preset, weights_digest(encoder, "")
    return head.eval().requires_grad_(False), result


def meanings_of(words: Vocabularies) -> dict[str, str]:
    """For each text of a training the class that it is another word for; empty: none.

    Fine names are no such words: they were trained to win what they name from its class.
    """
    names = words.names or ()
    fine = [text for word in names if not word.is_class for text in word.texts]
    meanings = dict.fromkeys([*words.contrast, *fine], "")
    for word in (*words.labels, *(word for word in names if word.is_class)):
        meanings |= {text: word.name for text in word.texts if text not in meanings}
    return meanings


def _new_model(encoder: Encoder, words: Vocabularies, vectors: TextVectors) -> LanguageModel:
    labels = WordGroup(words.labels, vectors)
    names = WordGroup(words.names, vectors) if words.names else None
    contrast = vectors.of(words.contrast).vectors
    model = LanguageModel(sum(encoder.channels), labels, names, contrast)
    return model.to(next(encoder.parameters()).device)


def _counted(count: int, progress: bool) -> Iterable[int]:
    from tqdm import tqdm

    return tqdm(range(count), disable=not progress, unit="scan", desc="features")


def _train(
    model: LanguageModel,
    training: VoxelSamples,
    validation: VoxelSamples,
    config: LanguageConfig,
    identity: dict[str, object],
) -> TrainingResult:
    labels, names = np.zeros(256, np.int64), np.zeros(NO_NAME + 1, np.int64)
    for voxels in training:
        labels += np.bincount(voxels.labels.numpy(), minlength=len(labels))
        names += np.bincount(voxels.name_ids.numpy(), minlength=len(names))
    name_weights = None
    if model.names is not None and names[:NO_NAME].any():
        name_weights = balanced_weights(names[: len(model.names)])
    loss = LanguageLoss(
        balanced_weights(labels[: len(model.labels)]),
        name_weights,
        None if model.names is None else model.names.meant,
    )
    return run_steps(
        model,
        training,
        validation,
        join_voxels,
        loss,
        config,
        num_classes=len(model.labels),
        identity=identity,
    )


def _start(model: LanguageModel, samples: VoxelSamples, config: LanguageConfig) -> None:
    """Start from the ridge: the vector of a voxel is that of its fine name and its class together.

    It is the result of the solver of this name, and near to that of the other, for which some of
    the voxels are enough.
    """
    every = 1 if config.solver == "ridge" else 4
    device = model.mean.device
    sums = RidgeSums(len(model.mean), model.layer.out_features, device)
    labels = model.labels.means()
    names = None if model.names is None else model.names.means()
    total, squares = torch.zeros(2, len(model.mean), dtype=torch.float64, device=device)
    for index in range(len(samples)):
        voxels = join_voxels([samples[index]]).to(device)
        known = (voxels.labels != UNLABELLED).nonzero()[::every, 0]
        target = labels[voxels.labels[known]].clone()
        if names is not None:
            ids = voxels.name_ids[known]
            named = ids != NO_NAME
            target[named] += names[ids[named]]
        feat = voxels.feat[known]
        sums.add(feat, functional.normalize(target, dim=1))
        total += feat.double().sum(0)
        squares += feat.double().square().sum(0)
    mean = total / sums.count
    model.standardise(mean.float(), (squares / sums.count - mean**2).clamp_min(0).sqrt().float())
    weight, bias = sums.solve(config.strength)
    model.start_from(weight.to(device), bias.to(device))
