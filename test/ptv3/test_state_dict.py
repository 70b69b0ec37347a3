# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that trainings wrote: prefixes, entries, optimiser states, fewer input channels."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from official_config import SMALL

from concerto_ros.heads import LinearHead
from concerto_ros.ptv3 import CheckpointError, ConfigError, PTv3Config, load_encoder
from concerto_ros.ptv3.checkpoint import untrained_encoder

WEIGHTS = untrained_encoder(PTv3Config.from_official(SMALL), name="", seed=3).state_dict()
HEAD = {"seg_head.weight": torch.rand(5, 18), "seg_head.bias": torch.rand(5)}
STEM = "embedding.stem.linear.weight"
OTHER = {name: value + 1 for name, value in WEIGHTS.items()}


def under(prefix, weights=WEIGHTS):
    return {f"{prefix}{name}": value for name, value in weights.items()}


def saved(tmp_path, state=WEIGHTS, entry="state_dict", config=SMALL, **more):
    path = tmp_path / "model.pth"
    content = {entry: state, **more} | ({} if config is None else {"config": config})
    torch.save(content, path)
    return path


def assert_same(encoder, weights=WEIGHTS):
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "backbone.", "module.backbone.", "module._orig_mod.backbone.",
     "_orig_mod.module.", "student.backbone.", "module.student.backbone.", "backbone.module.",
     "model.", "ema_model.module.", "ema_", "net.encoder.", "_forward_module."],
)  # fmt: skip
def test_prefixes_are_understood(prefix, tmp_path):
    assert_same(load_encoder(saved(tmp_path, under(prefix))))


def test_wrappers_inside_of_names_are_understood(tmp_path):
    state = {name.replace("enc.enc1.", "enc.enc1._orig_mod."): v for name, v in WEIGHTS.items()}
    state = {
        name.replace(".block0.", ".block0._checkpoint_wrapped_module."): v
        for name, v in state.items()
    }
    assert_same(load_encoder(saved(tmp_path, state)))


@pytest.mark.parametrize(
    "entry",
    [
        "state_dict",
        "model",
        "model_state_dict",
        "state_dict_ema",
        "model_ema",
        "ema_state_dict",
        "module",
        "net",
    ],
)
def test_entries_that_hold_the_weights_are_found(entry, tmp_path):
    assert_same(load_encoder(saved(tmp_path, under("module."), entry)))


def test_a_state_dict_inside_of_an_entry_is_found(tmp_path):
    assert_same(load_encoder(saved(tmp_path, {"state_dict": under("module.")}, "model")))


@pytest.mark.parametrize("prefix", ["module.", "module.backbone."])
def test_the_averaged_model_of_pytorch_is_understood(prefix, tmp_path):
    state = {"n_averaged": torch.tensor(7), **under(prefix)}
    assert_same(load_encoder(saved(tmp_path, state)))


def test_of_a_bare_state_dict_the_error_lists_a_few_names(tmp_path):
    torch.save(WEIGHTS, tmp_path / "model.pth")
    with pytest.raises(
        CheckpointError, match=r"got \['embedding.* and \d+ more, expected 'con"
    ) as error:
        load_encoder(tmp_path / "model.pth")
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html>", "is a web page"),
    ],
)
def test_downloads_of_something_else_are_named(content, words, tmp_path):
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        load_encoder(tmp_path / "model.pth")


def test_the_model_is_taken_before_its_moving_average_and_said(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert_same(load_encoder(saved(tmp_path, state_dict_ema=OTHER)))
    assert "'state_dict', ignoring state_dict_ema" in caplog.text


@pytest.mark.parametrize(
    ("own", "copy"),
    [("student.backbone.", "teacher.backbone."), ("", "ema_model."), ("", "ema_"),
     ("model.", "model_ema."), ("backbone.", "ema.backbone."), ("module.net.", "averaged.net.")],
)  # fmt: skip
def test_of_a_model_and_its_copy_the_model_is_taken(own, copy, tmp_path, caplog):
    state = under(own) | under(copy, OTHER) | {"n_averaged": torch.tensor(3)}
    if not own:
        del state["n_averaged"]  # without a prefix every name must be the encoder's
    with caplog.at_level(logging.INFO):
        assert_same(load_encoder(saved(tmp_path, state)))
    assert "ignoring" in caplog.text


def test_two_models_are_refused_by_name(tmp_path):
    path = saved(tmp_path, under("left.") | under("right.", OTHER))
    with pytest.raises(CheckpointError, match=r"several models, under 'left\.', 'right\.'"):
        load_encoder(path)


def test_one_name_twice_is_refused(tmp_path):
    path = saved(tmp_path, WEIGHTS | under("module.", OTHER))
    with pytest.raises(CheckpointError, match=r"more than once .*'module\."):
        load_encoder(path)


def test_names_that_do_not_fit_are_named_without_their_prefix(tmp_path):
    state = under("module.backbone.")
    del state["module.backbone.enc.enc0.block0.cpe.0.bias"]
    state["module.backbone.stray"] = torch.ones(1)
    with pytest.raises(CheckpointError, match=r"missing: enc\.enc0\.block0\.cpe\.0\.bias; unexp"):
        load_encoder(saved(tmp_path, state))


def training_state(**config):
    """What Pointcept's trainer writes for a segmenter."""
    state = under("module.backbone.") | {f"module.{name}": v for name, v in HEAD.items()}
    return {
        "state": state,
        "epoch": 100,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-3}]},
        "scheduler": {"last_epoch": 7},
        "scaler": None,
        "best_metric_value": np.float64(0.71),
        **config,
    }


