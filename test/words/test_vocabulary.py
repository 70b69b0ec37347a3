# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vocabularies: their files, their prompts, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import paths
import pytest
import torch

from concerto_ros.files.safetensors_file import write_tensors
from concerto_ros.words.prompts import name_alone, prompts
from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary

GOLDEN = paths.GOLDEN / "objects"
NAMES = ("mug", "night_stand", "bottle")
VECTORS = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))


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
