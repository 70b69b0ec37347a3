# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vectors of words: which source is asked, what is kept, and what is said where nothing knows."""

from __future__ import annotations

import logging
import multiprocessing

import pytest
import torch
from torch.nn.functional import normalize

from concerto_ros.words import word_vectors
from concerto_ros.words.vector_cache import VectorCache
from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary
from concerto_ros.words.word_vectors import WordVectors

CLIP = "open_clip:ViT-B-32/openai"
SCENE = "a {name} in a scene"


class Encoder:
    """A text encoder that counts letters, and notes what it is asked."""

    name, width = CLIP, 26

    def __init__(self):
        self.asked: list[str] = []

    def __call__(self, texts):
        self.asked += texts
        letters = [[text.count(chr(ord("a") + i)) for i in range(26)] for text in texts]
        return torch.tensor(letters, dtype=torch.float32)


@pytest.fixture
def encoder(monkeypatch):
    encoder = Encoder()
    monkeypatch.setattr(word_vectors, "load_text_encoder", lambda name: encoder)
    return encoder


@pytest.fixture
def cache(tmp_path):
    return VectorCache(tmp_path / "cache")


def a_table(*names: str, encoder: str = CLIP, template: str = SCENE, width: int = 26):
    vectors = torch.randn(len(names), width, generator=torch.Generator().manual_seed(1))
    return Vocabulary(names, vectors, encoder, template)


def test_words_become_unit_vectors_of_their_prompts(encoder, cache):
    words = WordVectors(CLIP, cache=cache).of(["Mug", "night_stand"])
    assert words.names == ("Mug", "night_stand")
    assert encoder.asked == ["a mug in a scene", "a night stand in a scene"]
    assert (words.encoder, words.template) == (CLIP, SCENE)
    expected = normalize(encoder(["a mug in a scene", "a night stand in a scene"]))
    torch.testing.assert_close(words.vectors, expected)


def test_the_vectors_of_synonyms_are_averaged_and_normalised(encoder, cache):
    source = WordVectors(CLIP, cache=cache)
    words = source.of(["sofa|couch|settee", "mug"])
    assert words.names == ("sofa", "mug")
    mean = source.of(["sofa", "couch", "settee"]).vectors.mean(0)
    torch.testing.assert_close(words.vectors[0], normalize(mean, dim=0))


def test_another_template_gives_other_vectors(encoder, cache):
    WordVectors(CLIP, template="a photo of a {name}.", cache=cache).of(["mug"])
    WordVectors(CLIP, cache=cache).of(["mug"])
    assert encoder.asked == ["a photo of a mug.", "a mug in a scene"]
    with pytest.raises(
        ValueError, match=r"template: got 'a photo', expected a text with \{name\}"
    ):
        WordVectors(CLIP, template="a photo")


def test_tables_are_asked_first_and_the_first_of_them_counts(encoder, cache):
    first, second = a_table("mug"), a_table("box", "mug")
    words = WordVectors(CLIP, [first, second], cache=cache).of(["box", "mug"])
    assert encoder.asked == []
    torch.testing.assert_close(
        words.vectors, normalize(torch.stack([second.vectors[0], first.vectors[0]]))
    )


def test_a_word_is_encoded_once_for_all_processes(encoder, cache):
    first = WordVectors(CLIP, cache=cache).of(["mug", "box"])
    again = WordVectors(CLIP, cache=VectorCache(cache.folder)).of(["box", "mug", "MUG|cup"])
    assert encoder.asked == ["a mug in a scene", "a box in a scene", "a cup in a scene"]
    torch.testing.assert_close(again.vectors[:2], first.vectors[[1, 0]])


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other word", "other width"])
def test_a_damaged_file_of_the_cache_is_written_again(encoder, cache, damage):
    expected = WordVectors(CLIP, cache=cache).of(["mug", "box"]).vectors
    for path in cache.folder.iterdir():
        if damage == "other word":
            Vocabulary(("cup",), torch.ones(1, 26), CLIP, SCENE).save(path)
        elif damage == "other width":
            names = read_vocabulary(path).names
            Vocabulary(names, torch.ones(1, 3), CLIP, SCENE).save(path)
        else:
            content = {"cut": path.read_bytes()[:-7], "empty": b"", "text": b"mug " * 100}
            path.write_bytes(content[damage])
    source = WordVectors(CLIP, [a_table("table")], cache=cache)
    torch.testing.assert_close(source.of(["mug", "box"]).vectors, expected)
    assert len(encoder.asked) == 4
    WordVectors(CLIP, cache=cache).of(["mug", "box"])
    assert len(encoder.asked) == 4


