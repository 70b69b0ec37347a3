# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What guides I2P-MAE: depth images, what an image model says of them, what stays visible."""

from __future__ import annotations

import json

import numpy as np
import paths
import pytest
import torch
from shape_folders import write_shapenet55
from small_objects import clouds

from concerto_ros.learning.images.image_models import (
    load_image_model,
    oriented_gradients,
)
from concerto_ros.learning.objects.data.shapenet55 import ShapeNet55
from concerto_ros.learning.objects.pretraining.i2p_mae.guides import (
    FileGuide,
    ImageGuide,
    write_feature_files,
)
from concerto_ros.learning.objects.pretraining.i2p_mae.masking import draw_order, visible_groups
from concerto_ros.learning.objects.pretraining.i2p_mae.network import centre_saliency
from concerto_ros.learning.objects.pretraining.i2p_mae.projection import (
    MEAN,
    SIDE,
    depth_images,
    pixels_of,
    read_maps,
)
from concerto_ros.objects.encoders.i2p_mae.network import (
    Geometry,
    Grouping,
    HierarchicalEncoder,
    Widths,
    attend_among_visible,
    attend_with_mask,
    hide,
)
from concerto_ros.objects.encoders.shared.preprocess import unit_sphere
from concerto_ros.verification.cases import verify
from concerto_ros.verification.generated_weights import recipe_state


def test_one_step_of_the_pre_training_agrees_with_the_reference():
    results = list(verify(paths.GOLDEN / "objects_training" / "i2p_mae"))
    assert {result.case for result in results} == {"pretrain_small", "pretrain_schedule"}
    assert len(results) > 50
    assert [result for result in results if not result.passed] == []


def test_pixels_do_not_depend_on_the_place_and_the_size_of_a_cloud():
    points = torch.from_numpy(clouds(2, 200)).double()
    moved = (4.0 * points + torch.tensor([8.0, -16.0, 32.0])).float()
    same = (pixels_of(points.float()) == pixels_of(moved)).float().mean()
    assert same > 0.99  # a few lie on the border of two cells


def test_the_longer_side_of_a_cloud_fills_the_image_and_the_shorter_is_in_its_middle():
    points = torch.rand(1, 500, 3, generator=torch.Generator().manual_seed(0))
    points = torch.cat([points, torch.tensor([[[0.0, 0, 0], [1.0, 1, 1]]])], 1)
    rows, columns = pixels_of(points * torch.tensor([1.0, 0.25, 1.0]))[0, 0].unbind(-1)
    assert rows.min() <= 1 and rows.max() >= SIDE - 3
    assert columns.min() + columns.max() in (SIDE - 2, SIDE - 1, SIDE)
    assert 50 <= columns.max() - columns.min() <= 60


def test_a_point_paints_its_depth_around_its_pixel_and_depths_add_up():
    points = torch.tensor([[[-1.0, -1.0, 0.3], [1.0, 1.0, -0.7], [0.0, 0.0, 0.2], [0, 0, 0.4]]])
    pixels = pixels_of(points)
    images = depth_images(points, pixels)
    grey = images[0, 0, 0] * 0.229 + MEAN[0]
    row, column = pixels[0, 0, 2].tolist()
    expected = torch.full((SIDE, SIDE), 0.5)
    expected[row - 2 : row + 3, column - 2 : column + 3] = torch.tensor(0.6).sigmoid()
    inner = slice(10, SIDE - 10)
    torch.testing.assert_close(grey[inner, inner], expected[inner, inner])


def test_points_in_one_place_give_an_image_and_no_fault():
    points = torch.ones(1, 8, 3)
    assert depth_images(points, pixels_of(points)).isfinite().all()


def test_maps_are_read_as_bicubic_enlargement_reads_them():
    maps = torch.rand(2, 5, 14, 10, generator=torch.Generator().manual_seed(1))
    pixels = torch.randint(SIDE, (2, 40, 2), generator=torch.Generator().manual_seed(2))
    whole = torch.nn.functional.interpolate(maps, size=(SIDE, SIDE), mode="bicubic")
    expected = torch.stack(
        [one[:, place[:, 0], place[:, 1]].T for one, place in zip(whole, pixels, strict=True)]
    )
    torch.testing.assert_close(read_maps(maps, pixels), expected, atol=1e-5, rtol=1e-5)


