# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear heads: official files, the one in the box, and heads that do not fit their encoder."""

from __future__ import annotations

import bundled_models
import pytest
import torch
from taught_heads import taught_head

from concerto_ros.heads import LinearHead
from concerto_ros.heads.added_rows import Examples
from concerto_ros.heads.familiarity import Familiarity
from concerto_ros.heads.linear import save_head
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.ptv3 import CheckpointError, load_encoder
from concerto_ros.ptv3.bundled import save_demo


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("demo")


def head_file(tmp_path, width=256, classes=13, **change):
    content = {
        "config": {"backbone_out_channels": width, "num_classes": classes},
        "state_dict": {
            "seg_head.weight": torch.ones(classes, width),
            "seg_head.bias": torch.arange(classes, dtype=torch.float32),
        },
    }
    torch.save({**content, **change}, tmp_path / "head.pth")
    return tmp_path / "head.pth"


def test_an_official_file_loads(tmp_path):
    head = LinearHead.load(head_file(tmp_path))
    assert head.trained and not head.training
    assert (head.in_channels, head.num_classes) == (256, 13)
    logits = head(torch.full((2, 256), 0.5))
    assert torch.equal(logits, 128 + torch.arange(13.0).expand(2, 13))


@pytest.mark.parametrize("shape", [(2, 13), (256, 2), (5,)])
def test_features_of_another_width_are_refused_with_a_reason(tmp_path, shape):
    head = LinearHead.load(head_file(tmp_path))
    with pytest.raises(ValueError, match=r"feat: got shape .*, expected \(N, 256\) features"):
        head(torch.zeros(shape))


def test_the_bundled_head_reads_all_levels(encoder):
    head = LinearHead.load("demo", encoder)
    assert head.trained and head.name == "demo"
    assert head.num_classes == len(LabelSet.load("demo"))
    assert head.concat_levels(encoder) == len(encoder.channels) - 1
    assert torch.equal(head.seg_head.weight, LinearHead.load("demo", encoder).seg_head.weight)
    assert LinearHead.load("demo").in_channels == head.in_channels


def test_the_bundled_head_is_that_of_the_preset_or_of_the_encoder(tmp_path, monkeypatch):
    _, outdoor = bundled_models.bundle_outdoor_model(tmp_path, monkeypatch)
    encoder = load_encoder("demo", preset="outdoor")
    for head in (LinearHead.load("demo", encoder), LinearHead.load("demo", preset="outdoor")):
        assert (head.name, head.preset) == ("demo_outdoor", "outdoor")
        assert tuple(entry.name for entry in head.labels.classes) == bundled_models.CLASSES
        weight = outdoor.seg_head.weight
        torch.testing.assert_close(head.seg_head.weight, weight.half().float(), check_stride=False)
    with pytest.raises(ValueError, match="head 'demo' takes .* channels, encoder 'demo_outdoor'"):
        LinearHead.load("demo", encoder, preset="indoor")


def test_a_bundled_head_with_other_classes_than_its_label_set_is_refused(tmp_path, monkeypatch):
    encoder, _ = bundled_models.bundle_outdoor_model(tmp_path, monkeypatch)
    save_demo(encoder, LinearHead(96, 7), tmp_path / "demo_outdoor.safetensors")
    with pytest.raises(CheckpointError, match="8 classes in label_set, expected 7"):
        LinearHead.load("demo", preset="outdoor")


def test_the_width_tells_how_many_levels_to_join(encoder, tmp_path):
    coarsest = encoder.channels[::-1]
    for joined in range(len(coarsest)):
        head = LinearHead.load(head_file(tmp_path, width=sum(coarsest[: joined + 1])), encoder)
        assert head.concat_levels(encoder) == joined


def test_a_head_of_another_width_is_refused_with_both_widths(encoder, tmp_path):
    path = head_file(tmp_path, width=77)
    LinearHead.load(path)
    with pytest.raises(ValueError, match=rf"takes 77 channels.* or {sum(encoder.channels)};"):
        LinearHead.load(path, encoder)


def test_a_head_follows_its_encoder_and_takes_float32(tmp_path):
    encoder = load_encoder("demo", dtype=torch.bfloat16)
    head = LinearHead.load("demo", encoder)
    assert head.seg_head.weight.dtype == torch.bfloat16
    assert head(torch.zeros(3, head.in_channels)).shape == (3, head.num_classes)


@pytest.mark.parametrize(
    "config",
    [{}, {"backbone_out_channels": 256}, {"backbone_out_channels": 0, "num_classes": 13}],
)
def test_another_config_is_refused(config, tmp_path):
    with pytest.raises(CheckpointError, match="backbone_out_channels and num_classes"):
        LinearHead.load(head_file(tmp_path, config=config))


