# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Heads, decoders, adapters and whole encoders: trained, saved, and loaded by the node's ways."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_data import CONFIG, INDOOR, VEHICLE, box_scan, small_encoder

from concerto_ros.heads import LinearHead
from concerto_ros.heads.linear import save_head
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.evaluation.evaluate import evaluate
from concerto_ros.learning.methods import train as probes
from concerto_ros.learning.methods.decoder import decoder_config, with_decoder
from concerto_ros.learning.methods.feature_cache import FeatureCache, FeatureHead, join_features
from concerto_ros.learning.methods.lora import LoraLinear, add_lora, merge_lora
from concerto_ros.learning.methods.segmenter import Segmenter
from concerto_ros.learning.methods.train import METHODS, TrainingConfig, train
from concerto_ros.learning.training.temperature import fit_temperature, scored
from concerto_ros.ptv3 import PTv3Config, load_encoder
from concerto_ros.ptv3.checkpoint import save_encoder
from concerto_ros.segmentation.model_options import convention_of

VOXEL = 0.1
SCANS = [box_scan(seed, 600) for seed in range(3)]
PLAIN = ScanCollate(INDOOR, VOXEL)


def shaken(scan, random):
    noise = random.normal(0, 0.01, scan.points.shape).astype(np.float32)
    return replace(scan, points=scan.points + noise)


def recipe(folder, **options):
    given = {"steps": 12, "validate_every": 6, "views": 2, "progress": False}
    return TrainingConfig(folder=folder, **(given | options))


def logits_of(encoder, head, batch=None):
    batch = PLAIN(SCANS[:2], None) if batch is None else batch
    with torch.no_grad():
        pyramid = encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
        return head(pyramid.upcast(head.concat_levels(encoder)))


@pytest.mark.parametrize("method", METHODS)
def test_what_was_trained_is_saved_in_the_official_layout_and_loads_like_any_other(
    tmp_path, method
):
    encoder = small_encoder()
    frozen = {name: value.clone() for name, value in encoder.state_dict().items()}
    collate = ScanCollate(INDOOR, VOXEL, shaken)
    trained, head, outcome = train(
        method, encoder, SCANS[:2], SCANS[2:], 3, collate, recipe(tmp_path)
    )
    assert outcome.steps == 12 and outcome.best_miou is not None
    save_encoder(tmp_path / "encoder.pth", trained)
    save_head(tmp_path / "head.pth", head)

    content = torch.load(tmp_path / "head.pth", weights_only=True)
    assert content["config"] == {
        "backbone_out_channels": sum(trained.channels),
        "num_classes": 3,
    }
    assert set(content["state_dict"]) == {"seg_head.weight", "seg_head.bias"}
    loaded = load_encoder(tmp_path / "encoder.pth")
    loaded_head = LinearHead.load(tmp_path / "head.pth", loaded)
    assert torch.equal(logits_of(loaded, loaded_head), logits_of(trained, head))
    assert loaded_head.encoder == loaded.digest
    batch = PLAIN(SCANS[2:], None)
    validation = scored([(logits_of(trained, head, batch), batch.labels)])
    assert loaded_head.temperature == pytest.approx(fit_temperature(*validation), rel=1e-3)
    if method in ("head", "decoder"):
        state = trained.state_dict()
        assert all(torch.equal(state[name], value) for name, value in frozen.items())
    assert loaded.config.enc_mode is (method in ("head", "lora"))
    assert not any(p.requires_grad for p in trained.parameters())


def test_full_fine_tuning_does_without_a_decoder_too(tmp_path):
    trained, head, _ = train(
        "full", small_encoder(), SCANS[:1], (), 3, PLAIN, recipe(tmp_path, steps=2, decoder=False)
    )
    assert trained.config.enc_mode and head.in_channels == sum(CONFIG.enc_channels)


def test_a_linear_head_learns_what_the_features_show(tmp_path):
    encoder = small_encoder()
    _, head, _ = train(
        "head", encoder, SCANS[:2], SCANS[2:], 3, PLAIN,
        recipe(tmp_path, steps=150, learning_rate=2e-2, balance=True),
    )  # fmt: skip
    score = evaluate(Segmenter(encoder, head), SCANS[2:], INDOOR, VOXEL)
    assert score.mean_iou > 0.8
    assert score.support.sum() == SCANS[2].labelled.sum()  # at the original points


