# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning and pre-training of object encoders: recipes, learning, resuming."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_objects import NAMES, tiny_recon, toys

from concerto_ros.learning.objects.data.synthetic import CLASSES, object_points
from concerto_ros.learning.objects.demo_encoder.training import SHAPE
from concerto_ros.learning.objects.pretraining.without_teachers import (
    agreement_loss,
    new_recon,
    pretrain,
)
from concerto_ros.learning.objects.protocols.pointnet import PointNet
from concerto_ros.learning.objects.training import fine_tune as tuning
from concerto_ros.learning.objects.training.models import (
    count_trained,
    save_object_encoder,
    trained_sizes,
)
from concerto_ros.learning.objects.training.recipes import (
    ObjectTrainingConfig,
    recipe_for,
    svm_recipe,
)
from concerto_ros.learning.objects.training.training_run import (
    RunOptions,
    TrainingRun,
    parameter_groups,
)
from concerto_ros.learning.training.schedule import Schedule
from concerto_ros.objects.encoders.any2point.encoder import Any2Point
from concerto_ros.objects.encoders.any2point.variants import VARIANTS
from concerto_ros.objects.encoders.demo_encoder import demo_file, load_demo, save_demo
from concerto_ros.objects.encoders.i2p_mae.encoder import GROUPINGS, I2PMAE
from concerto_ros.objects.encoders.i2p_mae.network import Widths
from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.mixcon3d.encoder import MixCon3D
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.shared.base import NONE_OF_THESE
from concerto_ros.ptv3.checkpoint import CheckpointError

RECIPE = ObjectTrainingConfig(5e-3, "turn", batch_size=16, epochs=11, warm_up=1)


def tiny_any2point() -> Any2Point:
    shape = dict(width=24, depth=1, heads=2, point_width=3, adapter_width=2, neighbours=4)
    return Any2Point(VARIANTS["ib_scan"], **shape)


def test_the_rate_warms_up_then_falls_along_one_cosine():
    recipe = ObjectTrainingConfig(1e-3, "turn")
    rates = [recipe.rate(epoch, 1e-3) for epoch in (0, 5, 10, 150, 300)]
    # The cosine counts its epochs from the start of the run: at its end warming up leaves a step.
    tenth = 1e-6 + (1e-3 - 1e-6) * (1 + np.cos(np.pi / 30)) / 2
    np.testing.assert_allclose(rates, [1e-6, 5.005e-4, tenth, 5.005e-4, 1e-6])
    short = recipe.shortened(20)
    assert (short.epochs, short.warm_up, recipe.shortened(400).warm_up) == (20, 2, 10)
    with pytest.raises(ValueError, match="epochs is 0, expected at least 1"):
        recipe.shortened(0)


@pytest.mark.parametrize(
    ("arguments", "rate", "change"),
    [
        ((ReCon, "full", "modelnet40_h5"), 1e-5, "scale_shift"),
        ((ReCon, "full", "scanobjectnn_obj_bg"), 2e-5, "turn"),
        ((ReCon, "mlp3", "modelnet40_txt"), 1e-4, "scale_shift"),
        ((I2PMAE, "full", "modelnet40_txt"), 5e-4, "scale_shift"),
        ((I2PMAE, "full", "scanobjectnn_pb_t50_rs"), 5e-4, "stretch_turn_together"),
        ((Any2Point, "adapters", "scanobjectnn_pb_t50_rs"), 5e-4, "stretch_turn"),
    ],
)
def test_recipes_are_the_published_ones(arguments, rate, change):
    recipe = recipe_for(*arguments)
    assert (recipe.learning_rate, recipe.change) == (rate, change)
    assert (recipe.epochs, recipe.batch_size, recipe.weight_decay) == (300, 32, 0.05)
    assert recipe.smoothing == (
        0.2 if arguments[0] is I2PMAE and rate and change == "scale_shift" else 0
    )
    assert recipe.head_factor == (10 if arguments[0] is ReCon else 1)