def test_another_state_dict_is_refused(tmp_path):
    path = head_file(tmp_path, state_dict={"seg_head.weight": torch.ones(13, 255)})
    with pytest.raises(CheckpointError) as error:
        LinearHead.load(path)
    for words in ("missing: seg_head.bias", "seg_head.weight (13, 255) instead of (13, 256)"):
        assert words in str(error.value)


def test_an_encoder_name_is_not_a_head(encoder):
    with pytest.raises(CheckpointError, match="concerto_large_linear_prob_head_sc"):
        LinearHead.load("concerto_base", encoder)


@pytest.mark.parametrize("joined", [0, 2, 4])
def test_scores_by_level_are_those_of_the_joined_features(encoder, joined):
    head = LinearHead(sum(encoder.channels[-1 - joined :]), 7)
    random = torch.Generator().manual_seed(3)
    for parameter in head.parameters():
        parameter.data.normal_(generator=random)
    grid = torch.randint(0, 30, (500, 3), generator=random).unique(dim=0)
    pyramid = encoder(
        torch.randn(len(grid), 9, generator=random), grid, grid * 0.02, torch.tensor([len(grid)])
    )
    wanted = head(pyramid.upcast(joined))
    assert torch.allclose(head.scores(pyramid, joined), wanted, rtol=1e-4, atol=1e-4)


def test_a_temperature_is_kept_in_the_file_and_by_teaching(tmp_path):
    head = LinearHead.load(head_file(tmp_path))
    assert head.temperature == 1
    head.temperature = 1.75
    save_head(tmp_path / "own.pth", head)
    content = torch.load(tmp_path / "own.pth", weights_only=True)
    assert sorted(content["state_dict"]) == ["seg_head.bias", "seg_head.weight"]  # as official
    again = LinearHead.load(tmp_path / "own.pth")
    assert again.temperature == 1.75
    examples = Examples(torch.ones(2, 256), torch.zeros(2, 256))
    assert taught_head(again, {13: examples}).temperature == 1.75


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), "2", [1.0]])
def test_a_temperature_that_is_no_positive_number_is_refused(value, tmp_path):
    with pytest.raises(CheckpointError, match="temperature .*, expected a finite number above 0"):
        LinearHead.load(head_file(tmp_path, temperature=value))
    with pytest.raises(ValueError, match="temperature is .*; expected a finite number above 0"):
        LinearHead.load(head_file(tmp_path)).temperature = value


def familiar(channels):
    return Familiarity.of(torch.randn(50, channels, generator=torch.Generator().manual_seed(0)))


def test_what_is_familiar_is_kept_in_the_file_and_by_teaching(tmp_path, encoder):
    head = LinearHead.load("demo", encoder)
    head.familiarity = familiar(encoder.channels[-1])
    head.familiarity.threshold.fill_(1.5)
    save_head(tmp_path / "own.pth", head)
    content = torch.load(tmp_path / "own.pth", weights_only=True)
    assert sorted(content["state_dict"]) == ["seg_head.bias", "seg_head.weight"]  # as official
    again = LinearHead.load(tmp_path / "own.pth", encoder)
    examples = Examples(torch.ones(2, head.in_channels), torch.zeros(2, head.in_channels))
    for other in (again, taught_head(again, {head.num_classes: examples})):
        for name, value in head.familiarity.state_dict().items():
            assert torch.equal(other.familiarity.state_dict()[name], value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"familiarity": 1}, "familiarity of type int, expected tensors by name"),
        ({"familiarity": {"mean": 2.0}}, "familiarity of type dict, expected tensors by name"),
        ({"familiarity": {"mean": torch.zeros(4)}}, "unexpected: familiarity.mean"),
        (
            {"familiarity": {"mean": torch.zeros(4), "whitening": torch.zeros(4, 4)}},
            "missing: familiarity.threshold",
        ),
    ],
)
def test_what_is_no_familiarity_is_refused(change, words, tmp_path):
    with pytest.raises(CheckpointError, match=words):
        LinearHead.load(head_file(tmp_path, **change))


def test_a_familiarity_of_another_encoder_is_refused_with_both_widths(encoder, tmp_path):
    head = LinearHead.load("demo", encoder)
    head.familiarity = familiar(7)
    save_head(tmp_path / "own.pth", head)
    words = rf"familiarity of 7 channels.*{encoder.channels[0]}, .*{encoder.channels[-1]}\]"
    with pytest.raises(ValueError, match=words):
        LinearHead.load(tmp_path / "own.pth", encoder)
