# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Configs and checkpoint files: what loads, what is refused, and what a person is told."""

from __future__ import annotations

import logging
from pathlib import Path

import huggingface_hub
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from official_config import SMALL

from concerto_ros.heads import LinearHead
from concerto_ros.ptv3 import CheckpointError, ConfigError, PTv3Config, load_encoder
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.official_files import OFFICIAL_ENCODERS, OFFICIAL_HEADS


@pytest.fixture
def official_file(tmp_path):
    """Write a file in the official layout, changed as the test wants it."""

    def write(*, config=(), drop=(), state=(), name="some.pth", **more) -> Path:
        shape = PTv3Config.from_official(SMALL)
        weights = untrained_encoder(shape, name="", seed=3).state_dict()
        weights = {key: value for key, value in weights.items() if key not in drop}
        content = {"config": {**SMALL, **dict(config)}, "state_dict": weights | dict(state)}
        torch.save(content | more, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, no cache; returns the folder where files may be put by hand."""

    def unreachable(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "concerto_ros"
    folder.mkdir(parents=True)
    return folder


def test_training_fields_and_kernel_choices_change_nothing(official_file):
    ignored = {
        "attn_drop": 0.1,
        "proj_drop": 0.1,
        "drop_path": 0.3,
        "shuffle_orders": True,
        "shift_coords": 1,
        "jitter_coords": 1.2,
        "rescale_coords": 1.2,
        "freeze_encoder": True,
        "mask_token": True,
        "traceable": True,
        "enable_flash": False,
        "upcast_attention": True,
        "upcast_softmax": True,
        "enable_rpe": False,
    }
    mask = {"embedding.mask_token": torch.ones(1, 6)}
    plain = load_encoder(official_file())
    other = load_encoder(official_file(config=ignored, state=mask))
    assert other.config == plain.config
    grid_coord = torch.tensor([[0, 0, 0], [0, 0, 1], [5, 6, 7]])
    inputs = (torch.ones(3, 9), grid_coord, grid_coord.float(), torch.tensor([3]))
    assert torch.equal(other(*inputs).top.feat, plain(*inputs).top.feat)
    assert not other.training and not any(p.requires_grad for p in other.parameters())


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("enable_rpe", True, "enable_rpe=True .* not implemented"),
        ("pdnorm_ln", True, "pdnorm_ln=True is not known"),
        ("order", ["z", "peano"], r"order=\('z', 'peano'\): expected"),
        ("order", [], r"order=\(\): expected"),
        ("stride", [2, 2], r"stride=\(2, 2\): expected 1 values"),
        ("stride", [0], r"stride=\(0,\): expected whole numbers above 0"),
        ("enc_depths", [], r"enc_depths=\(\): expected"),
        ("enc_channels", [6, 13], "enc_num_head.* 13 channels do not divide into 2"),
        ("enc_channels", [6], r"enc_channels=\(6,\): expected 2"),
        ("enc_channels", 6, "enc_channels=6: expected one value per stage"),
        ("enc_num_head", [4, 2], r"enc_num_head=\(4, 2\)"),
        ("enc_patch_size", [16, 0], r"enc_patch_size=\(16, 0\): expected"),
        ("enc_mode", "yes", "enc_mode='yes': expected True or False"),
        ("in_channels", 0, "in_channels=0: expected"),
        ("mlp_ratio", -1, "mlp_ratio=-1: expected"),
        ("qk_scale", "small", "qk_scale='small': expected"),
        ("rope_base", 0, "rope_base=0: expected"),
        ("dec_depths", [1, 1, 1], r"dec_depths=\(1, 1, 1\): expected 1"),
        ("dec_num_head", [5], r"dec_num_head=\(5,\)"),
    ],
)
def test_fields_that_cannot_be_honoured_are_refused_by_name(field, value, words):
    decoder = {
        "enc_mode": False,
        "dec_depths": [1],
        "dec_channels": [6],
        "dec_num_head": [1],
        "dec_patch_size": [16],
    }
    config = {**SMALL, **(decoder if field.startswith("dec_") else {})}
    PTv3Config.from_official(config)
    with pytest.raises(ConfigError, match=words):
        PTv3Config.from_official({**config, field: value})


def test_decoder_fields_do_not_matter_without_a_decoder():
    plain = PTv3Config.from_official(SMALL)
    assert PTv3Config.from_official({**SMALL, "dec_depths": None, "dec_num_head": [5]}) == plain


def test_rotary_wants_head_widths_of_whole_thirds():
    assert PTv3Config.from_official(SMALL, rotary=True).rotary
    with pytest.raises(ConfigError, match=r"multiple of 6, got 12 / 4 = 3"):
        PTv3Config.from_official({**SMALL, "enc_num_head": [1, 4]}, rotary=True)


def test_missing_unexpected_and_misshapen_parameters_are_named(official_file):
    path = official_file(
        drop=("enc.enc0.block0.cpe.0.weight", "enc.enc0.block0.cpe.0.bias"),
        state={"stray.weight": torch.ones(1), "enc.enc1.down.proj.bias": torch.ones(5)},
    )
    with pytest.raises(CheckpointError) as error:
        load_encoder(path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    for words in (
        "missing: enc.enc0.block0.cpe.0.bias, enc.enc0.block0.cpe.0.weight",
        "unexpected: stray.weight",
        "enc.enc1.down.proj.bias (5,) instead of (12,)",
    ):
        assert words in message


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], {"config": {}, "state_dict": 3}])
def test_a_file_without_config_or_state_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"odd\.pth has no dict"):
        load_encoder(tmp_path / "odd.pth")


class Payload:
    """What a hostile file would run on loading."""

    def __reduce__(self):
        return (Path("/nonexistent/proof").touch, ())


def test_files_that_are_no_tensors_are_refused_and_never_run(tmp_path):
    (tmp_path / "text.pth").write_text("not a checkpoint")
    torch.save({"config": Payload(), "state_dict": {}}, tmp_path / "hostile.pth")
    for name in ("text.pth", "hostile.pth"):
        with pytest.raises(CheckpointError, match=f"{name} cannot be read") as error:
            load_encoder(tmp_path / name)
        assert "\n" not in str(error.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(CheckpointError) as error:
        load_encoder("concerto_huge")
    assert all(name in str(error.value) for name in OFFICIAL_ENCODERS)
    with pytest.raises(CheckpointError, match="official name is 'concerto_base'"):
        load_encoder("no/such/folder/concerto_base.pth")


@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize("name", OFFICIAL_ENCODERS)
def test_offline_says_which_file_to_put_where(name, download, offline):
    with pytest.raises(CheckpointError) as error:
        load_encoder(name, download=download)
    message = str(error.value)
    assert "\n" not in message
    assert f"{name}.pth" in message and OFFICIAL_ENCODERS[name] in message
    assert str(offline / f"{name}.pth") in message
    assert f"`concerto-ros download {name}`" in message


def test_a_file_put_there_is_found_by_its_name(offline, official_file, caplog):
    official_file().rename(offline / "sonata_small.pth")
    with caplog.at_level(logging.INFO):
        encoder = load_encoder("sonata_small", download=False)
    assert encoder.name == "sonata_small" and encoder.trained
    assert "CC-BY-NC 4.0" in caplog.text


def test_names_are_fetched_from_their_repository(monkeypatch, official_file, tmp_path):
    asked = []

    def fetch(repository, file, *, local_files_only=False):
        asked.append((repository, file, local_files_only))
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not in the cache")
        return str(official_file(name=file))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: None)
    assert load_encoder("utonia").name == "utonia"
    assert asked == [
        ("Pointcept/Utonia", "utonia.pth", True),
        ("Pointcept/Utonia", "utonia.pth", False),
    ]


def test_the_licence_is_logged(official_file, caplog):
    with caplog.at_level(logging.INFO):
        load_encoder(official_file(name="concerto_base.pth"))
        load_encoder(official_file(name="own.pth", license="Apache-2.0"))
        load_encoder(official_file(name="unknown.pth"))
    assert [record.message.split(": ")[1] for record in caplog.records] == [
        "licence CC-BY-NC 4.0 (not for commercial use)",
        "licence Apache-2.0",
        "no licence is named in the file",
    ]


def test_every_head_and_encoder_has_a_repository():
    known = {"Pointcept/Concerto", "facebook/sonata", "Pointcept/Utonia"}
    assert set(OFFICIAL_ENCODERS.values()) == set(OFFICIAL_HEADS.values()) == known


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x02cos\nsystem\n(S'true'\ntR."])
def test_a_file_that_is_no_checkpoint_is_refused_without_unsafe_advice(tmp_path, content):
    path = tmp_path / "encoder.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load_encoder(path)
    said = str(error.value)
    assert str(path) in said and "weights_only" not in said and len(said.splitlines()) == 1


def assert_refused(path: Path) -> None:
    for load in (load_encoder, LinearHead.load):
        with pytest.raises(CheckpointError) as error:
            load(path)
        assert str(path) in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_text_is_refused_whatever_it_begins_with(tmp_path):
    path = tmp_path / "text.pth"
    for first in range(256):
        path.write_bytes(bytes([first]) + b"itle: a map of the ground floor\n")
        assert_refused(path)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=60))
@example(b"title: a map")
@example(b"\x80\x02}q\x00(U\x06config")
def test_no_short_file_raises_anything_else(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "short.pth"
    path.write_bytes(content)
    assert_refused(path)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"enc.weight": [1.0, 2.0]}, "list under 'enc.weight'"),
        ({"enc.weight": None}, "NoneType under 'enc.weight'"),
        ({3: torch.zeros(1)}, "Tensor under 3"),
    ],
)
def test_a_state_dict_of_anything_but_tensors_by_name_is_refused(official_file, entry, words):
    path = official_file(state=entry)
    with pytest.raises(CheckpointError, match=words):
        load_encoder(path)
    assert_refused(path)
