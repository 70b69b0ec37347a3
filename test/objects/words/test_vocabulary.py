# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Words for objects: prompts, files of text vectors, scores, the optional text encoder."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import paths
import pytest
import torch

from concerto_ros.cli import main
from concerto_ros.files.safetensors_file import write_tensors
from concerto_ros.objects.words.text_encoder import PUBLISHED, load_text_encoder
from concerto_ros.objects.words.vocabulary import Vocabulary, read_vocabulary
from concerto_ros.objects.words.word_search import WordSearch
from concerto_ros.objects.words.zero_shot import SCANOBJECTNN_CLASSES, name_alone, prompts
from concerto_ros.verification.cases import Case
from concerto_ros.verification.mixcon3d import batch_of, load_case

GOLDEN = paths.GOLDEN / "objects"
NAMES = ("mug", "night_stand", "bottle")
VECTORS = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))


def a_case(model: str, name: str) -> Case:
    meta = json.loads((GOLDEN / model / "meta.json").read_text())
    return Case(GOLDEN / model, model, name, meta["cases"][name], torch.device("cpu"))


def write(path: Path, content) -> Path:
    """One content in the format that the suffix names."""
    if path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".npy":
        np.save(path, content)
    elif path.suffix == ".safetensors":
        write_tensors(path, content, {})
    else:
        torch.save(content, path)
    return path


def by_name(shape: tuple[int, ...] = (-1,)) -> dict[str, torch.Tensor]:
    return {name: row.reshape(shape) for name, row in zip(NAMES, VECTORS, strict=True)}


def test_the_classes_of_scanobjectnn_are_those_of_recon():
    assert len(SCANOBJECTNN_CLASSES) == 15 and SCANOBJECTNN_CLASSES[-1] == "toile"


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("shape", [(-1,), (1, -1), (1, 1, -1)])
def test_a_vector_by_name_from_every_format(tmp_path, suffix, shape):
    vocabulary = read_vocabulary(write(tmp_path / f"words{suffix}", by_name(shape)))
    # Safetensors come in the order of their names.
    assert set(vocabulary.names) == set(NAMES)
    order = [vocabulary.names.index(name) for name in NAMES]
    assert torch.equal(vocabulary.vectors[order], VECTORS)


def test_openshape_dictionaries_of_numpy_load_as_they_are(tmp_path):
    content = {
        name: {"open_clip_text_feat": row[None].numpy(), "prompt": name}
        for name, row in zip(NAMES, VECTORS, strict=True)
    }
    vocabulary = read_vocabulary(write(tmp_path / "cat_name_pt_feat.npy", content))
    assert vocabulary.names == NAMES and torch.equal(vocabulary.vectors, VECTORS)


def test_an_array_takes_its_names_from_the_caller(tmp_path):
    path = write(tmp_path / "lvis.npy", VECTORS.numpy())
    assert torch.equal(read_vocabulary(path, NAMES).vectors, VECTORS)
    with pytest.raises(
        ValueError, match=r"shape \(3, 8\) without names, expected a vector by name"
    ):
        read_vocabulary(path)
    with pytest.raises(ValueError, match=r"\(3, 8\), expected one vector for each of the 2 names"):
        read_vocabulary(path, NAMES[:2])


def test_sentences_are_summed(tmp_path):
    sentences = torch.randn(3, 60, 8, generator=torch.Generator().manual_seed(1))
    path = write(tmp_path / "sentences.pt", sentences)
    torch.testing.assert_close(read_vocabulary(path, NAMES).vectors, sentences.sum(1))
    path = write(tmp_path / "named.pt", dict(zip(NAMES, sentences, strict=True)))
    torch.testing.assert_close(read_vocabulary(path).vectors, sentences.sum(1))


def test_wanted_names_come_in_their_order(tmp_path):
    path = tmp_path / "words.npz"
    Vocabulary(NAMES, VECTORS).save(path)
    assert read_vocabulary(path).names == NAMES
    chosen = read_vocabulary(path, ["bottle", "mug"])
    assert chosen.names == ("bottle", "mug") and torch.equal(chosen.vectors, VECTORS[[2, 0]])
    with pytest.raises(ValueError, match="no vector of kettle; it has mug, night_stand, bottle"):
        read_vocabulary(path, ["mug", "kettle"])


class Harmful:
    def __reduce__(self):
        return os.mkdir, (str(Harmful.folder),)


def test_a_file_can_run_nothing(tmp_path):
    Harmful.folder = tmp_path / "made"
    for suffix in (".npy", ".pt"):
        path = write(tmp_path / f"words{suffix}", {"mug": Harmful()})
        with pytest.raises(ValueError, match="damaged, or holds more than named arrays"):
            read_vocabulary(path)
    assert not Harmful.folder.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mug": torch.ones(3), "box": torch.ones(4)}, r"\[3, 4\] channels, expected one width"),
        ({}, "no channels"),
        ({"mug": "words"}, "'mug' is str, expected an array of numbers"),
        ({"mug": {"feat": torch.ones(3)}}, "expected 'open_clip_text_feat'"),
        ({"mug": torch.tensor(1.0)}, "'mug' is torch.float32, expected an array"),
        ({"mug": torch.tensor([1.0, torch.nan])}, "vectors of mug are zero or not finite"),
        ({"mug": torch.ones(2), "box": torch.zeros(2)}, "vectors of box are zero"),
    ],
)
def test_other_content_is_refused_with_a_reason(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_vocabulary(write(tmp_path / "words.pt", content))


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt", ".safetensors"])
def test_a_damaged_file_is_refused(tmp_path, suffix):
    content = VECTORS.numpy() if suffix == ".npy" else by_name()
    path = write(tmp_path / f"words{suffix}", content)
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(ValueError, match="cannot be read as text embeddings"):
        read_vocabulary(path)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(OSError):
        read_vocabulary(tmp_path / "none.npz")
    with pytest.raises(
        ValueError, match=r"words.txt ends in .\.txt., expected one of .npz, .npy, .pt, .pth"
    ):
        read_vocabulary(tmp_path / "words.txt")


def test_scores_equal_the_reference():
    case = a_case("mixcon3d", "encoder_small")
    model, expected = load_case(case), case.arrays["logits_pc"]
    words = Vocabulary(tuple("abcdefghi"), case.tensor("class_text_features"))
    with torch.inference_mode():
        scores = words.scores(model, model.embed_words(batch_of(case)))
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="8 channels, expected 32 for mixcon3d"):
        Vocabulary(NAMES, VECTORS).scores(model, torch.ones(2, 32))


def test_a_model_without_words_says_so():
    from concerto_ros.verification.i2p_mae import load_case as load_i2p

    case = a_case("i2p_mae", "svm_small")
    with pytest.raises(
        ValueError, match="i2p_mae was not trained with words; expected recon or mixcon3d"
    ):
        load_i2p(case).embed_words(case.tensor("points"))


def test_words_go_through_a_text_encoder():
    asked = []

    def encode(texts):
        asked.extend(texts)
        return torch.tensor([[len(text), 1.0] for text in texts])

    vocabulary = Vocabulary.of_words(["mug", "box"], encode)
    assert len(asked) == 120 and asked[:60] == prompts("mug")
    assert vocabulary.vectors[0].tolist() == [sum(map(len, prompts("mug"))), 60]
    alone = Vocabulary.of_words(["mug"], encode, name_alone)
    assert alone.vectors.tolist() == [[3, 1]]


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
    with pytest.raises(ValueError, match="first: concerto-ros download mixcon3d_words"):
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