def test_salient_groups_stay_visible_and_the_share_is_kept():
    saliency = torch.zeros(3, 20)
    saliency[:, [4, 7, 11]] = 500.0
    order = draw_order(saliency, torch.Generator().manual_seed(0))
    assert (order.sort(1).values == torch.arange(20)).all()
    visible = visible_groups(order, 0.8)
    assert (visible.sum(1) == 20 - 16).all() and visible[:, [4, 7, 11]].all()


@pytest.mark.parametrize("ratio", [0.0, 0.04, 1.0])
def test_a_mask_that_hides_all_groups_or_none_is_refused(ratio):
    with pytest.raises(ValueError, match="mask_ratio is .* of 20 groups"):
        visible_groups(torch.arange(20).unsqueeze(0), ratio)


def test_attention_among_visible_tokens_equals_attention_with_a_mask():
    torch.manual_seed(0)
    encoder = HierarchicalEncoder(
        Widths((12, 12), (2, 1), 2), Grouping((20, 8), (4, 3), (0.0, 0.0)), level_norms=True
    )
    levels = hide(encoder.geometry(torch.rand(3, 40, 3)), torch.rand(3, 8) > 0.5)
    for geometry, radius in ((levels[0], 0.0), (levels[0], 0.6), (levels[1], 0.0)):
        shape = (*geometry.rows.shape, 12)
        given = (encoder.encoder_blocks[0]["blocks"], torch.rand(shape), torch.rand(shape))
        packed = attend_among_visible(*given, geometry, radius)
        masked = attend_with_mask(*given, geometry, radius)
        seen = geometry.visible
        torch.testing.assert_close(packed[seen], masked[seen])
        assert (packed[~seen] == given[1][~seen]).all()


def test_hidden_groups_hide_what_is_only_in_them():
    members = torch.tensor([[[0, 1], [2, 3]]])
    top = Geometry(torch.tensor([[0, 1]]), torch.zeros(1, 2, 3), members, None)
    low = Geometry(torch.arange(4).unsqueeze(0), torch.zeros(1, 4, 3), members, None)
    found = hide([low, top], torch.tensor([[False, True]]))
    # The first token of the first cloud is visible as well, as published.
    assert found[0].visible.tolist() == [[True, False, True, True]]


@pytest.fixture
def shapes(tmp_path) -> ShapeNet55:
    write_shapenet55(tmp_path / "shapes", points=200, pictures=False)
    return ShapeNet55(tmp_path / "shapes", ("test",))


def test_files_say_the_same_as_the_image_model_that_wrote_them(tmp_path, shapes):
    model = load_image_model("hog")
    write_feature_files(shapes, model, tmp_path / "features", points=200)
    guide = FileGuide(tmp_path / "features", shapes)
    drawn = shapes.sample([2], 200, torch.Generator().manual_seed(2))
    points = unit_sphere(drawn)
    stretched = points * torch.tensor([1.4, 0.7, 1.0])  # files are of the shape as it is stored
    found, expected = (
        guide.guide([2], drawn, stretched),
        ImageGuide(model).guide([2], drawn, points),
    )
    assert guide.channels == model.channels == found.features.shape[2]
    # Of another size, a point may lie just beyond the border of its cell.
    assert (found.pixels == expected.pixels).float().mean() > 0.99
    assert (found.features - expected.features).abs().mean() < 2e-3
    assert (found.saliency - expected.saliency).abs().mean() < 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.pop("saliency"), "saliency"),
        (lambda one: one.update(features=one["features"][:2]), "'features' has shape"),
        (lambda one: one.update(saliency=one["saliency"][:, :3]), "'saliency' has shape"),
        (lambda one: one["features"].fill(np.nan), "'features' is not finite"),
    ],
)
def test_a_file_of_features_that_is_wrong_is_refused_by_name(tmp_path, shapes, change, message):
    write_feature_files(shapes, load_image_model("hog"), tmp_path / "features", points=50)
    path = tmp_path / "features" / f"{shapes.ids[0]}.npz"
    content = dict(np.load(path))
    change(content)
    np.savez(path, **content)
    with pytest.raises(ValueError, match=rf"{path.name}.*{message}"):
        FileGuide(tmp_path / "features", shapes)