def test_a_folder_that_cannot_be_written_is_said_once(encoder, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    caplog.set_level(logging.WARNING)
    WordVectors(CLIP, cache=VectorCache(tmp_path / "file" / "cache")).of(["mug", "box"])
    assert len(caplog.records) == 1 and "vectors of words are not kept" in caplog.text


def _put(folder: str, start, value: float) -> None:
    cache = VectorCache(folder)
    start.wait()
    for word in "abcdefgh" * 4:
        cache.put(CLIP, SCENE, word, torch.full((8,), value))


def test_two_processes_may_fill_one_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    writers = [
        context.Process(target=_put, args=(str(tmp_path), start, value)) for value in (1.0, 2.0)
    ]
    for writer in writers:
        writer.start()
    start.set()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    cache = VectorCache(tmp_path)
    found = [cache.get(CLIP, SCENE, word) for word in "abcdefgh"]
    assert all(set(vector.tolist()) in ({1.0}, {2.0}) for vector in found)
    assert len(list(tmp_path.iterdir())) == 8


def test_the_cache_lies_in_the_cache_folder_of_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert VectorCache().folder == tmp_path / "concerto_ros" / "words"


def test_without_the_encoder_the_message_says_what_lacks_and_what_to_do(monkeypatch, cache):
    def load(name):
        raise ImportError(f"the text encoder {name} is not installed; run: pip install abc")

    monkeypatch.setattr(word_vectors, "load_text_encoder", load)
    source = WordVectors(CLIP, [a_table("mug", "box")], cache=cache)
    assert source.of(["mug"]).names == ("mug",)
    with pytest.raises(
        ValueError, match="word 'kettle' and 1 more: not among the 2 of the tables"
    ) as e:
        source.of(["mug", "kettle", "pot"])
    assert "pip install abc" in str(e.value)
    assert f"concerto-ros words encode 'kettle' --encoder {CLIP} -o" in str(e.value)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([a_table("mug", encoder="minilm")], "is of the text encoder 'minilm' with the template"),
        ([a_table("mug", template="{name}")], "with the template '{name}', expected 'open_clip"),
        ([a_table("mug"), a_table("box", width=4)], "have 4 and 26 channels, expected one width"),
    ],
)
def test_tables_of_another_encoder_are_refused(tables, message, cache):
    with pytest.raises(ValueError, match=message):
        WordVectors(CLIP, tables, cache=cache)


def test_a_table_that_does_not_say_its_encoder_has_to_have_its_width(encoder, cache):
    source = WordVectors(CLIP, [a_table("mug", encoder="", template="", width=4)], cache=cache)
    assert source.of(["mug"]).width == 4
    with pytest.raises(ValueError, match="have 4 channels, expected 26: they are not of the text"):
        source.of(["box"])


def test_it_has_to_have_the_width_of_the_shipped_table_too(cache):
    table = a_table("mug", encoder="", template="", width=4)
    with pytest.raises(ValueError, match="of minilm have 384 and 4 channels, expected one width"):
        WordVectors("minilm", [table], cache=cache)


def test_an_unknown_encoder_is_refused(cache):
    with pytest.raises(ValueError, match="text encoder: got 'word2vec', expected one whose name"):
        WordVectors("word2vec", cache=cache)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 0.0])
def test_a_vector_that_is_not_finite_is_refused_and_not_kept(monkeypatch, cache, value):
    monkeypatch.setattr(
        word_vectors, "load_text_encoder", lambda name: lambda texts: torch.full((1, 4), value)
    )
    with pytest.raises(ValueError, match="word 'mug': its vector by .* is zero or not finite"):
        WordVectors(CLIP, cache=cache).of(["mug"])
    assert not cache.folder.exists()
