# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs of the pre-training: reproducible, resumable, and what their steps compute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_rooms import VOXEL, room_scan, small_encoder, small_preset

from concerto_ros.learning.adaptation.batches import ViewCollate
from concerto_ros.learning.adaptation.model import PretrainingModel, distillation
from concerto_ros.learning.adaptation.run import RunConfig, new_encoder, pretrain
from concerto_ros.learning.adaptation.scenes import JoinedScenes, ScanScenes, Scene, SomeScenes
from concerto_ros.learning.pretraining.presets import ADAPT, CONCERTO
from concerto_ros.ptv3.precision import training_precision
from concerto_ros.segmentation.convention import convention_for

INDOOR = convention_for("indoor", rotary=False)

#: The recipe for a small machine, for a still smaller room.
TINY = small_preset(
    ADAPT,
    steps=3,
    blend=1.0,
    kept=0.5,
    batch_size=2,
    heads_factor=10.0,
    heads_first=1,
    learning_rate=1e-3,
)


class Stopped(Exception):
    """A run that was killed."""


class Rooms(ScanScenes):
    """Rooms; the reading of one of them may be counted down to an end."""

    def __init__(self, count: int = 2, reads: int | None = None):
        super().__init__([room_scan(seed) for seed in range(count)], {"rooms": count})
        self.reads = reads

    def read_item(self, index):
        if self.reads is not None:
            self.reads -= 1
            if self.reads < 0:
                raise Stopped
        return super().read_item(index)


def run(folder=None, rooms=None, preset=TINY, **options):
    encoder = small_encoder()
    scenes = SomeScenes(JoinedScenes([rooms or Rooms()]), [0, 1])
    options = {"distilled": preset.fixed_teacher, "checkpoint_every": 1} | options
    config = RunConfig(folder, preset, progress=False, **options)
    pretrain(encoder, scenes, INDOOR, VOXEL, config)
    return encoder


def weights(encoder):
    return torch.cat([parameter.detach().flatten() for parameter in encoder.parameters()])


@pytest.fixture(scope="module")
def whole():
    """The weights after a run that nothing interrupts."""
    return weights(run())


def batch_of(preset=TINY, seed=0):
    scenes = Rooms()
    collate = ViewCollate(INDOOR, VOXEL, preset.at_voxels(VOXEL))
    return collate([scenes[0], scenes[1]], np.random.default_rng(seed)), collate


def test_a_killed_run_resumes_to_the_same_bits_and_another_seed_gives_others(tmp_path, whole):
    with pytest.raises(Stopped):
        run(tmp_path, Rooms(reads=5))  # two in a step
    assert torch.equal(weights(run(tmp_path)), whole)
    assert not torch.equal(weights(run(seed=1)), whole)
    assert not torch.equal(whole, weights(small_encoder()))


def test_the_result_lies_between_the_weights_at_the_start_and_at_the_end(tmp_path, whole):
    start = weights(small_encoder())
    assert not torch.equal(start, whole)
    half = replace(TINY, blend=0.5)
    assert torch.allclose(weights(run(tmp_path, preset=half)), (start + whole) / 2, atol=1e-7)
    # Nor does it move on when the same command is given again.
    assert torch.allclose(weights(run(tmp_path, preset=half)), (start + whole) / 2, atol=1e-7)
    moving = replace(TINY, fixed_teacher=False, steps=1, heads_first=0)
    one, other = (run(preset=replace(moving, blend=blend)) for blend in (0.5, 1.0))
    assert torch.equal(weights(one), weights(other)) and not torch.equal(weights(one), start)


def test_the_state_of_another_recipe_is_refused(tmp_path):
    run(tmp_path, preset=replace(TINY, steps=1))
    with pytest.raises(ValueError, match="different method"):
        run(tmp_path, preset=replace(TINY, steps=1, student_temperature=0.2))


def test_the_encoder_stays_while_only_the_heads_are_trained():
    same = weights(run(preset=replace(TINY, steps=2, heads_first=9)))
    assert torch.equal(same, weights(small_encoder()))


def test_only_the_coarsest_stages_are_trained_where_so_asked():
    trained, start = run(preset=replace(TINY, steps=2, stages=1)), small_encoder()
    same = {
        name: torch.equal(value, dict(start.named_parameters())[name])
        for name, value in trained.named_parameters()
    }
    assert all(kept for name, kept in same.items() if not name.startswith("enc.enc2."))
    assert not all(kept for name, kept in same.items() if name.startswith("enc.enc2."))
    with pytest.raises(ValueError, match="stages is 4, expected 1 to 3"):
        run(preset=replace(TINY, stages=4))


def test_bfloat16_products_give_nearly_the_same_loss_and_gradients_and_are_off_by_default():
    batch, collate = batch_of()
    losses, gradients = [], []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        preset = collate.preset
        model = PretrainingModel(small_encoder(), preset, collate.edge, INDOOR.scale, 0, True)
        model.step = preset.heads_first
        torch.manual_seed(1)
        with training_precision(torch.device("cpu"), precision):
            loss = model(batch)
        loss.backward()
        losses.append(loss.item())
        parts = (p.grad for p in model.student.backbone.parameters() if p.grad is not None)
        gradients.append(torch.cat([part.flatten() for part in parts]))
    assert losses[0] != losses[1] and abs(losses[1] / losses[0] - 1) < 0.01
    one, other = gradients
    assert (one - other).norm() < 0.1 * one.norm()
    preset = replace(TINY, steps=2)
    plain = weights(run(preset=preset))
    assert torch.equal(plain, weights(run(preset=preset, precision="float32")))
    assert not torch.equal(plain, weights(run(preset=preset, precision="bfloat16")))
    with pytest.raises(ValueError, match="precision is 'half', expected one of auto"):
        run(precision="half")