def test_a_killed_head_resumes_with_its_kept_features(tmp_path, monkeypatch):
    def trained(folder):
        return train("head", small_encoder(), SCANS, (), 3, PLAIN, recipe(folder))[1]

    whole = trained(tmp_path / "whole")

    step = probes.Trainer._train_step
    monkeypatch.setattr(
        probes.Trainer,
        "_train_step",
        lambda self: step(self) if self.step < 7 else (_ for _ in ()).throw(KeyboardInterrupt),
    )
    with pytest.raises(KeyboardInterrupt):
        train("head", small_encoder(), SCANS, (), 3, PLAIN,
              recipe(tmp_path / "parts", checkpoint_every=5))  # fmt: skip
    monkeypatch.setattr(probes.Trainer, "_train_step", step)
    before = {
        file.name: file.stat().st_mtime_ns for file in (tmp_path / "parts/features").iterdir()
    }
    parts = trained(tmp_path / "parts")
    after = {
        file.name: file.stat().st_mtime_ns for file in (tmp_path / "parts/features").iterdir()
    }
    assert before == after and len(before) == 3
    assert torch.equal(parts.seg_head.weight, whole.seg_head.weight)


def test_a_head_does_not_resume_with_other_features(tmp_path):
    train("head", small_encoder(), SCANS, (), 3, PLAIN, recipe(tmp_path))
    moved = [replace(scan, points=scan.points * np.float32(1.01)) for scan in SCANS]
    with pytest.raises(ValueError, match="run with different scans or labels"):
        train("head", small_encoder(), moved, (), 3, PLAIN, recipe(tmp_path))


class Named(list):
    """Scans that are told apart by their labels alone, as those of a data set are."""

    def identity(self):
        return {"labels": [scan.labels.tolist() for scan in self]}


def test_a_head_does_not_resume_where_only_points_changed(tmp_path):
    train("head", small_encoder(), Named(SCANS), (), 3, PLAIN, recipe(tmp_path))
    moved = Named(replace(scan, points=scan.points * np.float32(1.01)) for scan in SCANS)
    with pytest.raises(ValueError, match="run with different features"):
        train("head", small_encoder(), moved, (), 3, PLAIN, recipe(tmp_path))


def test_a_convention_of_no_preset_is_refused(tmp_path):
    collate = ScanCollate(VEHICLE, VOXEL)
    with pytest.raises(ValueError, match="expected that of a preset: indoor or outdoor"):
        train("head", small_encoder(), SCANS, (), 3, collate, recipe(tmp_path))


def test_a_preset_that_is_no_name_is_refused(tmp_path):
    encoder, head = small_encoder(), LinearHead(96, 3)
    encoder.preset = head.preset = ["outdoor"]
    save_encoder(tmp_path / "encoder.pth", encoder)
    save_head(tmp_path / "head.pth", head)
    for load, name in ((load_encoder, "encoder.pth"), (LinearHead.load, "head.pth")):
        with pytest.raises(ValueError, match=rf"{name} has preset \['outdoor'\]"):
            load(tmp_path / name)
    encoder.preset = "garden"
    with pytest.raises(ValueError, match="checkpoint: preset is 'garden'"):
        convention_of(encoder, "indoor")


def test_a_head_of_another_width_is_refused_with_both_widths(tmp_path):
    save_head(tmp_path / "head.pth", LinearHead(77, 3))
    for use in (
        lambda: LinearHead.load(tmp_path / "head.pth", small_encoder()),
        lambda: Segmenter(small_encoder(), LinearHead(77, 3)),
        lambda: FeatureHead(small_encoder(), LinearHead(77, 3)),
    ):
        with pytest.raises(ValueError, match="takes 77 channels") as refused:
            use()
        assert str(sum(CONFIG.enc_channels)) in str(refused.value)


