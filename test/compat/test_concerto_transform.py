# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From arrays to the model's tensors by the steps of the Concerto package; clouds from files."""

from __future__ import annotations

import json

import numpy as np
import paths
import pytest
import torch

from concerto_ros.compat import concerto
from concerto_ros.sensors.ply import write_labelled_ply

GOLDEN = paths.GOLDEN / "ptv3"


def cloud(count=400, seed=0):
    generator = np.random.default_rng(seed)
    normal = generator.normal(size=(count, 3))
    return {
        "coord": generator.uniform(-1, 1, (count, 3)).astype(np.float32),
        "color": generator.integers(0, 256, (count, 3), dtype=np.uint8),
        "normal": (normal / np.linalg.norm(normal, axis=1, keepdims=True)).astype(np.float32),
        "segment": np.arange(count),
    }


def steps(grid_size: float, hash_type: str = "fnv"):
    keys = ("coord", "grid_coord", "color", "inverse")
    return concerto.transform.Compose(
        [
            dict(type="CenterShift", apply_z=True),
            dict(
                type="GridSample",
                grid_size=grid_size,
                hash_type=hash_type,
                mode="train",
                return_grid_coord=True,
                return_inverse=True,
            ),
            dict(type="NormalizeColor"),
            dict(type="ToTensor"),
            dict(type="Collect", keys=keys, feat_keys=("coord", "color", "normal")),
        ]
    )


@pytest.mark.parametrize("name", ["batch_uneven", "decoder", "single_room", "tiny_cloud"])
def test_voxels_come_in_the_order_of_the_reference(name):
    arrays = dict(np.load(GOLDEN / name / "case.npz"))
    grid_size = json.loads((GOLDEN / name / "meta.json").read_text())["grid_size"]
    raw_start = start = 0
    for raw_end, end in zip(np.cumsum(arrays["raw_sizes"]), arrays["offset"], strict=True):
        raw = slice(raw_start, raw_end)
        point = steps(grid_size)(
            {key: arrays[f"raw_{key}"][raw] for key in ("coord", "color", "normal")}
        )
        np.testing.assert_array_equal(point["grid_coord"], arrays["grid_coord"][start:end])
        np.testing.assert_array_equal(point["inverse"], arrays["inverse"][raw])
        assert point["offset"].tolist() == [end - start]
        raw_start, start = raw_end, end


def fnv(voxel) -> int:
    """FNV-1a as its definition says, by whole numbers."""
    key = 14695981039346656037
    for index in voxel:
        key = (key * 1099511628211) % 2**64 ^ int(index)
    return key


@pytest.mark.parametrize("hash_type", ["fnv", "ravel"])
def test_a_voxel_keeps_one_of_its_points_by_numpys_random_numbers(hash_type):
    given = cloud()
    sample = concerto.transform.GridSample(0.4, hash_type, return_inverse=True)
    concerto.utils.set_seed(4)
    result = sample(given)

    lattice = np.floor(given["coord"].astype(float) / 0.4).astype(int)
    lattice -= lattice.min(axis=0)
    members: dict[tuple, list[int]] = {}
    for row, voxel in enumerate(lattice):
        members.setdefault(tuple(voxel), []).append(row)
    order = sorted(members, key=fnv if hash_type == "fnv" else None)
    largest = max(map(len, members.values()))
    concerto.utils.set_seed(4)
    drawn = np.random.randint(0, largest, len(order))
    chosen = [members[v][draw % len(members[v])] for v, draw in zip(order, drawn, strict=True)]
    assert 20 < len(chosen) < 400
    for name in ("coord", "color", "normal", "segment"):
        np.testing.assert_array_equal(result[name], given[name][chosen])
    np.testing.assert_array_equal(lattice[chosen][result["inverse"]], lattice)


def test_the_default_steps_give_what_the_indoor_models_take():
    given = cloud()
    before = {name: array.copy() for name, array in given.items()}
    point = concerto.transform.default()(given)
    assert set(point) == {"coord", "grid_coord", "color", "inverse", "feat", "offset"}
    for name, array in before.items():
        np.testing.assert_array_equal(given[name], array, err_msg="the cloud itself was changed")

    coord = point["coord"][point["inverse"]].double().numpy()
    low, high = given["coord"].min(axis=0), given["coord"].max(axis=0)
    centred = given["coord"] - np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    np.testing.assert_array_equal(np.floor(coord / 0.02), np.floor(centred / 0.02))
    assert {name: tensor.dtype for name, tensor in point.items()} == {
        **dict.fromkeys(("coord", "color", "feat"), torch.float32),
        **dict.fromkeys(("grid_coord", "inverse", "offset"), torch.int64),
    }
    assert torch.equal(point["feat"][:, :6], torch.cat([point["coord"], point["color"]], 1))
    assert point["color"].min() >= 0 and 0.9 < point["color"].max() <= 1


