# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The language head of the bundled model: trained on simulated rooms, and measured on others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from concerto_ros.heads.language import LanguageHead, bundled_head, save_language_head
from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.confusion import Confusion
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.named_scans import NamedScans
from concerto_ros.learning.demo_model.recipe import INDOOR, Recipe
from concerto_ros.learning.demo_model.report.conditions import sort_of
from concerto_ros.learning.language.finding import Answer, Finder, rates
from concerto_ros.learning.language.fitting import LanguageConfig
from concerto_ros.learning.language.train import Vocabularies, train_language
from concerto_ros.learning.language.word_list import (
    CONTRAST,
    TEXT_ENCODER,
    Word,
    documented_words,
    meant_by,
    words_for,
)
from concerto_ros.learning.language.zero_shot import head_for_words
from concerto_ros.learning.methods.feature_cache import FeatureCache, Features
from concerto_ros.learning.training.trainer import TrainingResult
from concerto_ros.ptv3 import Encoder, load_encoder
from concerto_ros.ptv3.bundled import DEMO
from concerto_ros.words.word_vectors import WordVectors

#: Thresholds of which the one with the best sum of both rates of finding is taken, by the rooms
#: for validation.
THRESHOLDS = (0.34, 0.42, 0.5, 0.58, 0.66, 0.74, 0.82, 0.9, 0.94)
#: Scans of whole rooms, in which names are looked for: a sampled mesh and several views.
WHOLE = ("mesh", "views")


def bundled_words() -> Vocabularies:
    """The classes of the bundled model, all fine names, and the contrast words."""
    known = documented_words()
    classes = [word.name for word in known if word.is_class]
    names = words_for([word.name for word in known], known)
    return Vocabularies(words_for(classes, known), names, CONTRAST)


def train_bundled(
    folder: Path,
    recipe: Recipe = INDOOR,
    *,
    rooms: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    device: str = "cpu",
    output: Path | None = None,
) -> TrainingResult:
    """Train the language head of the bundled model on simulated rooms, and write it.

    Args:
        folder: Where rooms, features and the state of the run are kept.
        recipe: Of the bundled model, whose encoder is used; furnished as wanted.
        rooms: Number of rooms to train on; None: those of the recipe.
        steps: Number of steps; None: the usual one.
        minutes: Time limit of the training; None: none.
        device: Where to train.
        output: File to write; None: the bundled one.

    Returns:
        The result of the run.
    """
    words = bundled_words()
    vectors = WordVectors(TEXT_ENCODER)
    encoder = load_encoder(DEMO, preset=recipe.preset, device=device)
    config = LanguageConfig(folder, minutes=minutes)
    config = config if steps is None else replace(config, steps=steps)
    held_out = named_scans(recipe, folder, recipe.validation_seeds, words.names)
    head, result = train_language(
        encoder,
        named_scans(recipe, folder, recipe.training_seeds[:rooms], words.names),
        held_out,
        words,
        vectors,
        _collate(recipe),
        config,
    )
    head.licence = "Apache-2.0"
    cache = FeatureCache(encoder, held_out, _collate(recipe), folder / "features")
    answered = _answers(encoder, head, cache, words.names, vectors, THRESHOLDS)
    # A rate is not a number where there is nothing to ask for.
    both = [np.nan_to_num(rates(each)).sum() for each in answered]
    head.threshold = THRESHOLDS[int(np.argmax(both))]
    save_language_head(output or bundled_head(recipe.preset), head.half())
    assert result is not None  # as it was trained by steps
    return result


def named_scans(
    recipe: Recipe, folder: Path, seeds: Sequence[int], names: Sequence[Word]
) -> NamedScans:
    """The scans of simulated rooms with their fine names as positions in ``names``."""
    return recipe.named_scans(folder, seeds, [word.name for word in names])


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured on unseen rooms.

    Attributes:
        scores: By what gave the labels: the linear head, the names of the classes, and synonyms
            that the head was never trained with.
        answers: To questions for fine names.
        scans: Number of scans.
        rooms: Number of rooms.
    """

    scores: dict[str, Confusion]
    answers: tuple[Answer, ...]
    scans: int
    rooms: int


def measure_bundled(
    folder: Path, recipe: Recipe = INDOOR, head_file: Path | None = None
) -> Measured:
    """Measure the bundled language head on the test rooms of a recipe.

    Args:
        folder: Where rooms and features are kept.
        recipe: Furnished as wanted.
        head_file: Another language head; None: the bundled one.
    """
    words, vectors = bundled_words(), WordVectors(TEXT_ENCODER)
    encoder = load_encoder(DEMO, preset=recipe.preset)
    head = LanguageHead.load(head_file or DEMO, encoder)
    columns = {
        "linear head": LinearHead.load(DEMO, encoder, preset=recipe.preset),
        "names": head_for_words(head, vectors.of([w.name for w in words.labels]).vectors),
        "other synonyms": head_for_words(
            head, vectors.of([w.held_out[0] for w in words.labels]).vectors
        ),
    }
    scans = named_scans(recipe, folder, recipe.test_seeds, words.names)
    cache = FeatureCache(encoder, scans, _collate(recipe), folder / "features")
    scores = {name: Confusion(len(words.labels)) for name in columns}
    for features in _with_progress(cache):
        for name, linear in columns.items():
            levels = linear.concat_levels(encoder)
            logits = linear.scores_by_level(features.feats, features.clusters, levels)
            scores[name].add_scores(logits.numpy(), features.labels.numpy())
    answers = _answers(encoder, head, cache, words.names, vectors, (head.threshold,))[0]
    return Measured(scores, tuple(answers), len(scans), len(recipe.test_seeds))


def _collate(recipe: Recipe) -> ScanCollate:
    return ScanCollate(recipe.convention, recipe.voxel_size)


def _with_progress(cache: FeatureCache) -> Iterator[Features]:
    for index in tqdm(range(len(cache)), unit="scan", desc="labels"):
        yield cache[index]


def _answers(
    encoder: Encoder,
    head: LanguageHead,
    cache: FeatureCache,
    names: Sequence[Word],
    vectors: WordVectors,
    thresholds: Sequence[float],
) -> list[list[Answer]]:
    """Answers for all fine names in the scans of whole rooms, by threshold."""
    contrast = vectors.of(head.contrast).vectors
    of_names = vectors.of([word.name for word in names]).vectors
    finder = Finder(encoder, head, of_names, contrast, meant_by(names))
    fine = [row for row, word in enumerate(names) if not word.is_class]
    answers: list[list[Answer]] = [[] for _ in thresholds]
    for index in tqdm(range(len(cache)), unit="scan", desc="questions"):
        scan = cache.data[index]
        if sort_of(scan) not in WHOLE:
            continue
        voxels = cache.collate([scan], None).grid_coord.numpy()
        given = finder.answers(cache[index], voxels, fine, thresholds)
        for all_of, new in zip(answers, given, strict=True):
            all_of += new
    return answers
