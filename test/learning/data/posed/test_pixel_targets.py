# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vectors of pixels become targets of voxels: from files of any 2D model, or from CLIP itself."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.posed.dense_clip import ENLARGED, DenseClip
from concerto_ros.learning.data.posed.pixel_features import FolderFeatures, vectors_at
from concerto_ros.learning.data.posed.point_map import PointMap
from concerto_ros.learning.data.posed.targets import voxel_targets

SIZE = (4, 6)  # rows and columns of the images


def unit(*values):
    return np.array(values) / np.linalg.norm(values)


def a_map(folder, pixels):
    """A map of images whose pixels see points: (x, y, point) of each frame."""
    (folder / "correspondence").mkdir(parents=True)
    for frame, rows in pixels.items():
        np.save(folder / "correspondence" / f"{frame}.npy", np.array(rows, np.int32))
    return PointMap("room", folder, tuple(pixels), (SIZE,) * len(pixels), Counter())


def save(root, **images):
    for frame, image in images.items():
        (root / "room").mkdir(parents=True, exist_ok=True)
        np.save(root / "room" / f"{frame}.npy", image)
    return root


def no_image(name):
    pytest.fail("files need no image")


def test_a_voxel_is_the_mean_of_its_points_and_a_point_that_of_unit_vectors(tmp_path):
    found = a_map(
        tmp_path / "map",
        {"a": [(0, 0, 0), (1, 0, 1), (2, 0, 3)], "b": [(0, 0, 0), (5, 3, 4)], "c": [(0, 0, 2)]},
    )
    a = np.ones((*SIZE, 2), np.float32)
    a[0, 0], a[0, 1], a[0, 2] = (10, 0), (0, 3), (1, 1)
    b = np.ones((*SIZE, 2), np.float16)
    b[0, 0], b[3, 5] = (0, 0.5), (np.nan, 1)
    features = FolderFeatures(save(tmp_path / "features", a=a, b=b), alone=False)
    # points 0 and 1 in voxel 2, 3 alone in voxel 0, 4 in voxel 1; 2 is seen by c only
    voxels = np.array([2, 2, 2, 0, 1])
    targets = voxel_targets(found, voxels, features, no_image, tmp_path / "cache")
    assert targets.without_features == 1  # c
    assert targets.rows.tolist() == [0, 2]  # the vector of point 4 is not finite
    np.testing.assert_allclose(targets.vectors[0], unit(1, 1), atol=1e-3)
    point0, point1 = (unit(1, 0) + unit(0, 1)) / 2, unit(0, 1)
    np.testing.assert_allclose(targets.vectors[1], (point0 + point1) / 2, atol=1e-3)

    again = voxel_targets(found, voxels, features, no_image, tmp_path / "cache")
    assert torch.equal(again.vectors, targets.vectors) and again.without_features == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1
    save(tmp_path / "features", c=np.ones((*SIZE, 2), np.float32))
    more = voxel_targets(found, voxels, features, no_image, tmp_path / "cache")
    assert more.without_features == 0 and not torch.equal(more.vectors[1], targets.vectors[1])


def test_a_point_that_lies_alone_below_the_floor_has_no_target(tmp_path):
    found = a_map(tmp_path / "map", {"a": [(0, 0, 0), (1, 0, 1)]})
    features = FolderFeatures(save(tmp_path / "f", a=np.ones((*SIZE, 3), np.float32)), False)
    targets = voxel_targets(found, np.array([0, -1]), features, no_image, tmp_path / "cache")
    assert targets.rows.tolist() == [0]


def test_pixels_are_looked_up_between_the_cells_of_a_smaller_feature_image():
    pixels = np.array([[0, 0], [5, 3], [2, 0], [3, 0]])
    features = torch.zeros(2, 3, 2)  # a cell is 2 x 2 pixels
    features[0, 0, 0] = features[0, 1, 1] = features[1, 2, 0] = 1
    found = vectors_at(features, pixels, SIZE)
    np.testing.assert_allclose(found[:2], [unit(1, 0), unit(1, 0)], atol=1e-6)
    # the middle of pixel 2 is a quarter of a cell before that of cell 1, pixel 3 as much behind
    np.testing.assert_allclose(found[2], unit(0.25, 0.75), atol=1e-6)
    np.testing.assert_allclose(found[3], unit(0, 1), atol=1e-6)
    whole = torch.randn(*SIZE, 5, generator=torch.Generator().manual_seed(0))
    exact = vectors_at(whole, pixels, SIZE)
    np.testing.assert_allclose(exact[2], unit(*whole[0, 2].tolist()), atol=1e-6)
    assert vectors_at(whole, pixels[:0], SIZE).shape == (0, 5)


