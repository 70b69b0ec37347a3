# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth: branches left out at random while training lasts."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small_objects import tiny_recon, toys
from torch import nn
from training_data import CONFIG, INDOOR, box_scan, small_encoder

from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.methods.config import DROP_PATH, TrainingConfig
from concerto_ros.learning.methods.decoder import with_decoder
from concerto_ros.learning.methods.train import drop_path, published_rate, train
from concerto_ros.learning.objects.training.fine_tune import fine_tune
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig, recipe_for
from concerto_ros.learning.objects.training.training_run import residual_branches
from concerto_ros.learning.training.stochastic_depth import stochastic_depth
from concerto_ros.objects.encoders.any2point.encoder import Any2Point
from concerto_ros.objects.encoders.i2p_mae.encoder import GROUPINGS, I2PMAE
from concerto_ros.objects.encoders.i2p_mae.network import Widths
from concerto_ros.objects.encoders.recon.encoder import ReCon


def blocks(count: int) -> list[list[nn.Module]]:
    """Blocks of one branch, which says what it is told."""
    return [[nn.Identity()] for _ in range(count)]


def test_rows_are_left_out_more_often_the_later_the_block():
    parts = blocks(5)
    rows = torch.ones(20_000, 2, 3)
    with stochastic_depth(parts, 0.4, torch.Generator().manual_seed(0)):
        told = [part(rows) for (part,) in parts]
    assert told[0] is rows
    for place, output in enumerate(told):
        rate = 0.1 * place
        # A row is left out as a whole, and what is left makes up for it.
        values = output.flatten(1)
        assert torch.equal(values.amin(1), values.amax(1))
        assert (values[:, 0] == 0).float().mean() == pytest.approx(rate, abs=0.012)
        kept = values[values[:, 0] > 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))


def test_nothing_is_left_out_in_evaluation_or_afterwards():
    parts = blocks(2)
    rows = torch.ones(100, 3)
    with stochastic_depth(parts, 0.5):
        assert parts[1][0].eval()(rows) is rows
        parts[1][0].train()
    assert parts[1][0](rows) is rows
    with pytest.raises(RuntimeError), stochastic_depth(parts, 0.5):
        raise RuntimeError
    assert parts[1][0](rows) is rows


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_that_is_invalid_is_refused(rate):
    with (
        pytest.raises(ValueError, match=f"is {rate}, expected 0 to less than 1"),
        stochastic_depth(blocks(2), rate),
    ):
        pass


def test_the_branches_of_encoders_are_found():
    recon = residual_branches(tiny_recon())
    assert [len(branches) for branches in recon] == [4]
    i2p = I2PMAE(Widths((8, 8, 8), (1, 2, 1), 2), GROUPINGS["modelnet40"], 1024)
    assert [len(branches) for branches in residual_branches(i2p)] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "few_shot", "rate"),
    [
        ((ReCon, "full", "modelnet40_h5"), False, 0.2),
        ((ReCon, "full", "modelnet40_h5"), True, 0.1),
        ((I2PMAE, "full", "scanobjectnn_pb_t50_rs"), False, 0.1),
        ((Any2Point, "adapters", "modelnet40_h5"), False, 0.0),
    ],
)
def test_recipes_leave_out_as_many_as_published(arguments, few_shot, rate):
    assert recipe_for(*arguments, few_shot=few_shot).drop_path == rate


def test_a_training_with_it_is_another_one_and_the_same_each_time():
    weights = []
    for rate in (0.0, 0.5, 0.5):
        model = tiny_recon(blocks=2)
        names = list(model.state_dict())
        recipe = ObjectTrainingConfig(
            5e-3, "turn", batch_size=16, epochs=1, warm_up=0, drop_path=rate
        )
        fine_tune(model, toys(8), recipe)
        assert list(model.state_dict()) == names
        weights.append(torch.cat([value.flatten() for value in model.parameters()]))
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[1], weights[2])


def test_the_coarsest_blocks_of_an_encoder_are_left_out_most():
    encoder = with_decoder(small_encoder()).train()
    names, shares = list(encoder.state_dict()), {}
    batch = ScanCollate(INDOOR, 0.1)([box_scan(0, 600)], None)

    def note(name):
        def hook(_branch, _inputs, output):
            shares[name] = float((output == 0).all(1).float().mean())

        return hook

    with torch.no_grad(), drop_path(encoder, 0.8):
        for name, module in encoder.named_modules():
            if name.endswith((".attn", ".mlp")):
                module.register_forward_hook(note(name))
        encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
    assert list(encoder.state_dict()) == names
    wanted = {"enc.enc0": 0, "enc.enc1": 0.4, "enc.enc2": 0.8}
    # Of the four blocks of the decoder, which begins with the coarse ones.
    blocks = ("dec.dec0.block1", "dec.dec0.block0", "dec.dec1.block1", "dec.dec1.block0")
    wanted |= {name: 0.8 * place / 3 for place, name in enumerate(blocks)}
    assert len(shares) == 14
    for name, share in shares.items():
        rate = next(rate for start, rate in wanted.items() if name.startswith(start))
        assert share == pytest.approx(rate, abs=0.2 if rate else 0), name


def test_encoders_are_trained_with_it_as_published_or_as_asked(tmp_path):
    scans = [box_scan(seed, 300) for seed in range(2)]
    weights = []
    for number, rate in enumerate((None, 0.3, 0.0)):
        recipe = TrainingConfig(
            tmp_path / str(number), steps=2, validate_every=0, progress=False, drop_path=rate
        )
        encoder, _, _ = train(
            "full", small_encoder(), scans, [], 3, ScanCollate(INDOOR, 0.2), recipe
        )
        weights.append(torch.cat([value.flatten() for value in encoder.parameters()]))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])


def test_rates_of_trainings_on_scans_are_those_of_pointcept_for_concerto():
    wide = replace(CONFIG, enc_channels=(*CONFIG.enc_channels[:-1], 768))
    encoders = [SimpleNamespace(config=config) for config in (CONFIG, wide)]
    rates = [[published_rate(method, e) for e in encoders] for method in ("decoder", "full")]
    assert rates == [[1e-3, 2e-3], [1e-3, 2e-3]]
    assert [published_rate(method, encoders[0]) for method in ("head", "lora")] == [2e-3, 2e-3]
    assert DROP_PATH == {"decoder": 0.3, "lora": 0.3, "full": 0.3}
