# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Loading and keeping models by the calls of the Concerto package; what they refuse."""

from __future__ import annotations

import copy
import pickle

import huggingface_hub
import numpy as np
import paths
import pytest
import torch
from official_config import SMALL

from concerto_ros.compat import concerto
from concerto_ros.compat.concerto.model import PointTransformerV3
from concerto_ros.compat.concerto.structure import Point
from concerto_ros.ptv3.checkpoint import randomise

GOLDEN = paths.GOLDEN / "ptv3"


def small_model() -> PointTransformerV3:
    model = PointTransformerV3(**SMALL)
    randomise(model, seed=3)
    return model.eval()


def small_cloud(rows: int = 60) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    flat = torch.randperm(1000, generator=generator)[:rows]
    grid_coord = torch.stack([flat // 100, flat // 10 % 10, flat % 10], 1)
    feat = torch.rand(rows, 9, generator=generator)
    return {"coord": grid_coord * 0.02, "grid_coord": grid_coord, "feat": feat}


@pytest.fixture
def written(tmp_path):
    model = small_model()
    path = tmp_path / "own.pth"
    torch.save({"config": SMALL, "state_dict": model.state_dict()}, path)
    return path


def test_fields_of_a_custom_config_replace_those_of_the_file(written):
    custom = dict(enc_patch_size=[8, 8], enable_flash=False)
    model = concerto.load(str(written), repo_id="Pointcept/Concerto", custom_config=custom)
    assert model.config.enc_patch_size == (8, 8)
    content = concerto.load(written, custom_config=custom, ckpt_only=True)
    assert content["config"] == {**SMALL, **custom}
    with pytest.raises(ValueError, match="patch_size_of_all=3 is not known"):
        concerto.load(written, custom_config={"patch_size_of_all": 3})


def test_the_bundled_model_has_the_name_demo():
    model = concerto.load("demo")
    assert model.config.in_channels == 9 and model.licence == "Apache-2.0"


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="concerto_huge.*concerto_large"):
        concerto.load("concerto_huge", repo_id="Pointcept/Concerto")


def test_names_come_from_the_repository_and_folder_that_are_named(monkeypatch, written, tmp_path):
    asked = []

    def fetch(repository, file, *, local_files_only=False, local_dir=None):
        asked.append((repository, file, local_dir))
        return str(written)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    concerto.load("concerto_small", repo_id="somebody/fork")
    concerto.load("concerto_small", download_root=tmp_path / "here")
    assert asked == [
        ("somebody/fork", "concerto_small.pth", None),
        ("Pointcept/Concerto", "concerto_small.pth", str(tmp_path / "here")),
    ]


def test_without_a_network_the_error_says_where_to_put_the_file(monkeypatch, tmp_path):
    def unreachable(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    with pytest.raises(ValueError, match=f"put it at {tmp_path}/concerto_large.pth"):
        concerto.load("concerto_large", download_root=tmp_path)
    with pytest.raises(ValueError, match="sample1.npz of huggingface.co/datasets/pointcept/demo"):
        concerto.data.load("sample1")


def test_the_mask_token_of_the_pre_training_is_kept():
    state = torch.load(GOLDEN / "tiny_cloud" / "encoder.pth", weights_only=True)["state_dict"]
    model = concerto.load(GOLDEN / "tiny_cloud" / "encoder.pth")
    assert set(model.state_dict()) == set(state)


def test_a_model_is_the_same_after_it_is_saved_and_loaded(tmp_path):
    model, cloud = small_model(), small_cloud()
    model.save_pretrained(tmp_path / "kept")
    again = PointTransformerV3.from_pretrained(tmp_path / "kept")
    assert {path.name for path in (tmp_path / "kept").iterdir()} >= {
        "config.json",
        "model.safetensors",
    }
    assert again.config == model.config and not again.training
    with torch.inference_mode():
        assert torch.equal(again(cloud).feat, model(cloud).feat)
    changed = PointTransformerV3.from_pretrained(tmp_path / "kept", enc_patch_size=[8, 8])
    assert changed.config.enc_patch_size == (8, 8)


def test_saved_weights_that_do_not_fit_or_are_not_finite_are_refused(tmp_path):
    model = small_model()
    with torch.no_grad():
        model.embedding["stem"]["linear"].weight[0, 0] = torch.nan
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="not finite"):
        PointTransformerV3.from_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="enc1.block1"):
        PointTransformerV3.from_pretrained(tmp_path, enc_depths=[1, 2])


def test_gradients_reach_the_weights():
    model = small_model()
    model(small_cloud()).feat.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@torch.inference_mode()
def test_batch_offset_and_grid_are_derived_where_they_are_missing():
    model, cloud = small_model(), small_cloud()
    expected = model({**cloud, "offset": torch.tensor([60])}).feat
    assert torch.equal(model(cloud).feat, expected)
    assert torch.equal(model({**cloud, "batch": torch.zeros(60, dtype=torch.long)}).feat, expected)
    from_size = {name: cloud[name] for name in ("coord", "feat")}
    from_size["coord"] = cloud["coord"] + 0.005
    point = model({**from_size, "grid_size": 0.02})
    assert torch.equal(
        point.pooling_parent.grid_coord, cloud["grid_coord"] - cloud["grid_coord"].amin(0)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feat": None}, "feat: got NoneType"),
        ({"coord": np.zeros((60, 3))}, "coord: got ndarray"),
        ({"mask": torch.ones(60, dtype=torch.bool)}, "mask: got one, expected none"),
        ({"feat": torch.zeros(60, 6)}, r"feat has shape \(60, 6\), expected \(60, 9\)"),
    ],
)
def test_a_cloud_that_cannot_be_encoded_is_refused_by_the_entry(change, message):
    with pytest.raises(ValueError, match=message):
        small_model()({**small_cloud(), **change})
    without = {name: value for name, value in small_cloud().items() if name != "grid_coord"}
    with pytest.raises(ValueError, match="grid_coord: got none and no grid_size"):
        small_model()(without)


def test_a_point_is_a_dict_with_attributes():
    point = Point(coord=torch.zeros(5, 3), batch=torch.tensor([0, 0, 1, 1, 1]))
    assert point.offset.tolist() == [2, 5]
    assert Point(offset=torch.tensor([2, 5])).batch.tolist() == [0, 0, 1, 1, 1]
    point.feat = torch.ones(5, 1)
    assert set(point) == {"coord", "batch", "offset", "feat"}
    del point.feat
    with pytest.raises(AttributeError, match="no 'feat'; it has 'coord'"):
        _ = point.feat
    for other in (copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert isinstance(other, Point) and torch.equal(other.batch, point.batch)


def test_offsets_and_batches_say_the_same():
    utils, sizes = concerto.utils, torch.tensor([3, 1, 4])
    offset = utils.bincount2offset(sizes)
    assert utils.offset2bincount(offset).tolist() == [3, 1, 4]
    assert utils.batch2offset(utils.offset2batch(offset)).tolist() == offset.tolist()


def test_a_seed_repeats_all_random_numbers():
    import random

    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    concerto.utils.set_seed(11)
    first = draw()
    concerto.utils.set_seed(11)
    assert draw() == first
    concerto.utils.set_seed()
    assert draw() != first
    with pytest.raises(ValueError, match="seed is -1"):
        concerto.utils.set_seed(-1)
