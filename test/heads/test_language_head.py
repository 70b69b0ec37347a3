# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Language heads: their file, what does not fit them, and cosines computed level by level."""

from __future__ import annotations

import json

import pytest
import torch
from ptv3_inputs import batch_of
from safetensors.torch import save_file

from concerto_ros.heads import LanguageHead
from concerto_ros.heads.language import save_language_head
from concerto_ros.heads.scoring import Sigmoid, Softmax
from concerto_ros.ptv3 import CheckpointError, load_encoder

ENCODER = load_encoder("demo")

#: Features of all its levels.
CHANNELS = sum(ENCODER.channels)


@pytest.fixture(scope="module")
def encoder():
    return ENCODER


@pytest.fixture(scope="module")
def pyramid(encoder):
    grid, coord, offset = batch_of(900, side=24)
    feat = torch.randn(len(grid), 9, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        return encoder(feat, grid, coord, offset)


def language_head(in_channels=CHANNELS, width=24, seed=0):
    torch.manual_seed(seed)
    return LanguageHead(in_channels, width, name="own").eval().requires_grad_(False)


def words(count=7, width=24):
    return 3 * torch.randn(count, width, generator=torch.Generator().manual_seed(9))


def plain(head, feat, vectors):
    """The formula as it is written, in float64."""
    y = feat.double() @ head.weight.double().T + head.bias.double()
    dots = y @ vectors.double().T
    return dots / (y.norm(dim=1, keepdim=True) * vectors.double().norm(dim=1))


@pytest.mark.parametrize("width", [24, 200, 384, 700])
@pytest.mark.parametrize("joined", [0, 2, 4])
def test_cosines_by_level_are_those_of_the_plain_formula(encoder, pyramid, joined, width):
    head = language_head(sum(encoder.channels[-1 - joined :]), width)
    vectors = words(width=width)
    cosines = head.for_words(vectors).cosines(pyramid, joined)
    wanted = plain(head, pyramid.upcast(joined), vectors)
    assert cosines.dtype == torch.float32
    torch.testing.assert_close(cosines.double(), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_features_of_the_nodes_precision_are_scored_as_exactly(encoder, pyramid, dtype):
    head, vectors = language_head(), words()
    feats = [feat.to(dtype) for feat in pyramid.feats]
    cosines = head.for_words(vectors).cosines_by_level(feats, pyramid.clusters, 4)
    feat = feats[-1]
    for finer, cluster in zip(reversed(feats[:-1]), reversed(pyramid.clusters), strict=True):
        feat = torch.cat([finer, feat[cluster]], dim=1)
    torch.testing.assert_close(cosines.double(), plain(head, feat, vectors), rtol=0, atol=1e-5)


def test_a_length_that_nearly_cancels_is_as_exact_as_by_the_plain_formula(encoder, pyramid):
    """Expanded into products of features and of the bias, its square would come out negative."""
    head, vectors = language_head(), words()
    head.weight[:, : encoder.channels[0]] *= 1e2
    head.weight[:, -encoder.channels[-1] :] *= 1e-2
    feats = [feat + 300 for feat in pyramid.feats]
    feat = pyramid.upcast(None) + 300
    head.bias -= head(feat).mean(dim=0)
    wanted = plain(head, feat, vectors)
    y = head(feat)
    theirs = torch.nn.functional.cosine_similarity(y[:, None], vectors, dim=2)
    ours = head.for_words(vectors).cosines_by_level(feats, pyramid.clusters, 4)
    expanded = (feat @ (head.weight.T @ head.weight) * feat).sum(1)
    expanded += 2 * feat @ (head.weight.T @ head.bias) + head.bias.square().sum()
    assert (expanded.double() / y.double().square().sum(1) - 1).abs().max() > 0.1
    error = (theirs - wanted).abs().max()
    assert error > 1e-6  # there is something to lose
    assert (ours - wanted).abs().max() <= 3 * error


def test_a_vector_of_length_zero_matches_nothing_and_one_that_is_not_finite_is_nan(pyramid):
    head = language_head()
    feats = [feat.clone() for feat in pyramid.feats]
    for feat in feats:
        feat.zero_()
    head.bias.zero_()
    feats[0][3, 0], feats[0][4, 1] = torch.nan, 3e38
    cosines = head.for_words(words()).cosines_by_level(feats, pyramid.clusters, 4)
    assert cosines[3:5].isnan().all()
    cosines[3:5] = 0
    assert not cosines.any()


def test_levels_of_another_width_are_refused_with_both_widths(pyramid):
    less = CHANNELS - 32
    with pytest.raises(
        ValueError, match=f"got {CHANNELS} channels of all levels, expected {less}"
    ):
        language_head(less).for_words(words()).cosines(pyramid, 4)


@pytest.mark.parametrize("scoring", [Softmax(0.05), Sigmoid(110.0, -12.5)])
def test_a_file_keeps_everything(tmp_path, encoder, scoring):
    head = language_head()
    head.scoring, head.threshold, head.normalised = scoring, 0.3, False
    head.text_encoder, head.template, head.licence = "minilm", "a {name} in a scene", "Apache-2.0"
    head.contrast, head.encoder, head.preset = ("floor", "thing"), encoder.digest, "indoor"
    head.trained_words = torch.nn.functional.normalize(words(3), dim=1)
    head.meanings = ("floor", "", "thing")
    head.rivals, head.find_threshold = ((1, (0, 3)), (2, ())), 0.04
    head.anchors = torch.nn.functional.normalize(words(1), dim=1)
    head.stands_for = (0, 1, 3)
    path = tmp_path / "new" / "head.safetensors"
    save_language_head(path, head)
    again = LanguageHead.load(path, encoder)
    assert torch.equal(again.weight, head.weight) and torch.equal(again.bias, head.bias)
    torch.testing.assert_close(again.trained_words, head.trained_words)
    for name in (
        *("scoring", "threshold", "normalised", "text_encoder", "template", "licence"),
        *("contrast", "meanings", "encoder", "preset", "in_channels", "width"),
        *("rivals", "stands_for", "find_threshold"),
    ):
        assert getattr(again, name) == getattr(head, name), name
    assert again.concat_levels(encoder) == len(encoder.channels) - 1
    assert not again.training and not again.weight.requires_grad


def test_what_means_the_same_or_belongs_to_it_is_no_rival_of_a_text():
    head, known = language_head(), torch.eye(24)[:6]
    head.trained_words, head.anchors = known, torch.eye(24)[20:21]
    seat = 6  # the row of the anchor
    head.stands_for = (0, 1, seat, 3, 4, 0)  # the third is another word for the class seat
    head.rivals = ((0, (seat,)), (1, ()), (3, (seat, 0)), (4, ()))
    stool, stools_synonym, lamp, seats = known[[0, 5, 1, 2]]
    unlike, between = torch.eye(24)[9], 0.72 * known[4] + 0.69 * torch.eye(24)[10]
    rivals = head.rivals_of(torch.stack([stool, stools_synonym, lamp, seats, unlike, between]))
    assert torch.equal(rivals.vectors, known[[0, 1, 3, 4]])
    assert rivals.belong.nonzero().tolist() == [[0, 2], [1, 2], [3, 0], [3, 2]]
    assert rivals.compete.tolist() == [
        [False, True, False, True],
        [False, True, False, True],
        [True, False, True, True],
        [False, True, False, True],
        [True, True, True, True],
        [True, True, True, False],
    ]
    head.rivals = ()
    rivals = head.rivals_of(stool[None])
    assert rivals.vectors.shape == (0, 24) and rivals.compete.shape == (1, 0)


def test_words_are_understood_by_those_of_the_training_that_they_are_near_to():
    head, known = language_head(), torch.eye(24)[:3]
    sofa, chair, lamp = known
    assert torch.equal(head.understood(2 * known), 2 * known)  # a head of the whole text space
    head.trained_words = known
    unheard = torch.eye(24)[20]
    loveseat, elephant = 0.8 * sofa + 0.1 * chair + 0.6 * unheard, 0.1 * lamp + unheard
    read = head.understood(torch.stack([5 * sofa, loveseat, elephant]))
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(read[0], sofa, dim=0) > 0.999
    assert cosine(read[1], sofa, dim=0) > 0.99 > cosine(loveseat, sofa, dim=0) + 0.1
    assert cosine(read[2], elephant, dim=0) > 0.999
    assert torch.allclose(read.norm(dim=1), torch.ones(3))
    with pytest.raises(ValueError, match="24 wide"):
        head.understood(torch.ones(1, 23))


def test_contrast_words_that_mean_the_same_are_known_by_cosine_and_by_the_training():
    head, axes = language_head(), torch.eye(24)
    head.contrast = ("chair", "sofa")
    chair, sofa, stool, lamp = axes[:4]
    contrast = torch.stack([chair, 3 * sofa])
    asked = torch.stack([stool, lamp, 0.8 * sofa + 0.6 * lamp])
    # Nothing is known of a stool but that its text is another one.
    assert head.same_as(asked, contrast).tolist() == [[False] * 2, [False] * 2, [False, True]]
    head.trained_words, head.meanings = axes[:4], ("chair", "sofa", "chair", "")
    kinds = head.same_as(torch.cat([asked, axes[9:10]]), contrast)
    assert kinds.tolist() == [[True, False], [False] * 2, [False, True], [False] * 2]


def test_half_precision_on_disk_is_float32_in_memory(tmp_path):
    save_language_head(tmp_path / "half.safetensors", language_head().half())
    assert (tmp_path / "half.safetensors").stat().st_size < 2.2 * 24 * CHANNELS
    assert LanguageHead.load(tmp_path / "half.safetensors").weight.dtype == torch.float32


def test_a_file_of_nothing_but_the_tensors_is_a_head(tmp_path):
    tensors = {"weight": torch.ones(4, 6), "bias": torch.zeros(4)}
    save_file(tensors, tmp_path / "a.safetensors", {"text_encoder": "ViT-B-32"})
    head = LanguageHead.load(tmp_path / "a.safetensors")
    assert (head.in_channels, head.width, head.text_encoder) == (6, 4, "ViT-B-32")
    assert head.scoring == Softmax(1.0) and "floor" in head.contrast
    assert torch.equal(head(torch.ones(2, 6)), torch.full((2, 4), 6.0))
    assert torch.allclose(head.vectors(torch.ones(2, 6)), torch.full((2, 4), 0.5))


@pytest.mark.parametrize(
    ("change", "words_in_error"),
    [
        ({"weight": torch.ones(4)}, r"weight \(4,\).*expected floating-point tensors weight"),
        ({"bias": torch.ones(5)}, r"bias \(5,\), weight \(4, 6\), expected"),
        ({"seg_head": torch.ones(1)}, "bias .*, seg_head .*, weight .*, expected"),
        ({"weight": torch.ones(4, 6, dtype=torch.int32)}, "expected floating-point"),
        ({"trained_words": torch.ones(3, 5)}, r"trained_words \(3, 5\), weight .*, expected"),
        ({"weight": torch.full((4, 6), torch.nan)}, r"not finite .*weight \(24 of 24 values\)"),
    ],
)
def test_tensors_that_are_no_head_are_refused(tmp_path, change, words_in_error):
    tensors = {"weight": torch.ones(4, 6), "bias": torch.zeros(4)} | change
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=words_in_error):
        LanguageHead.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0),
        ("temperature", True),
        ("temperature", float("nan")),
        ("threshold", 1),
        ("meanings", ["chair"]),
        ("rivals", [[0, [1]]]),
        ("rivals", [[0, "chair"]]),
        ("stands_for", [0]),
        ("rivals", ["chair"]),
        ("rivals", [[-1, []]]),
        ("find_threshold", 1),
        ("sigmoid_scale", -1),
        ("sigmoid_scale", 10),
        ("template", "a thing"),
        ("normalised", "yes"),
        ("contrast", "floor"),
        ("text_encoder", 3),
    ],
)
def test_metadata_that_is_not_accepted_is_refused_by_name(tmp_path, name, value):
    tensors = {"weight": torch.ones(4, 6), "bias": torch.zeros(4)}
    save_file(tensors, tmp_path / "a.safetensors", {name: json.dumps(value)})
    with pytest.raises(CheckpointError, match=rf"{name}.*in its metadata,\s*expected"):
        LanguageHead.load(tmp_path / "a.safetensors")


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere.safetensors cannot be read: .*No such"):
        LanguageHead.load(tmp_path / "nowhere.safetensors")
    (tmp_path / "a.safetensors").write_bytes(b"not a file of tensors")
    with pytest.raises(CheckpointError, match=r"a.safetensors cannot be read: it is not a safe"):
        LanguageHead.load(tmp_path / "a.safetensors")