def test_from_nothing_with_a_moving_teacher_and_dropped_branches():
    encoder = run(preset=small_preset(CONCERTO, steps=2, batch_size=2))
    assert torch.isfinite(weights(encoder)).all()
    assert not encoder.training and encoder.grid_size == VOXEL


def test_a_new_encoder_has_the_shape_of_another_and_weights_of_its_own():
    like = small_encoder()
    new = new_encoder(like, seed=3)
    assert new.config == like.config and new.grid_size == like.grid_size
    assert not torch.equal(weights(new), weights(like))
    assert torch.equal(weights(new), weights(new_encoder(like, seed=3)))


def test_a_new_encoder_may_be_narrower_with_heads_as_wide_as_those_of_the_other():
    like = small_encoder()
    new = new_encoder(like, 0, channels=(8, 8, 24), depths=(1, 2, 1))
    assert new.config.enc_depths == (1, 2, 1) and new.channels == (8, 8, 24)
    assert new.config.enc_num_head == (1, 1, 3)
    assert new.config.order == like.config.order
    for channels, depths, fault in (
        ((8, 12, 16), None, "multiples of 8, the width of a head"),
        ((8, 16), None, "channels are .8, 16., expected 3"),
        (None, (1, 1, 1, 1), "depths are .* expected 3"),
    ):
        with pytest.raises(ValueError, match=fault):
            new_encoder(like, 0, channels, depths)


@pytest.mark.parametrize(
    ("preset", "options", "fault"),
    [
        (replace(TINY, heads_factor=1.0), {}, "another rate"),
        (replace(TINY, fixed_teacher=False), {"distilled": True}, "fixed teacher"),
        (TINY, {"processes": 3}, "divisor of the 2"),
    ],
)
def test_options_that_contradict_each_other_are_refused(preset, options, fault):
    with pytest.raises(ValueError, match=fault):
        run(preset=preset, **options)


def test_views_hold_each_voxel_once_and_say_where_their_points_were():
    one_point = replace(TINY, voxel_means=False)
    batch, collate = batch_of(one_point)
    assert len(batch.globals.offset) == 4 and len(batch.locals.offset) == 4
    points = {tuple(row) for seed in range(2) for row in room_scan(seed).points.tolist()}
    for views in (batch.globals, batch.locals):
        view = torch.searchsorted(views.offset, torch.arange(len(views.grid)), right=True)
        keys = torch.cat([view[:, None], views.grid], dim=1)
        assert len(torch.unique(keys, dim=0)) == len(keys)
        assert views.grid.min() == 0
        assert {tuple(row) for row in views.origin.tolist()} <= points
        assert views.feat[:, 3:6].max() <= 1
    again, _ = batch_of(one_point)
    assert torch.equal(again.globals.feat, batch.globals.feat)


def test_views_of_a_sensor_without_colours_have_none_as_in_the_node():
    scan = replace(room_scan(0), colors=None)
    collate = ViewCollate(INDOOR, VOXEL, TINY.at_voxels(VOXEL))
    views = collate([Scene(scan)], np.random.default_rng(0))
    assert not views.globals.feat[:, 3:6].any() and not views.locals.feat[:, 3:6].any()
    colored = collate([Scene(room_scan(0))], np.random.default_rng(0))
    assert colored.globals.feat[:, 3:6].any()


def test_the_student_sees_no_hidden_voxel_and_all_others_where_they_were():
    batch, collate = batch_of()
    preset = TINY.at_voxels(VOXEL)
    model = PretrainingModel(small_encoder(), preset, collate.edge, INDOOR.scale, distilled=True)
    torch.manual_seed(0)
    masked, kept = model.masked(batch)
    share = masked.mask.float().mean()
    assert 0.1 < share < 0.9
    seen = ~masked.mask
    assert torch.equal(masked.coord[seen], batch.globals.coord[kept[seen]])
    shift = masked.grid[seen] - batch.globals.grid[kept[seen]]
    assert len(torch.unique(shift, dim=0)) == 1
    stem = []
    model.student.backbone.embed = lambda feat, _: stem.append(feat) or torch.ones(len(feat), 8)
    model.student.mask_token.data.fill_(7.0)
    inputs = []
    model.student.backbone.forward_embedded = lambda feat, _: inputs.append(feat) or 1 / 0
    with pytest.raises(ZeroDivisionError):
        model.student(masked)
    assert torch.equal(inputs[0][:, 0] == 7.0, masked.mask)


def test_distillation_is_zero_for_the_teachers_features_and_not_for_others():
    batch, collate = batch_of()
    model = PretrainingModel(
        small_encoder(), TINY.at_voxels(VOXEL), collate.edge, INDOOR.scale, distilled=True
    )
    everything = torch.arange(len(batch.globals.grid))
    with torch.no_grad():
        same = model.student(batch.globals)
        assert float(distillation(same, same, everything)) < 1e-4
        masked, kept = model.masked(batch)
        assert float(distillation(model.student(masked), same, kept)) > 0.01


def test_the_terms_always_weigh_one_together():
    for images in (0, 5):
        for distilled in (False, True):
            model = PretrainingModel(small_encoder(), TINY, 0.1, 1.0, images, distilled)
            assert sum(model.weights().values()) == pytest.approx(1)
            assert ("image" in model.weights()) == bool(images)