@pytest.mark.parametrize(
    ("arguments", "late", "extra", "change_first"),
    [
        ((ReCon, "full", "modelnet40_h5"), 1, 1, False),
        ((I2PMAE, "full", "scanobjectnn_pb_t50_rs"), 1, 1, False),
        ((Any2Point, "adapters", "modelnet40_dat"), 1, 1, False),
        ((Any2Point, "adapters", "scanobjectnn_pb_t50_rs"), 0, 0, True),
    ],
)
def test_epochs_and_their_rates_are_those_of_the_published_loops(
    arguments, late, extra, change_first
):
    recipe = recipe_for(*arguments)
    assert (recipe.lag, recipe.extra_epochs, recipe.change_first) == (late, extra, change_first)
    rates = [recipe.rate(epoch, 1.0) for epoch in range(3)]
    wanted = [0.0, 0.0, 0.1] if late else [0.0, 0.1, 0.2]
    np.testing.assert_allclose(rates, wanted, atol=2e-6)


def test_a_head_on_8192_points_learns_half_as_fast():
    rates = [
        recipe_for(ReCon, method, layout, points=points).learning_rate
        for method, layout, points in (
            ("mlp3", "modelnet40_txt", 8192),
            ("linear", "modelnet40_h5", 8192),
            ("linear", "modelnet40_h5", 1024),
            ("linear", "scanobjectnn_obj_bg", 8192),
            ("full", "modelnet40_txt", 8192),
        )
    ]
    assert rates == [5e-5, 5e-5, 1e-4, 1e-4, 1e-5]


def test_few_shot_has_a_recipe_of_its_own():
    recipe = recipe_for(ReCon, "full", "modelnet40_txt", few_shot=True)
    assert (recipe.learning_rate, recipe.change, recipe.epochs) == (5e-4, "turn", 150)


def test_a_method_that_was_not_published_is_refused():
    with pytest.raises(
        ValueError, match="i2p_mae has no published recipe for 'linear'; it has full"
    ):
        recipe_for(I2PMAE, "linear", "synthetic")
    with pytest.raises(
        ValueError, match="mixcon3d has no published recipe for 'full'; it has none"
    ):
        recipe_for(MixCon3D, "full", "synthetic")
    with pytest.raises(ValueError, match="recon has no adapters; expected any2point"):
        tiny_recon().trained_parameters("adapters")


def test_other_points_are_the_farthest_each_time(monkeypatch):
    data, seen = toys(2, points=200), []
    model = tiny_recon()

    def note(batch):
        seen.append({tuple(point) for point in batch[0].round(decimals=4).tolist()})
        return torch.zeros(len(batch), 4, requires_grad=True)

    monkeypatch.setattr(model, "classify", note)
    recipe = replace(RECIPE, change="none", epochs=2, warm_up=0, batch_size=8)
    monkeypatch.setitem(tuning.CHANGES, "none", lambda points, generator: points)
    tuning.fine_tune(model, data.take([0] * 8), recipe)
    drawn = set.union(*seen)
    assert len(drawn) > 60  # 57 candidates of 48 points, if they were sampled once


def test_svms_are_the_published_ones():
    assert svm_recipe(ReCon, "modelnet40_txt").c == 0.075
    i2p = svm_recipe(I2PMAE, "modelnet40_h5")
    assert (i2p.one_vs_one, i2p.c, i2p.first) == (True, 0.0093, True)
    objects = svm_recipe(I2PMAE, "scanobjectnn_obj_bg")
    assert (objects.c, objects.first) == (0.018, True)
    assert svm_recipe(Any2Point, "scanobjectnn_pb_t50_rs") == svm_recipe(ReCon, "modelnet40")