def test_no_head_is_bundled_for_outdoors():
    with pytest.raises(CheckpointError, match="no language head .* 'outdoor'"):
        LanguageHead.load("demo", preset="outdoor")


def test_another_encoder_is_refused_with_both_widths(tmp_path, encoder):
    save_language_head(tmp_path / "head.safetensors", language_head(77))
    with pytest.raises(ValueError, match=rf"takes 77 channels.* or {sum(encoder.channels)};"):
        LanguageHead.load(tmp_path / "head.safetensors", encoder)


@pytest.mark.parametrize(
    ("vectors", "words_in_error"),
    [
        (torch.ones(3, 23), r"shape \(3, 23\), expected \(words, 24\).* is 24 wide \(minilm\)"),
        (torch.ones(0, 24), r"shape \(0, 24\)"),
        (torch.ones(24), r"shape \(24,\)"),
        (torch.eye(24) * torch.arange(24), "zero or not finite in rows 0;"),
        (torch.full((1, 24), torch.nan), "zero or not finite in rows 0;"),
    ],
)
def test_words_of_another_text_space_are_refused(vectors, words_in_error):
    head = language_head()
    head.text_encoder = "minilm"
    with pytest.raises(ValueError, match=words_in_error):
        head.for_words(vectors)


def test_features_of_another_width_are_refused():
    with pytest.raises(ValueError, match=rf"feat: got shape \(2, 9\), expected \(N, {CHANNELS}\)"):
        language_head()(torch.zeros(2, 9))