def test_a_shape_without_a_file_of_features_is_refused_by_name(tmp_path, shapes):
    write_feature_files(shapes, load_image_model("hog"), tmp_path / "features", points=50)
    (tmp_path / "features" / f"{shapes.ids[3]}.npz").unlink()
    with pytest.raises(ValueError, match=rf"{shapes.ids[3]}.npz is missing.* 1 have none"):
        FileGuide(tmp_path / "features", shapes)


def test_edges_are_described_by_their_direction_and_are_salient():
    image = torch.zeros(1, 3, 64, 64)
    image[..., 40:] = 1.0
    features, saliency = oriented_gradients(image)
    assert features.shape == (1, 9, 4, 4) and saliency.sum() == pytest.approx(1.0, abs=1e-5)
    assert saliency[0].argmax() % 4 == 2 and features[0, :, 0, 2].argmax() == 0
    turned, _ = oriented_gradients(image.transpose(2, 3))
    assert turned[0, :, 2, 0].argmax() in (4, 5)  # 90 of 180 degrees in nine bins


def test_a_file_of_clip_is_an_image_model(tmp_path):
    folder = paths.GOLDEN / "objects" / "recon"
    shapes = json.loads((folder / "clip_teacher_small_keys.json").read_text())
    state = recipe_state(shapes, 14)
    state["visual.positional_embedding"] = torch.randn(1 + 28 * 28, 128)  # patches of 8 pixels
    torch.save(state, tmp_path / "clip.pt")
    model = load_image_model(f"clip:{tmp_path / 'clip.pt'}")
    features, saliency = model(torch.randn(1, 2, 3, SIDE, SIDE))
    assert features.shape == (1, 2, 32, 28, 28) == (1, 2, model.channels, 28, 28)
    assert saliency.shape == (1, 2, 28, 28)
    assert ((saliency > 0) & (saliency < 1)).all() and (saliency.sum((2, 3)) < 1).all()


def test_a_vision_transformer_of_the_transformers_library_is_an_image_model(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=2, patch_size=32, image_size=SIDE
    )
    torch.manual_seed(0)
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dino")
    model = load_image_model(f"transformers:{tmp_path / 'dino'}")
    features, saliency = model(torch.randn(2, 3, SIDE, SIDE))
    assert features.shape == (2, 12, 7, 7) and model.channels == 12
    assert ((saliency > 0) & (saliency < 1)).all() and (saliency.sum((1, 2)) < 1).all()


def test_a_vision_transformer_without_a_class_token_is_refused(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.SiglipVisionConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        patch_size=112, image_size=SIDE,
    )  # fmt: skip
    transformers.SiglipVisionModel(config).save_pretrained(tmp_path / "siglip")
    model = load_image_model(f"transformers:{tmp_path / 'siglip'}")
    with pytest.raises(ValueError, match="siglip: 4 tokens of 4 patches, expected .* class token"):
        model(torch.randn(1, 3, SIDE, SIDE))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dino", "the image model is 'dino', expected clip:FILE"),
        ("transformers:nowhere", "nowhere has no config.json"),
        ("clip:nowhere.pt", "'nowhere.pt' is not a file"),
    ],
)
def test_an_image_model_that_is_unknown_or_missing_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        load_image_model(name)


def test_saliency_of_a_centre_is_the_mean_over_the_views():
    drawn = torch.from_numpy(clouds(2, 60))
    guidance = ImageGuide(load_image_model("hog")).guide([0, 1], drawn, drawn)
    rows = torch.tensor([[3, 8], [5, 1]])
    top = Geometry(rows, drawn[:, :2], rows.unsqueeze(-1), None)
    found = centre_saliency(guidance, top)
    each = [
        read_maps(guidance.saliency[view, :, None], guidance.pixels[view])[..., 0].gather(1, rows)
        for view in range(3)
    ]
    torch.testing.assert_close(found, torch.stack(each).mean(0))
