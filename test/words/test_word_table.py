# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of words: written by the command, read by a robot, and the one that is shipped."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from paths import REPOSITORY

from concerto_ros.cli import main
from concerto_ros.files.safetensors_file import write_tensors
from concerto_ros.files.shared_files import asset_path
from concerto_ros.words import word_vectors
from concerto_ros.words.table import make_table, read_word_list
from concerto_ros.words.text_encoder import load_text_encoder
from concerto_ros.words.vector_cache import VectorCache
from concerto_ros.words.vocabulary import Vocabulary, read_vocabulary
from concerto_ros.words.word_vectors import SHIPPED, WordVectors

#: Of a component of a unit vector in half precision: half a step below 1.
HALF = 2.0**-12


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder("minilm")


@pytest.fixture
def no_encoder(monkeypatch):
    """A robot without the extra."""

    def load(name):
        raise ImportError("it is not installed")

    monkeypatch.setattr(word_vectors, "load_text_encoder", load)


@pytest.fixture
def encoder(minilm, monkeypatch):
    """The command need not load it again."""
    monkeypatch.setattr("concerto_ros.words.text_encoder.load_text_encoder", lambda name: minilm)
    return minilm


@pytest.mark.usefixtures("no_encoder")
def test_a_robot_without_the_encoder_knows_every_word_of_a_table(tmp_path, encoder, capsys):
    (tmp_path / "list.txt").write_text(
        "# seats\nsofa|chaise longue\n\nOffice_Chair  # with wheels\n"
    )
    table = tmp_path / "made" / "words.safetensors"
    arguments = ["zebra finch", "--file", str(tmp_path / "list.txt"), "-o", str(table)]
    assert main(["words", "encode", *arguments]) == 0
    assert capsys.readouterr().out == f"wrote {table}: 4 words of 384 channels\n"
    read = read_vocabulary(table)
    assert read.names == ("zebra finch", "sofa", "chaise longue", "office chair")
    assert (read.encoder, read.template) == ("minilm", "{name}")
    robot = WordVectors("minilm", [read], cache=VectorCache(tmp_path / "cache"))
    words = robot.of(["sofa|chaise longue", "office chair", "Zebra Finch"])
    torch.testing.assert_close(
        words.vectors[1:], encoder(["office chair", "zebra finch"]), rtol=0, atol=2 * HALF
    )
    with pytest.raises(ValueError, match="word 'okapi': not among"):
        robot.of(["okapi"])


def test_the_table_says_what_it_holds(tmp_path, capsys):
    path = tmp_path / "words.npz"
    Vocabulary(("mug", "box"), torch.ones(2, 3), "open_clip:A/b", "a {name}").save(path)
    assert main(["words", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert shown == (
        "text encoder  open_clip:A/b\ntemplate      a {name}\nchannels      3\nwords         2\n"
        "mug, box\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.npz"], "NAME: got no word, expected at least one, or --file LIST"),
        (["", "-o", "a.npz"], "NAME[0]: got '', expected a text with letters"),
        (["w" * 1_000_000, "-o", "a.npz"], "NAME[0]: got 1000000 characters"),
        (["mug", "-o", "words.txt"], "words.txt ends in '.txt', expected .npz or .safetensors"),
        (["mug", "-o", "a.npz", "--encoder", "bert"], "text encoder: got 'bert', expected one of"),
        (["mug", "-o", "a.npz", "--file", "none.txt"], "none.txt: the file or folder does not"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert main(["words", "encode", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_template_is_refused(tmp_path, encoder, capsys):
    path = tmp_path / "a.npz"
    assert main(["words", "encode", "mug", "--template", "a thing", "-o", str(path)]) == 1
    assert "template: got 'a thing', expected a text with {name} once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# nothing\n\n", "got no word, expected one per line"),
        (b"mug\n" + b"w" * 300 + b"\n", r"line 2\[0\]: got 300 characters"),
        (b"sofa||couch", r"line 1\[0\]: got '', expected a text with letters"),
        (b"\xff\xfe\x00mug", "expected a list of words, but it is no text in UTF-8"),
        (b"w" * (1 << 20) + b"w", "got 1048577 bytes, expected a list of words of at most"),
    ],
    ids=["no word", "long word", "empty synonym", "no text", "large file"],
)
def test_a_wrong_list_is_refused_with_its_line(tmp_path, content, message):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(ValueError, match=f"list.txt: {message}"):
        read_word_list(tmp_path / "list.txt")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("half", [True, False])
def test_a_table_reads_as_it_was_saved(tmp_path, suffix, half):
    vectors = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    table = Vocabulary(("mug", "Löwe"), vectors, "minilm", "{name}")
    table.save(tmp_path / f"a{suffix}", half=half)
    read = read_vocabulary(tmp_path / f"a{suffix}")
    assert (read.names, read.encoder, read.template) == (table.names, "minilm", "{name}")
    assert read.vectors.dtype == torch.float32
    torch.testing.assert_close(read.vectors, vectors.half().float() if half else vectors)


def test_a_table_that_half_precision_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="vectors of mug are zero or not finite"):
        Vocabulary(("mug",), torch.full((1, 4), 1e6)).save(tmp_path / "a.npz", half=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "vectors", "message"),
    [
        ('["mug"]', torch.tensor([[1.0, torch.nan]]), "vectors of mug are zero or not finite"),
        ('["mug", "box"]', torch.ones(1, 2), r"shape \(1, 2\), expected one vector for each of"),
        ('{"mug": 1}', torch.ones(1, 2), "cannot be read as text embeddings"),
        ("mug", torch.ones(1, 2), "cannot be read as text embeddings"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, names, vectors, message):
    path = tmp_path / "words.safetensors"
    write_tensors(path, {"vectors": vectors}, {"names": names, "encoder": "minilm"})
    with pytest.raises(ValueError, match=message):
        read_vocabulary(path)


@pytest.fixture(scope="module")
def shipped():
    return read_vocabulary(asset_path(SHIPPED))


def test_the_shipped_table_is_that_of_the_lists(minilm, shipped):
    tool = REPOSITORY / "tools" / "word_table.py"
    spec = importlib.util.spec_from_file_location("word_table", tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert list(shipped.names) == module.texts(), "run: make words"
    some = list(shipped.names[::9])
    fresh = make_table(some, minilm)
    assert (shipped.encoder, shipped.template) == (fresh.encoder, fresh.template)
    torch.testing.assert_close(shipped.of(some).vectors, fresh.vectors, rtol=0, atol=HALF)


@pytest.mark.usefixtures("no_encoder")
def test_the_shipped_table_needs_no_encoder(tmp_path, shipped):
    assert len(shipped.names) >= 560 and asset_path(SHIPPED).stat().st_size < 1_000_000
    source = WordVectors("minilm", cache=VectorCache(tmp_path))
    words = source.of(["Office Chair", "sofa|couch", "fire extinguisher"])
    assert words.width == 384 and not list(tmp_path.iterdir())
    torch.testing.assert_close(words.vectors.norm(dim=1), torch.ones(3))
