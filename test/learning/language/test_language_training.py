# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Language heads: from labelled scans and words to points that words find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_data import INDOOR, box_scan, small_encoder

from concerto_ros.heads.language import LanguageHead, save_language_head
from concerto_ros.learning.data.augment import renamed
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.data.named_scans import NamedScans
from concerto_ros.learning.language.fitting import SOLVERS, LanguageConfig
from concerto_ros.learning.language.model import WordGroup
from concerto_ros.learning.language.samples import VoxelSamples, joined_rows
from concerto_ros.learning.language.train import Vocabularies, train_language
from concerto_ros.learning.language.word_list import Word
from concerto_ros.learning.language.zero_shot import head_for_words
from concerto_ros.learning.methods.feature_cache import FeatureCache
from concerto_ros.learning.training.trainer import Trainer
from concerto_ros.words.vocabulary import Vocabulary

VOXEL = 0.1
PLAIN = ScanCollate(INDOOR, VOXEL)
LABELS = (
    Word("floor", synonyms=("ground",)),
    Word("wall"),
    Word("box", synonyms=("crate", "case")),
)
NAMES = (Word("left box", "box", ("crate on the left",)), Word("right box", "box"), Word("floor"))


class StandIn:
    """Random vectors, but near each other for the words that mean the same."""

    encoder, template, width = "stand-in", "{name}", 24
    same = {text: word.name for word in LABELS for text in word.texts}

    def of(self, words):
        return Vocabulary(tuple(words), torch.stack([self.vector(word) for word in words]))

    def vector(self, text):
        meaning = self.same.get(text, text)
        parts = [
            torch.randn(self.width, generator=torch.Generator().manual_seed(sum(t.encode())))
            for t in (meaning, text)
        ]
        return torch.nn.functional.normalize(parts[0] + 0.3 * parts[1], dim=0)


def named_scan(seed):
    """A scan of a room whose box is called by its side of the room."""
    scan = box_scan(seed, 700)
    side = np.where(scan.points[:, 0] < 1, 0, 1).astype(np.uint16)
    ids = np.where(scan.labels == 2, side, np.where(scan.labels == 0, 2, NO_NAME)).astype(
        np.uint16
    )
    return replace(scan, name_ids=ids, names=("left box", "right box", "floor"))


SCANS = [named_scan(seed) for seed in range(4)]


def options(folder, **given):
    return LanguageConfig(
        folder, **({"steps": 60, "validate_every": 30, "voxels": 200, "progress": False} | given)
    )


def train(folder, names=NAMES, scans=SCANS, **given):
    return train_language(
        small_encoder(), scans[:3], scans[3:], Vocabularies(LABELS, names, ("object", "thing")),
        StandIn(), PLAIN, options(folder, **given),
    )  # fmt: skip


def label_of(head, scan, *words):
    """The word of each voxel, and its class."""
    encoder = small_encoder()
    batch = PLAIN([scan], None)
    with torch.no_grad():
        pyramid = encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
        vectors = StandIn().of(words).vectors
        cosines = head.for_words(vectors).cosines(pyramid, head.concat_levels(encoder))
        linear = head_for_words(head, vectors)
        scores = linear.scores(pyramid, linear.concat_levels(encoder))
    assert torch.equal(scores.argmax(1), cosines.argmax(1))
    return cosines.argmax(1), batch.labels


@pytest.mark.parametrize("solver", SOLVERS)
def test_points_are_found_by_names_and_synonyms_and_the_file_says_of_what_space(tmp_path, solver):
    head, outcome = train(tmp_path, solver=solver)
    assert (outcome is None) == (solver == "ridge")
    path = tmp_path / "language.safetensors"
    save_language_head(path, head)
    loaded = LanguageHead.load(path, small_encoder())
    assert (loaded.text_encoder, loaded.template) == ("stand-in", "{name}")
    assert loaded.contrast == ("object", "thing", "floor", "wall", "box")
    assert loaded.preset == "indoor" and set(loaded.meanings) == {"", "floor", "wall", "box"}
    for words in (("floor", "wall", "box"), ("ground", "wall", "crate")):
        found, labels = label_of(loaded, SCANS[3], *words)
        known = labels != 255
        assert (found == labels)[known].float().mean() > 0.8


def test_scans_without_fine_names_teach_the_names_of_their_label_set(tmp_path):
    scans = [replace(scan, name_ids=None, names=()) for scan in SCANS]
    head, _ = train(tmp_path, (), scans, solver="ridge")
    found, labels = label_of(head, scans[3], "floor", "wall", "box")
    assert (found == labels)[labels != 255].float().mean() > 0.8


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    whole, _ = train(tmp_path / "whole")
    step = Trainer._train_step

    def killed(self):
        if self.step == 40:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "_train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", checkpoint_every=20)
    monkeypatch.setattr(Trainer, "_train_step", step)
    resumed, outcome = train(tmp_path / "cut", checkpoint_every=20)
    assert outcome.steps == 60 and torch.equal(whole.weight, resumed.weight)


def test_without_a_scan_to_validate_on_a_head_is_trained_all_the_same(tmp_path):
    head, _ = train(tmp_path, (), SCANS[:3], solver="ridge")
    assert head.scoring.temperature > 0


def test_an_unknown_solver_is_refused(tmp_path):
    with pytest.raises(ValueError, match="solver is 'lbfgs', expected one of adamw, ridge"):
        train(tmp_path, solver="lbfgs")


def test_rare_names_are_learnt_from_as_well_and_features_are_joined_as_the_pyramid_joins_them(
    tmp_path,
):
    encoder = small_encoder()
    cache = FeatureCache(encoder, SCANS[:1], PLAIN, tmp_path)
    samples = VoxelSamples(cache, 2, 60)
    voxels, features = samples[0], cache[0]
    assert len(voxels) == 60 and not (voxels.labels == 255).any()
    share = (voxels.labels == 0).float().mean()
    assert share < (features.labels[features.labels != 255] == 0).float().mean()
    batch = PLAIN(SCANS[:1], None)
    with torch.no_grad():
        pyramid = encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
    for levels in (0, 1, 2):
        rows = torch.arange(0, len(batch), 7)
        wanted = pyramid.upcast(concat_levels=levels)[rows]
        torch.testing.assert_close(joined_rows(features, levels, rows), wanted)


def test_names_become_positions_in_one_list():
    class Data(list):
        classes = ("floor", "wall", "box")

    scans = NamedScans(Data([SCANS[0]]), ("floor", "right box"))
    assert scans.classes == Data.classes
    assert np.array_equal(scans[0].name_ids, renamed(SCANS[0], ("floor", "right box")).name_ids)


def test_each_word_is_drawn_by_its_name_its_synonyms_and_mixtures_of_them():
    group = WordGroup(LABELS, StandIn())
    torch.manual_seed(0)
    drawn = torch.stack([group.drawn() for _ in range(400)])
    torch.testing.assert_close(drawn.norm(dim=2), torch.ones(400, 3))
    for column, word in enumerate(LABELS):
        cosines = {text: drawn[:, column] @ StandIn().vector(text) for text in word.texts}
        nearest = torch.stack(list(cosines.values())).argmax(0)
        share = torch.bincount(nearest, minlength=len(word.texts)) / 400
        assert share[0] > 0.3 and (share > 0.1).all()
    torch.testing.assert_close(group.means()[1], StandIn().vector("wall"))