def test_missing_cells_count_for_nothing_beside_others_and_are_no_vector_alone():
    features = torch.ones(1, 3, 2)
    features[0, 0] = torch.tensor([torch.nan, 1])
    features[0, 2] = 0
    found = vectors_at(features, np.array([[0, 0], [2, 0], [5, 0]]), SIZE)
    np.testing.assert_allclose(found, [[0, 0], unit(1, 1), [0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    "image, message",
    [
        (np.ones((3, 5)), r"b\.npy: float64 of shape \(3, 5\), expected floats of shape"),
        (np.ones((3, 5, 2), int), "b.npy: int64 of shape"),
        (np.ones((3, 5, 4)), r"b\.npy: 4 channels, expected 2 as in a\.npy"),
        (np.ones((2, 3, 5)), r"expected 2 as in a\.npy; it looks channels-first"),
    ],
)
def test_a_file_that_is_no_feature_image_of_the_others_width_is_named(tmp_path, image, message):
    features = FolderFeatures(save(tmp_path, a=np.ones((3, 5, 2)), b=image), alone=False)
    assert features.width == 2
    with pytest.raises(DataError, match=message):
        features.of("room", "b", no_image)


def test_where_feature_images_are(tmp_path):
    with pytest.raises(DataError, match="no feature images found, expected <scene>/<frame>.npy"):
        FolderFeatures(tmp_path / "nothing", alone=True)
    np.save(tmp_path / "a.npy", np.ones((2, 2, 3)))
    assert FolderFeatures(tmp_path, alone=True).identity("room", "a")
    assert not FolderFeatures(tmp_path, alone=False).identity("room", "a")


class Block(nn.Module):
    """A block as open_clip's: attention and a perceptron, both added."""

    def __init__(self, width):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Linear(width, width)

    def forward(self, x, attn_mask=None):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=attn_mask)[0]
        return x + self.mlp(self.ln_2(x))


def stand_in(image_size=8, patch=4, width=16, blocks=2):
    """An image tower with the parts of open_clip's vision transformer."""
    torch.manual_seed(0)
    visual = nn.Module()
    visual.image_size, visual.patch_size = (image_size, image_size), (patch, patch)
    visual.image_mean, visual.image_std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    visual.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
    visual.class_embedding = nn.Parameter(torch.randn(width))
    visual.positional_embedding = nn.Parameter(torch.randn((image_size // patch) ** 2 + 1, width))
    visual.ln_pre, visual.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
    visual.transformer = nn.Module()
    visual.transformer.resblocks = nn.ModuleList(Block(width) for _ in range(blocks))
    visual.proj = nn.Parameter(torch.randn(width, 5))
    visual.attn_pool = None
    return SimpleNamespace(visual=visual.eval())


NAME = "open_clip:ViT-tiny/none"


def test_dense_clip_takes_the_value_path_of_the_last_block():
    model = stand_in(blocks=1)
    visual, block = model.visual, model.visual.transformer.resblocks[0]
    clip = DenseClip(NAME, model)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    found = clip.of("room", "a", lambda: image)
    assert clip.width == 5 and found.shape == (8 * ENLARGED // 4, 8 * ENLARGED // 4, 5)

    # MaskCLIP's formula, by the weights: values and output projection alone
    with torch.no_grad():
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        tokens = visual.conv1((pixels - 0.5) / 0.25).flatten(2).transpose(1, 2)
        grid = visual.positional_embedding[1:].T.reshape(1, -1, 2, 2)
        places = nn.functional.interpolate(grid, (4, 4), mode="bicubic").flatten(2)
        x = visual.ln_pre(tokens + places.transpose(1, 2))
        weight, bias = block.attn.in_proj_weight[32:], block.attn.in_proj_bias[32:]
        x = x + block.attn.out_proj(nn.functional.linear(block.ln_1(x), weight, bias))
        x = x + block.mlp(block.ln_2(x))
        expected = (visual.ln_post(x) @ visual.proj).reshape(4, 4, 5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_dense_clip_keeps_the_shape_of_an_image_and_the_place_of_what_it_shows():
    clip = DenseClip(NAME, stand_in())
    image = np.zeros((30, 60, 3), np.uint8)
    plain = clip.of("room", "a", lambda: image)
    assert plain.shape == (4, 8, 5)
    image[15:, 45:] = 255
    change = (clip.of("room", "a", lambda: image) - plain).norm(dim=2)
    assert change[2:, 6:].min() > 2 * change[:2, :6].max()


def test_other_2d_models_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match="2D model: got 'dinov2', expected open_clip:MODEL/"):
        DenseClip("dinov2")
    resnet = SimpleNamespace(visual=nn.Conv2d(3, 4, 2))
    with pytest.raises(ValueError, match="RN50 is no plain vision transformer, .* save feature"):
        DenseClip("open_clip:RN50/openai", resnet)