def groups_of(model, recipe: ObjectTrainingConfig) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay by name."""
    named = dict(model.named_parameters())
    found = {}
    for group in parameter_groups(named, recipe, tuning.rate_and_decay):
        members = {id(value) for value in group["params"]}
        for name, value in named.items():
            if id(value) in members:
                found[name] = (
                    round(group["highest"] / recipe.learning_rate),
                    group["weight_decay"],
                )
    assert found.keys() == named.keys()
    return found


def test_recon_gives_its_class_token_and_head_ten_times_the_rate():
    found = groups_of(tiny_recon(), recipe_for(ReCon, "full", "modelnet40_h5"))
    assert found["trunk.cls_pos"] == found["cls_head_finetune.0.bias"] == (10, 0.05)
    assert found["trunk.img_token"] == found["trunk.norm.weight"] == (1, 0.0)
    assert found["trunk.img_pos"] == found["trunk.pos_embed.0.weight"] == (1, 0.05)


def test_i2p_mae_lets_nothing_with_token_in_its_name_decay():
    model = I2PMAE(Widths((8, 8, 8), (1, 1, 1), 2), GROUPINGS["modelnet40"], 1024)
    model.add_head(4)
    found = groups_of(model, recipe_for(I2PMAE, "full", "modelnet40_h5"))
    assert found["h_encoder.token_embed.0.first_conv.0.weight"] == (1, 0.0)
    assert found["cls_head_finetune.0.weight"] == (1, 0.05)
    assert found["cls_head_finetune.0.bias"] == (1, 0.0)


def test_any2point_trains_all_but_the_transformer_it_borrows():
    model = tiny_any2point()
    names = model.trained_parameters("adapters")
    assert "blocks.0.attn.qkv.weight" not in names and "blocks.0.adapter.ln1.weight" in names
    found = groups_of(model, recipe_for(Any2Point, "adapters", "scanobjectnn_pb_t50_rs"))
    assert found["cls_token"] == (1, 0.0) and found["cls_pos"] == (1, 0.05)
    beside, head = trained_sizes(model, "adapters")
    assert f"{beside:,} numbers beside the head and {head:,} in it" in count_trained(
        model, "adapters"
    )


def test_the_official_size_of_any2point_trains_less_than_a_million_numbers_beside_the_head():
    with torch.device("meta"):
        model = Any2Point(VARIANTS["clip_scan"])
    assert trained_sizes(model, "adapters")[0] < 1_000_000


@pytest.mark.parametrize("change", tuning.CHANGES)
def test_every_change_keeps_up_where_it_is(change):
    points = torch.randn(3, 20, 3, generator=torch.Generator().manual_seed(0))
    changed = tuning.CHANGES[change](points, torch.Generator().manual_seed(1))
    assert changed.shape == points.shape and not torch.equal(changed, points)
    scale = changed[:, :, 1].std(1) / points[:, :, 1].std(1)
    assert ((scale > 0.6) & (scale < 1.6)).all()
    if change == "stretch_turn_together":
        first, second = (torch.complex(p[:, 0, 0], p[:, 0, 2]) for p in (points, changed))
        turned = second * first.conj()
        # All by one angle, but for the stretching.
        assert abs((turned / turned.abs()).mean()) > 0.98


@pytest.mark.parametrize("make", [tiny_recon, lambda: PointNet(48, 4)])
def test_fine_tuning_learns_to_tell_toys_apart(make):
    torch.manual_seed(0)
    model = make()
    outcome = tuning.fine_tune(
        model, toys(16), RECIPE, RunOptions(test=toys(8, seed=1), test_every=4)
    )
    assert outcome.epochs == 12 and outcome.best_epoch in (4, 8, 12)
    assert outcome.last > 0.8 and outcome.best >= outcome.last
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_a_frozen_encoder_keeps_its_weights():
    model = tiny_recon()
    before = copy.deepcopy(model.state_dict())
    tuning.fine_tune(model, toys(8), RECIPE.shortened(1), method="mlp3")
    moved = {n for n, v in model.named_parameters() if not torch.equal(v, before[n])}
    assert moved and all("cls" in name for name in moved)


def test_adapters_leave_the_borrowed_transformer_as_it_is():
    torch.manual_seed(0)
    model = tiny_any2point()
    before = copy.deepcopy(model.state_dict())
    data = toys(2, points=600)
    tuning.fine_tune(
        model,
        data,
        recipe_for(Any2Point, "adapters", "scanobjectnn_pb_t50_rs").shortened(1),
        method="adapters",
    )
    moved = {n for n, v in model.named_parameters() if not torch.equal(v, before[n])}
    assert "head.0.weight" in moved and moved <= model.trainable_parameters().keys()


def test_a_run_that_was_killed_resumes_as_if_it_had_not_been(tmp_path, monkeypatch):
    recipe = RECIPE.shortened(3)
    whole = tiny_recon()
    expected = tuning.fine_tune(whole, toys(8), recipe, RunOptions(test=toys(4, seed=1)))

    killed = tiny_recon()
    kept = RunOptions(test=toys(4, seed=1), folder=tmp_path)
    step = TrainingRun.train_epoch

    def stop_at_two(run):
        if run.epoch == 2:
            raise KeyboardInterrupt
        return step(run)

    monkeypatch.setattr(TrainingRun, "train_epoch", stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        tuning.fine_tune(killed, toys(8), recipe, kept)
    monkeypatch.undo()
    resumed = tiny_recon()
    found = tuning.fine_tune(resumed, toys(8), recipe, kept)
    assert (found.last, found.best, found.epochs) == (expected.last, expected.best, 4)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    with pytest.raises(ValueError, match="belongs to a run with different seed"):
        tuning.fine_tune(tiny_recon(), toys(8), recipe, RunOptions(seed=1, folder=tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": 5}, "different weights to start from"),
        ({"method": "mlp3"}, "different method: full there, mlp3 here"),
        ({"train": replace(toys(2), labels=np.roll(toys(2).labels, 1))}, "different labels"),
        ({"train": replace(toys(2), classes=NAMES[::-1])}, "different classes"),
        ({"train": replace(toys(2), points=toys(2).points * np.float32(2))}, "different points"),
        ({"about": {"keywords": {"groups": 4}}}, "different keywords"),
    ],
)
def test_a_run_does_not_resume_as_another(tmp_path, change, message):
    recipe, data = replace(RECIPE.shortened(1), batch_size=8), toys(2)

    def tuned(start=0, train=data, method="full", about=None):
        options = RunOptions(folder=tmp_path, about=about or {"keywords": {}})
        return tuning.fine_tune(tiny_recon(seed=start), train, recipe, options, method=method)

    assert tuned() == tuned()
    with pytest.raises(ValueError, match=f"belongs to a run with {message}"):
        tuned(**change)


@pytest.mark.parametrize(
    ("recipe", "every", "message"),
    [
        (replace(RECIPE, batch_size=0), 1, "batch_size is 0"),
        (replace(RECIPE, epochs=0), 1, "epochs is 0"),
        (RECIPE, 0, "test_every is 0"),
    ],
)
def test_numbers_that_make_no_run_are_refused(recipe, every, message):
    with pytest.raises(ValueError, match=f"{message}, expected at least 1"):
        tuning.fine_tune(
            tiny_recon(), toys(2), recipe, RunOptions(test=toys(2, seed=1), test_every=every)
        )


def test_an_encoder_without_a_head_is_not_fine_tuned():
    with pytest.raises(ValueError, match="the head has None classes, expected 4"):
        tuning.fine_tune(tiny_recon(classes=None), toys(2), RECIPE)
    with pytest.raises(ValueError, match="the head of any2point has 15 classes, expected 4"):
        tiny_any2point().reset_head(4, "adapters")


@pytest.mark.parametrize(("method", "kept"), [("full", False), ("mlp3", True), ("linear", True)])
def test_an_encoder_that_is_tuned_as_a_whole_no_longer_knows_words(method, kept):
    model = tiny_recon()
    model.add_projections(6, 6)
    model.reset_head(4, method)
    assert model.knows_words == kept
    if method == "full":  # nothing is counted that no loss reaches
        model.classify(torch.from_numpy(toys(1).points[:, :48])).sum().backward()
        reached = sum(v.numel() for v in model.parameters() if v.grad is not None)
        head = sum(value.numel() for value in model.cls_head_finetune.parameters())
        said = count_trained(model, method)
        assert f"{reached - head:,} numbers beside the head and {head:,} in it" in said


def test_any2point_centres_whole_clouds_before_it_draws(monkeypatch):
    model, seen = tiny_any2point(), []
    classify = model.classify
    monkeypatch.setattr(
        model, "classify", lambda batch: (seen.append(batch.detach()), classify(batch))[1]
    )
    data = toys(2, points=2048)
    # Most points are at one height, so what is drawn far apart has another mean than all.
    data.points[:, :1800, 1], data.points[:, 1800:, 1] = 0.0, 1.0
    recipe = recipe_for(Any2Point, "adapters", "scanobjectnn_pb_t50_rs").shortened(1)
    tuning.fine_tune(model, data, recipe, method="adapters")
    height = torch.cat(seen)[..., 1]
    share = -height.amin(1) / (height.amax(1) - height.amin(1))  # whatever the stretching
    torch.testing.assert_close(share, torch.full_like(share, 248 / 2048), atol=1e-4, rtol=0)


def test_a_broken_gradient_is_reported():
    recipe = ObjectTrainingConfig(1e30, "turn", epochs=4, warm_up=0, batch_size=16)
    with pytest.raises(ValueError, match=r"the gradient's norm is .*; lower the learning rate"):
        tuning.fine_tune(tiny_recon(), toys(8), recipe)


def test_pre_training_lowers_its_loss_without_labels():
    models = [tiny_recon(classes=None) for _ in range(2)]
    schedule = Schedule(learning_rate=5e-3, clip=10.0)
    # The second time there are no labels at all to look at.
    data = toys(16)
    sets = [data, replace(data, labels=np.zeros_like(data.labels))]
    losses = [
        pretrain(model, [one], steps=24, batch_size=16, schedule=schedule)
        for model, one in zip(models, sets, strict=True)
    ]
    assert np.mean(losses[0][-5:]) < 0.7 * np.mean(losses[0][:3])
    assert losses[0] == losses[1]
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    untouched = tiny_recon(classes=None).trunk.encoder.first_conv[0].weight
    assert not torch.equal(models[0].trunk.encoder.first_conv[0].weight, untouched)


def test_sightings_are_of_the_same_objects():
    with pytest.raises(ValueError, match=r"sightings have \[8, 12\] objects"):
        pretrain(tiny_recon(classes=None), [toys(2), toys(3)], steps=1)


def test_agreement_is_better_the_more_alike_partners_are():
    first = torch.eye(4)
    alike = agreement_loss(torch.cat([first, first]))
    assert alike < 0.01 < agreement_loss(torch.cat([first, first.flip(0)]))
    same = agreement_loss(torch.ones(8, 3))
    torch.testing.assert_close(same, torch.tensor(4.0).log())


def test_what_was_trained_is_read_back_with_the_names_of_its_classes(tmp_path):
    model = tiny_recon().eval()
    save_object_encoder(tmp_path / "encoder.pth", model, NAMES)
    found = load_object_encoder(
        tmp_path / "encoder.pth", heads=2, groups=8, group_size=8, points=48
    )
    assert found.class_names == NAMES
    points = torch.from_numpy(toys(1).points)
    torch.testing.assert_close(found.classify(points), model.classify(points))


def test_the_bundled_encoder_survives_its_file(tmp_path):
    model = new_recon(SHAPE, 512).eval()
    model.add_head(4)
    model.class_names = NAMES
    model.eval()
    save_demo(model, tmp_path / "demo.safetensors")
    assert (tmp_path / "demo.safetensors").stat().st_size < 8e6
    found = load_demo(tmp_path / "demo.safetensors")
    assert found.class_names == NAMES and found.points == 512 and not found.training
    points = torch.from_numpy(toys(1, points=512).points)
    torch.testing.assert_close(found.classify(points), model.classify(points), atol=5e-3, rtol=0)


def test_the_bundled_encoder_knows_objects_that_it_has_not_seen():
    encoder = load_object_encoder("demo")
    assert encoder.class_names == (*CLASSES, NONE_OF_THESE) and demo_file().stat().st_size < 8e6
    labels = [label for label in range(len(CLASSES)) for _ in range(2)]
    seen = [object_points("test", label, 100 + n, "view") for n, label in enumerate(labels)]
    batch = torch.stack([encoder.prepare(points) for points in seen])
    with torch.inference_mode():
        guesses = encoder.classify(batch).argmax(1)
        alone = encoder.classify(batch[:1])
        torch.testing.assert_close(alone, encoder.classify(batch)[:1], atol=1e-4, rtol=1e-4)
    assert (guesses == torch.tensor(labels)).float().mean() > 0.6


def test_a_damaged_bundled_encoder_is_refused(tmp_path):
    path = tmp_path / "demo.safetensors"
    with pytest.raises(CheckpointError, match="demo.safetensors cannot be read"):
        load_demo(path)
    path.write_bytes(b"\x05")
    with pytest.raises(CheckpointError, match="demo.safetensors cannot be read"):
        load_demo(path)
    with pytest.raises(ValueError, match="demo is a model of recon and takes no options"):
        load_object_encoder("demo", heads=3)