def test_the_outdoor_steps_scale_and_keep_heights():
    given = cloud()
    compose = concerto.transform.Compose(
        [
            dict(type="RandomScale", scale=[0.2, 0.2]),
            dict(type="CenterShift", apply_z=False),
            dict(type="Copy", keys_dict={"coord": "origin_coord"}),
            dict(type="Update", keys_dict={"grid_size": 0.01}),
            dict(type="ToTensor"),
        ]
    )
    point = compose(given)
    np.testing.assert_allclose(point["coord"][:, 2], 0.2 * given["coord"][:, 2], rtol=1e-6)
    assert torch.equal(point["coord"], point["origin_coord"])
    assert point["coord"].dtype == torch.float32
    assert point["grid_size"].tolist() == pytest.approx([0.01])


def test_other_steps_move_and_scale():
    point = concerto.transform.Compose([dict(type="PositiveShift")])(cloud())
    assert point["coord"].min(axis=0).tolist() == [0, 0, 0]
    point = concerto.transform.Compose([dict(type="NormalizeCoord")])(cloud())
    assert np.linalg.norm(point["coord"], axis=1).max() == pytest.approx(1)
    assert np.abs(point["coord"].mean(axis=0)).max() < 1e-6


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(type="RandomFlip"), "step 'RandomFlip' does not exist; expected one of CenterShift"),
        (dict(type="CenterShift", apply_x=True), "step CenterShift: .*apply_x"),
        (dict(type="GridSample", grid_size=0.0), "grid_size is 0.0"),
        (dict(type="GridSample", hash_type="md5"), "hash_type is 'md5'"),
        (dict(type="GridSample", mode="test"), "mode is 'test'"),
    ],
)
def test_a_step_that_is_not_known_is_refused_by_name(config, message):
    with pytest.raises(ValueError, match=message):
        concerto.transform.Compose([config])


def test_a_cloud_that_cannot_be_transformed_is_refused_by_the_entry():
    transform = concerto.transform.default()
    given = cloud()
    given["coord"][3, 1] = np.nan
    with pytest.raises(ValueError, match="coord: got 1 points that are not finite"):
        transform(given)
    with pytest.raises(ValueError, match=r"coord: got shape \(0, 3\)"):
        transform({**cloud(), "coord": np.zeros((0, 3), np.float32)})
    with pytest.raises(ValueError, match="coord: got 'color' only"):
        transform({"color": np.zeros((3, 3))})
    without = cloud()
    del without["normal"]
    with pytest.raises(ValueError, match="the cloud has no 'normal'"):
        transform(without)


def test_clouds_are_read_from_arrays_and_from_the_formats_of_other_programs(tmp_path):
    given = cloud()
    np.savez(tmp_path / "scene.npz", **given)
    loaded = concerto.data.load(str(tmp_path / "scene.npz"))
    assert set(loaded) == set(given)
    np.testing.assert_array_equal(loaded["segment"], given["segment"])

    write_labelled_ply(tmp_path / "scene.ply", given["coord"], given["color"])
    loaded = concerto.data.load(tmp_path / "scene.ply")
    np.testing.assert_array_equal(loaded["coord"], given["coord"])
    np.testing.assert_array_equal(loaded["color"], given["color"])
    assert loaded["normal"].shape == (400, 3) and not loaded["normal"].any()
    with pytest.raises(ValueError, match="neither a file nor a sample; .*sample1"):
        concerto.data.load("sample7")


def test_batches_are_joined_and_uneven_ones_refused():
    collate = concerto.data.collate_fn
    one = {"coord": torch.zeros(2, 3), "offset": torch.tensor([2]), "name": "a"}
    two = {"coord": torch.ones(3, 3), "offset": torch.tensor([1, 3]), "name": "b"}
    batch = collate([one, two])
    assert batch["offset"].tolist() == [2, 3, 5] and batch["name"] == ["a", "b"]
    assert batch["coord"].shape == (5, 3)
    assert collate([1.5, 2.5]).tolist() == [1.5, 2.5]
    with pytest.raises(ValueError, match="cloud 1 of the batch has no 'name'"):
        collate([one, {"coord": torch.ones(3, 3), "offset": torch.tensor([3])}])
    with pytest.raises(ValueError, match="batch is empty"):
        collate([])
    with pytest.raises(TypeError, match="batch is a dict"):
        collate(one)