def test_a_saved_config_has_the_fields_that_the_official_encoders_take(tmp_path):
    kinds = ("depths", "channels", "num_head", "patch_size")
    concerto = {f"{part}_{kind}" for part in ("enc", "dec") for kind in kinds}
    concerto |= {"in_channels", "order", "stride", "mlp_ratio", "qkv_bias", "qk_scale"}
    concerto |= {"layer_scale", "pre_norm", "enc_mode"}
    rotary = replace(CONFIG, enc_channels=(18, 36, 72), enc_num_head=(1, 2, 4), rotary=True)
    for config, wanted in ((CONFIG, concerto), (rotary, concerto | {"rope_base"})):
        save_encoder(tmp_path / "encoder.pth", small_encoder(config=config))
        assert set(torch.load(tmp_path / "encoder.pth", weights_only=True)["config"]) == wanted
        loaded = load_encoder(tmp_path / "encoder.pth")
        assert loaded.config == config


# Scores level by level ------------------------------------------------------------------------


@pytest.mark.parametrize("width", [48, 32 + 48, 16 + 32 + 48])
def test_scores_taken_level_by_level_are_those_of_joined_features(width):
    encoder, head = small_encoder(), LinearHead(width, 5)
    batch = PLAIN(SCANS[:2], None)
    with torch.no_grad():
        ours = Segmenter(encoder, head)(batch)
    assert ours.numpy() == pytest.approx(logits_of(encoder, head, batch).numpy(), abs=1e-5)


# Kept features --------------------------------------------------------------------------------


def test_kept_features_give_the_scores_of_the_encoder(tmp_path):
    encoder, head = small_encoder(), LinearHead(96, 3)
    cache = FeatureCache(encoder, SCANS, PLAIN, tmp_path)
    for _ in range(2):  # computed, then read
        batch = join_features([cache[2], cache[0], cache[1]])
        wanted = PLAIN([SCANS[2], SCANS[0], SCANS[1]], None)
        with torch.no_grad():
            ours = FeatureHead(encoder, head)(batch)
        assert torch.equal(batch.labels, wanted.labels)
        assert ours.numpy() == pytest.approx(logits_of(encoder, head, wanted).numpy(), abs=1e-4)


def nudged():
    """A new function, each time elsewhere in memory, that changes scans alike."""

    def nudge(scan, generator):
        return replace(scan, points=scan.points + np.float32(generator.uniform(0, 0.01)))

    return nudge


def test_features_are_computed_once_and_again_where_anything_changed(tmp_path):
    def files():
        return len(list(tmp_path.iterdir()))

    def read(encoder, scans, collate, **options):
        cache = FeatureCache(encoder, scans, collate, tmp_path, **options)
        return [cache[index] for index in range(len(cache))]

    read(small_encoder(), SCANS, PLAIN)
    read(small_encoder(), SCANS, PLAIN)
    assert files() == 3
    read(small_encoder(seed=1), SCANS, PLAIN)
    assert files() == 6
    read(small_encoder(), SCANS, ScanCollate(INDOOR, 0.2))
    assert files() == 9
    for nudge in (nudged(), nudged()):  # the same wherever in memory the function lies
        read(small_encoder(), SCANS, ScanCollate(INDOOR, 0.2, augment=nudge))
    assert files() == 12
    relabelled = replace(SCANS[0], labels=(SCANS[0].labels + 1).astype(np.uint8))
    read(small_encoder(), [relabelled], PLAIN)
    assert files() == 13


def test_views_are_the_scan_itself_and_seeded_augmentations(tmp_path):
    collate = ScanCollate(INDOOR, VOXEL, shaken)
    encoder = small_encoder()
    cache = FeatureCache(encoder, SCANS, collate, tmp_path / "a", views=3, seed=4)
    again = FeatureCache(encoder, SCANS, collate, tmp_path / "b", views=3, seed=4)
    assert len(cache) == 9
    plain = FeatureCache(encoder, SCANS, PLAIN, tmp_path / "c")[1]
    assert torch.equal(cache[1].feats[0], plain.feats[0])
    assert torch.equal(cache[7].feats[0], again[7].feats[0])
    shapes = {cache[index].feats[0].sum().item() for index in (1, 4, 7)}
    assert len(shapes) == 3


