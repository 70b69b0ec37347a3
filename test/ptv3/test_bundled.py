# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundled models: ``demo`` is that of the preset, with everything that belongs to it."""

from __future__ import annotations

import bundled_models
import pytest
import torch

from concerto_ros.files.shared_files import asset_path
from concerto_ros.ptv3 import CheckpointError, bundled, load_encoder
from concerto_ros.ptv3.bundled import BUNDLED, NamesHead, read_demo, save_demo


@pytest.fixture
def outdoor(tmp_path, monkeypatch):
    """The encoder and the head in the file of the outdoor model."""
    return bundled_models.bundle_outdoor_model(tmp_path, monkeypatch)


def test_demo_is_the_encoder_of_the_preset(outdoor):
    encoder = load_encoder("demo", preset="outdoor")
    assert (encoder.name, encoder.preset) == ("demo_outdoor", "outdoor")
    assert encoder.grid_size == bundled_models.VOXEL_SIZE
    assert encoder.conventions == {"outdoor": bundled_models.CONVENTION}
    assert encoder.config == outdoor[0].config and encoder.trained
    for name, value in outdoor[0].state_dict().items():
        torch.testing.assert_close(encoder.state_dict()[name], value.half().float())
    for indoor in (load_encoder("demo"), load_encoder("demo", preset="indoor")):
        assert (indoor.name, indoor.preset, indoor.grid_size) == ("demo", "indoor", 0.04)
        assert not indoor.conventions and indoor.licence == "Apache-2.0"


def test_every_tensor_of_the_head_is_in_the_file(outdoor, tmp_path):
    encoder, head = outdoor
    head.register_buffer("more", torch.tensor([0.5, 3.0]))
    save_demo(encoder, head, tmp_path / "demo_outdoor.safetensors")
    state = read_demo("head", "outdoor")[0]["state_dict"]
    assert state.keys() == {"seg_head.weight", "seg_head.bias", "more"}
    assert state["more"].tolist() == [0.5, 3.0] and state["more"].dtype == torch.float32


def test_a_file_may_know_fine_names(outdoor, tmp_path):
    encoder, head = outdoor
    assert read_demo("names", "outdoor")[0]["state_dict"] == {}
    named = NamesHead(("bus", "van"), torch.nn.Linear(3, 2))
    save_demo(encoder, head, tmp_path / "demo_outdoor.safetensors", named)
    content = read_demo("names", "outdoor")[0]
    assert content["names"] == ("bus", "van")
    torch.testing.assert_close(
        content["state_dict"]["weight"], named.head.weight.detach().half().float()
    )
    assert read_demo("head", "outdoor")[0]["state_dict"].keys() == head.state_dict().keys()


@pytest.mark.parametrize("preset", [None, "garden"])
def test_a_model_of_no_preset_is_not_written(tmp_path, preset):
    encoder, head = bundled_models.small_outdoor_model()
    encoder.preset = preset
    with pytest.raises(ValueError, match=f"preset is {preset!r}; expected indoor or outdoor"):
        save_demo(encoder, head, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_preset_without_a_model_is_refused():
    with pytest.raises(CheckpointError, match="preset is 'garden'; expected indoor or outdoor"):
        load_encoder("demo", preset="garden")


@pytest.mark.parametrize("damage", [lambda content: content[:5000], lambda content: b"rubbish"])
def test_a_damaged_model_says_what_to_do(outdoor, tmp_path, damage):
    path = tmp_path / "demo_outdoor.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match="demo_outdoor.*reinstall the package"):
        load_encoder("demo", preset="outdoor")


def test_all_bundled_files_together_are_small():
    files = list(asset_path("").iterdir())
    assert {bundled.demo_file(preset) for preset in BUNDLED} < set(files)
    assert sum(path.stat().st_size for path in files) <= 32e6