def test_a_training_of_pointcept_with_its_config_is_encoder_and_head_in_one_file(tmp_path):
    path = saved(tmp_path, config={"type": "PT-v3m2", **SMALL}, **training_state())
    encoder = load_encoder(path)
    assert_same(encoder)
    head = LinearHead.load(path, encoder)
    assert (head.in_channels, head.num_classes) == (18, 5)
    assert torch.equal(head.seg_head.weight, HEAD["seg_head.weight"])


def test_without_a_config_its_head_loads_and_its_encoder_says_what_is_missing(tmp_path):
    path = saved(tmp_path, config=None, **training_state())
    assert LinearHead.load(path).num_classes == 5
    with pytest.raises(CheckpointError, match=r"no dict 'config'; got .*'optimizer'.*config\.py"):
        load_encoder(path)


@pytest.mark.parametrize("decoder", [False, True])
def test_without_a_config_the_released_shapes_are_recognised_and_said(decoder, tmp_path, caplog):
    orders = ("z", "z-trans", "hilbert", "hilbert-trans")
    shape = dict(in_channels=9, stride=(2,), enc_depths=(1, 2), enc_channels=(16, 48))
    shape |= dict(enc_num_head=(1, 3), enc_patch_size=(1024, 1024), mlp_ratio=2.0, order=orders)
    if decoder:
        shape |= dict(dec_depths=(1,), dec_channels=(32,), dec_num_head=(2,))
        shape |= dict(dec_patch_size=(1024,))
    shape["enc_mode"] = not decoder
    wanted = untrained_encoder(PTv3Config.from_official(shape), name="", seed=1)
    state = under("module.backbone.", wanted.state_dict())
    with caplog.at_level(logging.WARNING):
        encoder = load_encoder(saved(tmp_path, state, config=None, epoch=3))
    assert encoder.config == wanted.config
    assert_same(encoder, wanted.state_dict())
    assert "from the shapes, depths (1, 2) and channels (16, 48)" in caplog.text
    assert "assumed as in all released configs" in caplog.text


def test_an_encoder_alone_is_no_head(tmp_path):
    with pytest.raises(CheckpointError, match=r"no such tensor under 'seg_head\.weight'"):
        LinearHead.load(saved(tmp_path))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "student."])
def test_heads_may_have_prefixes(prefix, tmp_path):
    config = {"backbone_out_channels": 18, "num_classes": 5}
    head = LinearHead.load(saved(tmp_path, under(prefix, HEAD), config=config))
    assert torch.equal(head.seg_head.bias, HEAD["seg_head.bias"])


def test_the_first_point_transformer_v3_is_named(tmp_path):
    state = under("module.backbone.", {"embedding.stem.conv.weight": torch.ones(6, 5, 5, 5, 6)})
    with pytest.raises(CheckpointError, match="PT-v3m1.*expected PT-v3m2"):
        load_encoder(saved(tmp_path, state))
    with pytest.raises(ConfigError, match="type='PT-v3m1': expected PT-v3m2"):
        PTv3Config.from_official({"type": "PT-v3m1", **SMALL})


@pytest.mark.parametrize(
    "channels",
    [["coord", "color"], ["color", "normal"], ["normal", "coord"], ["coord"], ["normal"],
     ["color", "normal", "coord"]],
)  # fmt: skip
def test_an_encoder_of_some_channels_gives_the_same_features(channels, tmp_path):
    config = {**SMALL, "in_channels": 3 * len(channels)}
    few = untrained_encoder(PTv3Config.from_official(config), name="", seed=5)
    path = saved(tmp_path, few.state_dict(), config=config, channels=channels)
    random = torch.Generator().manual_seed(0)
    grid = torch.randint(0, 20, (200, 3), generator=random).unique(dim=0)
    parts = {
        name: torch.rand(len(grid), 3, generator=random) for name in ("coord", "color", "normal")
    }
    rest = (grid, parts["coord"], torch.tensor([len(grid)]))
    with torch.inference_mode():
        wanted = few(torch.cat([parts[name] for name in channels], 1), *rest).top.feat
        got = load_encoder(path)(torch.cat(list(parts.values()), 1), *rest).top.feat
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(
    ("count", "channels", "words"),
    [
        (6, None, r"in_channels=6 in its config and no entry 'channels', expected in_channels=9"),
        (4, None, "in_channels=4 .* strength, cannot be used"),
        (7, None, "in_channels=7"),
        (4, ["coord", "strength"], r"channels=\['coord', 'strength'\], expected"),
        (6, ["color", "color"], r"channels=\['color', 'color'\], expected"),
        (6, "color", "channels='color', expected"),
        (6, [["color"], 3], "channels=.*, expected"),
        (6, ["color"], "in_channels=6 .* expected three for each of its channels color"),
        (9, ["color", "normal"], "in_channels=9 .* expected three for each"),
    ],
)
def test_channels_that_are_not_known_are_refused_when_loaded(count, channels, words, tmp_path):
    config = {**SMALL, "in_channels": count}
    state = WEIGHTS | {STEM: torch.ones(6, count)}
    more = {} if channels is None else {"channels": channels}
    with pytest.raises(CheckpointError, match=words) as error:
        load_encoder(saved(tmp_path, state, config=config, **more))
    assert str(tmp_path / "model.pth") in str(error.value)


def test_channels_that_the_config_does_not_count_are_counted_in_the_weights(tmp_path):
    config = {name: value for name, value in SMALL.items() if name != "in_channels"}
    assert_same(load_encoder(saved(tmp_path, config=config)))
    with pytest.raises(CheckpointError, match="in_channels=6 in its weights and no entry"):
        load_encoder(saved(tmp_path, WEIGHTS | {STEM: torch.ones(6, 6)}, config=config))
