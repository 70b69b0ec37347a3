# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The language head of the bundled model: made of its linear heads, measured on unseen rooms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from concerto_ros.files.digest import weights_digest
from concerto_ros.heads.language import LanguageHead, bundled_head, save_language_head
from concerto_ros.heads.linear import LinearHead
from concerto_ros.labels.confusion import Confusion
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.named_scans import NamedScans
from concerto_ros.learning.demo_model.names import bundled_names
from concerto_ros.learning.demo_model.recipe import INDOOR, Recipe
from concerto_ros.learning.demo_model.report.conditions import sort_of
from concerto_ros.learning.language.composed import compose_language_head
from concerto_ros.learning.language.finding import Answer, Finder, rates
from concerto_ros.learning.language.train import Vocabularies
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
from concerto_ros.ptv3 import Encoder, load_encoder
from concerto_ros.ptv3.bundled import DEMO
from concerto_ros.words.word_vectors import WordVectors

#: Thresholds of which the lowest is taken whose worse rate of finding is best, by the rooms for
#: validation, but for what nine rooms cannot tell: what stands in other places is less like what
#: was trained on, and rather found with a low score than not at all.
NOISE = 0.02
THRESHOLDS = (0.014, 0.017, 0.02, 0.024, 0.028, 0.034, 0.04, 0.048, 0.056, 0.08, 0.12, 0.2, 0.4)
#: What a word has to be as a label: more probable than all contrast words together.
LABEL_THRESHOLD = 0.5
#: Scans of whole rooms, in which names are looked for: a sampled mesh and several views.
WHOLE = ("mesh", "views")


def bundled_words() -> Vocabularies:
    """The classes of the bundled model, all fine names, and the contrast words."""
    known = documented_words()
    classes = [word.name for word in known if word.is_class]
    names = words_for([word.name for word in known], known)
    return Vocabularies(words_for(classes, known), names, CONTRAST)


def make_bundled(
    folder: Path, recipe: Recipe = INDOOR, *, device: str = "cpu", output: Path | None = None
) -> LanguageHead:
    """Make the language head of the bundled model, and write it.

    Args:
        folder: Where the rooms for validation, by which the threshold of finding is chosen, and
            their features are kept.
        recipe: Of the bundled model; furnished as wanted.
        device: Where features are computed.
        output: File to write; None: the bundled one.

    Returns:
        The head.

    Raises:
        ValueError: The bundled model has not learned the fine names.
    """
    words, vectors = bundled_words(), WordVectors(TEXT_ENCODER)
    encoder = load_encoder(DEMO, preset=recipe.preset, device=device)
    known = bundled_names(recipe.preset)
    if known is None:
        raise ValueError(
            f"the bundled model of the preset {recipe.preset} has learned no fine names; expected"
            " one of a training with them (concerto-ros train demo)"
        )
    head = compose_language_head(
        LinearHead.load(DEMO, preset=recipe.preset), known, words, vectors
    )
    head.threshold, head.licence = LABEL_THRESHOLD, "Apache-2.0"
    head.preset, head.encoder = recipe.preset, weights_digest(encoder, "")
    held_out = named_scans(recipe, folder, recipe.validation_seeds, words.names)
    cache = FeatureCache(encoder, held_out, _collate(recipe), folder / "features")
    answered = _answers(encoder, head, cache, words.names, vectors, THRESHOLDS)
    # A rate is not a number where there is nothing to ask for.
    worse = np.array([np.nan_to_num(rates(each)).min() for each in answered])
    head.find_threshold = THRESHOLDS[int(np.argmax(worse >= worse.max() - NOISE))]
    save_language_head(output or bundled_head(recipe.preset), head.half())
    return head


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
    answers = _answers(encoder, head, cache, words.names, vectors, (head.find_threshold,))[0]
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
    of_names = vectors.of([word.name for word in names]).vectors
    finder = Finder(encoder, head, of_names, meant_by(names))
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