# Decoder --------------------------------------------------------------------------------------


def test_a_decoder_is_of_the_published_shape():
    base = PTv3Config(in_channels=9, enc_mode=True)
    config = decoder_config(base)
    assert config.dec_channels == (64, 96, 192, 384) and config.dec_depths == (2, 2, 2, 2)
    assert config.dec_num_head == (4, 6, 12, 24)


def test_a_decoder_follows_its_seed_and_leaves_the_encoder_alone():
    encoder = small_encoder()
    one, same, other = (with_decoder(encoder, seed) for seed in (0, 0, 1))
    assert one.enc is encoder.enc and with_decoder(one) is one
    weights = [dict(model.dec.named_parameters()) for model in (one, same, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_a_decoder_fits_rotary_encoders():
    config = replace(CONFIG, enc_channels=(18, 36, 72), enc_num_head=(1, 2, 4), rotary=True)
    encoder = with_decoder(small_encoder(config=config))
    assert encoder.rotary and encoder.channels == (18,)


# LoRA -----------------------------------------------------------------------------------------


def adapted(seed=0, **options):
    """An encoder whose adapters have learnt something."""
    encoder = small_encoder()
    add_lora(encoder, **options)
    generator = torch.Generator().manual_seed(seed)
    for module in encoder.modules():
        if isinstance(module, LoraLinear):
            with torch.no_grad():
                module.up.copy_(torch.randn(module.up.shape, generator=generator) * 0.2)
    return encoder.eval()


def test_merged_equals_unmerged():
    encoder, head = adapted(), LinearHead(96, 3)
    plain, unmerged = logits_of(small_encoder(), head), logits_of(encoder, head)
    merge_lora(encoder)
    assert not any(isinstance(module, LoraLinear) for module in encoder.modules())
    assert set(encoder.state_dict()) == set(small_encoder().state_dict())
    merged = logits_of(encoder, head)
    assert merged.numpy() == pytest.approx(unmerged.numpy(), abs=2e-5)
    assert (merged - plain).abs().max() > 1e-2  # there was something to merge


def test_adapters_change_nothing_before_they_learn():
    encoder, head = small_encoder(), LinearHead(96, 3)
    before = logits_of(encoder, head)
    add_lora(encoder)
    assert torch.equal(logits_of(encoder, head), before)


def test_only_adapters_of_qkv_learn():
    encoder = adapted(rank=8)
    learning = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    assert learning and all(".attn.qkv." in name for name in learning)
    assert {name.rsplit(".", 1)[1] for name in learning} == {"up", "down"}
    blocks = sum(CONFIG.enc_depths)
    assert len(learning) == 2 * blocks
    assert all(8 in p.shape for p in learning.values())


def test_dropout_acts_in_training_alone():
    encoder, head = adapted(dropout=0.5), LinearHead(96, 3)
    calm = logits_of(encoder, head)
    assert torch.equal(calm, logits_of(encoder, head))
    encoder.train()
    torch.manual_seed(0)
    assert not torch.equal(calm, logits_of(encoder, head))


def test_a_method_that_is_invalid_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'heads', expected one of head"):
        train("heads", small_encoder(), SCANS, (), 3, PLAIN, recipe(tmp_path))
    with pytest.raises(ValueError, match="rank is 0"):
        add_lora(small_encoder(), rank=0)


# TensorBoard ----------------------------------------------------------------------------------


def test_scalars_are_written_where_tensorboard_is_installed(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = recipe(tmp_path, steps=20, validate_every=15)
    train("head", small_encoder(), SCANS, SCANS, 3, PLAIN, options)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [10, 20]
    assert [event.step for event in events.Scalars("validation/mIoU")] == [15, 20]


def test_without_tensorboard_training_says_so_and_continues(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with caplog.at_level(logging.INFO):
        train("head", small_encoder(), SCANS, (), 3, PLAIN, recipe(tmp_path, steps=1))
    assert "concerto_ros[train]" in caplog.text
