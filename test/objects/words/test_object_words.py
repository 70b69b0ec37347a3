# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words for objects: scores, the text encoders of object encoders, the search by words."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import paths
import pytest
import torch

from concerto_ros.cli import main
from concerto_ros.objects.words.text_encoder import PUBLISHED, load_text_encoder
from concerto_ros.objects.words.word_search import WordSearch
from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_CLASSES
from concerto_ros.verification.cases import Case
from concerto_ros.verification.mixcon3d import batch_of, load_case
from concerto_ros.words.vocabulary import Vocabulary

GOLDEN = paths.GOLDEN / "objects"


def a_case(model: str, name: str) -> Case:
    meta = json.loads((GOLDEN / model / "meta.json").read_text())
    return Case(GOLDEN / model, model, name, meta["cases"][name], torch.device("cpu"))


def test_the_classes_of_scanobjectnn_are_those_of_recon():
    assert len(SCANOBJECTNN_CLASSES) == 15 and SCANOBJECTNN_CLASSES[-1] == "toile"


def test_scores_equal_the_reference():
    case = a_case("mixcon3d", "encoder_small")
    model, expected = load_case(case), case.arrays["logits_pc"]
    words = Vocabulary(tuple("abcdefghi"), case.tensor("class_text_features"))
    with torch.inference_mode():
        scores = words.scores(model, model.embed_words(batch_of(case)))
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="8 channels, expected 32 for mixcon3d"):
        Vocabulary(("mug",), torch.ones(1, 8)).scores(model, torch.ones(2, 32))


def test_a_model_without_words_says_so():
    from concerto_ros.verification.i2p_mae import load_case as load_i2p

    case = a_case("i2p_mae", "svm_small")
    with pytest.raises(
        ValueError, match="i2p_mae was not trained with words; expected recon or mixcon3d"
    ):
        load_i2p(case).embed_words(case.tensor("points"))


def test_without_open_clip_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ImportError, match="pip install open_clip_torch"):
        load_text_encoder("recon")
    with pytest.raises(
        ValueError, match="'i2p_mae' was not trained with words, expected one of recon"
    ):
        load_text_encoder("i2p_mae")


@pytest.mark.parametrize("encoder", PUBLISHED)
@pytest.mark.parametrize("weights", [None, "clip.bin"])
def test_open_clip_is_asked_for_the_published_text_encoder(monkeypatch, encoder, weights):
    class Tower(torch.nn.Module):
        def encode_text(self, tokens):
            assert not self.training
            return tokens.half()

    made = []

    def create_model(name, pretrained, device):
        made.append((name, pretrained))
        return Tower()

    def tokenizer(texts):
        return torch.tensor([[len(text)] for text in texts])

    package = types.SimpleNamespace(create_model=create_model, get_tokenizer=lambda _: tokenizer)
    monkeypatch.setitem(sys.modules, "open_clip", package)
    features = load_text_encoder(encoder, weights)(["mug", "bottle"])
    assert made == [(PUBLISHED[encoder][0], weights or PUBLISHED[encoder][1])]
    assert features.dtype == torch.float32 and features.tolist() == [[3], [6]]


class OpenClip(types.SimpleNamespace):
    """Its table of weights, what it was asked for, and a network that must not be used."""

    def __init__(self, **known: str):
        super().__init__(known=known, made=[])
        self.get_tokenizer = lambda name: len

    def get_pretrained_cfg(self, name, tag):
        return self.known

    def create_model(self, name, pretrained, device):
        self.made.append(pretrained)
        return torch.nn.Identity()

    def download_pretrained(self, known):
        if known.get("url"):
            raise ConnectionError("no network")
        return "fetched.bin"


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Where open_clip keeps files, empty: of huggingface.co, and others."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("file", ["", "weights.bin"])
def test_without_a_network_the_weights_come_from_the_cache(caches, monkeypatch, file):
    package = OpenClip(hf_hub=f"laion/clip/{file}")
    monkeypatch.setitem(sys.modules, "open_clip", package)
    with pytest.raises(
        ValueError, match="first: concerto-ros download open_clip:ViT-bigG-14/laion2b"
    ):
        load_text_encoder("mixcon3d", download=False)
    assert package.made == []
    folder = caches / "hub" / "models--laion--clip"
    cached = folder / "snapshots" / "0" / (file or "open_clip_pytorch_model.bin")
    cached.parent.mkdir(parents=True)
    cached.touch()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0")
    load_text_encoder("mixcon3d", download=False)
    assert package.made == [str(cached)]


def test_without_a_network_openai_s_file_is_asked_for_by_name(caches, monkeypatch):
    package = OpenClip(url="https://example.org/0123/ViT-B-32.pt")
    monkeypatch.setitem(sys.modules, "open_clip", package)
    with pytest.raises(ValueError, match="ViT-B-32-quickgelu .openai. are not in the cache"):
        load_text_encoder("recon", download=False)
    cached = caches / ".cache" / "clip" / "ViT-B-32.pt"
    cached.parent.mkdir(parents=True)
    cached.touch()
    load_text_encoder("recon", download=False)
    assert package.made == ["openai"]


def test_a_search_by_words_downloads_nothing(caches, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", OpenClip(hf_hub="laion/clip/"))
    with pytest.raises(ValueError, match="objects.words: the weights of ViT-bigG-14"):
        WordSearch.load("open_clip", load_case(a_case("mixcon3d", "encoder_small")))


def test_the_command_fetches_them(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "open_clip", OpenClip(hf_hub="laion/clip/"))
    assert main(["download", "mixcon3d_words"]) == 0
    assert capsys.readouterr().out == "mixcon3d_words: fetched.bin\n"
    monkeypatch.setitem(sys.modules, "open_clip", OpenClip(url="https://example.org/a.pt"))
    assert main(["download", "recon_words"]) == 1
    assert "cannot fetch the weights of ViT-B-32-quickgelu (openai)" in capsys.readouterr().err


def test_the_former_module_of_vocabularies_still_has_them():
    from concerto_ros.objects.words.vocabulary import Vocabulary as former
    from concerto_ros.objects.words.vocabulary import read_vocabulary

    assert former is Vocabulary and callable(read_vocabulary)
