# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What object trainings do on a GPU beside the CPU's work: batches ahead, products in bfloat16.

Each of the trainings runs on a CPU as it would on a GPU, and as it does on a CPU.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from openshape_files import CHANNELS, openshape_folder
from shape_folders import TAXONOMIES, write_shapenet55, write_teacher
from small_objects import NAMES, tiny_i2p_mae, tiny_recon, toys

from concerto_ros.learning.images.image_models import load_image_model
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.data.openshape import TrainingSplit
from concerto_ros.learning.objects.data.shape_set import ObjectShapes
from concerto_ros.learning.objects.data.shapenet55 import ShapeNet55
from concerto_ros.learning.objects.mixcon3d import recipe as mixcon3d
from concerto_ros.learning.objects.mixcon3d import training as contrast_training
from concerto_ros.learning.objects.mixcon3d.contrast import ContrastModel
from concerto_ros.learning.objects.mixcon3d.training import ContrastOptions, train_contrast
from concerto_ros.learning.objects.pretraining import recon
from concerto_ros.learning.objects.pretraining.i2p_mae import run as i2p_mae
from concerto_ros.learning.objects.pretraining.i2p_mae.guides import ImageGuide
from concerto_ros.learning.objects.pretraining.teachers import read_teacher
from concerto_ros.learning.objects.training import train_parts as parts
from concerto_ros.learning.objects.training import training_run
from concerto_ros.learning.objects.training.fine_tune import fine_tune
from concerto_ros.learning.objects.training.models import save_object_encoder
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig, recipe_for
from concerto_ros.learning.objects.training.training_run import RunOptions
from concerto_ros.learning.training.prefetch import Prefetched
from concerto_ros.objects.encoders.any2point.encoder import Any2Point
from concerto_ros.objects.encoders.any2point.variants import VARIANTS
from concerto_ros.objects.encoders.mixcon3d.encoder import MixCon3D
from concerto_ros.objects.encoders.mixcon3d.network import Balls, PointPatchTransformer, Sizes
from concerto_ros.objects.encoders.recon.transformer import ReConShape

#: All of it draws at random: clouds, stochastic depth, the dropout of heads. Steps are small, so
#: that products that differ in their last digits do not lead elsewhere.
RECIPE = ObjectTrainingConfig(
    1e-5, "scale_shift", batch_size=6, epochs=2, warm_up=0, drop_path=0.3
)


def fine_tuned(folder, **options):
    """A small ReCon with more points than it takes."""
    model = tiny_recon(blocks=2)
    return model, fine_tune(model, toys(4, points=200), RECIPE, RunOptions(**options)).history


def adapted(folder, **options):
    """The adapters of Any2Point, which projects places on planes."""
    torch.manual_seed(0)
    shape = dict(width=24, depth=1, heads=2, point_width=3, adapter_width=2, neighbours=4)
    model = Any2Point(VARIANTS["ib_scan"], **shape)
    recipe = recipe_for(Any2Point, "adapters", "scanobjectnn_pb_t50_rs")
    recipe = replace(recipe.shortened(1), batch_size=4)
    outcome = fine_tune(
        model, toys(2, points=600), recipe, RunOptions(**options), method="adapters"
    )
    return model, outcome.history


def parted(folder, **options):
    """Part segmentation with ReCon."""
    save_object_encoder(folder / "recon.pth", tiny_recon(blocks=3), NAMES)
    model = parts.start_parts(folder / "recon.pth", heads=2, groups=8, group_size=8)
    data = toys(4, points=64, classes=2)
    half = (data.points[:, :, 1] > 0).astype("int64") + 36
    objects = ObjectSet("halves", data.points, data.labels, ("Mug", "Table"), half)
    recipe = replace(RECIPE, batch_size=4)
    return model, parts.train_parts(model, objects, recipe, RunOptions(**options)).history


def contrasted(folder, **options):
    """ReCon's pre-training with both teachers."""
    names = write_shapenet55(folder / "shapes")
    write_teacher(folder / "image.npz", names, 12)
    write_teacher(folder / "text.npz", list(TAXONOMIES.values()), 5, views=3)
    given = [read_teacher(folder / f"{name}.npz") for name in ("image", "text")]
    teachers = recon.Teachers(ShapeNet55(folder / "shapes", ("train",)), *given)
    preset = replace(
        recon.PRESETS["demo"],
        shape=ReConShape(16, 2, 2, 8, 8, (8, 16, 16)),
        points=48,
        recipe=RECIPE,
        mask="block",
    )
    model = recon.new_model(preset, teachers)
    return model, recon.pretrain_recon(model, teachers, preset, RunOptions(**options)).history


def guided(folder, **options):
    """I2P-MAE's pre-training, guided by histograms of gradients."""
    recipe = tiny_i2p_mae(RECIPE)
    guide = ImageGuide(load_image_model("hog"))
    model, shapes = i2p_mae.new_model(recipe, guide), ObjectShapes("toys", toys(3))
    outcome = i2p_mae.pretrain_i2p_mae(model, shapes, guide, recipe, RunOptions(**options))
    return model, outcome.history


def mixed(folder, **options):
    """MixCon3D's training, several batches in a step."""
    torch.manual_seed(0)
    trunk = PointPatchTransformer(Sizes(8, 1, 12, 6), Balls(6, 0.6, 8), 2, 4)
    model = ContrastModel(MixCon3D(trunk, 8, CHANNELS, 40))
    recipe = replace(
        mixcon3d.PRESETS["mixcon3d"], epochs=2, warm_up=0, batch_size=2, accumulate=2, points=40
    )
    split = TrainingSplit(openshape_folder(folder / "openshape"), "train_all")
    how = ContrastOptions(folder=folder / "out", **options)
    return model, [epoch.losses for epoch in train_contrast(model, split, recipe, how).epochs]


TRAININGS = (fine_tuned, adapted, parted, contrasted, guided, mixed)


def equal(one, other):
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


@pytest.mark.parametrize("train", TRAININGS)
def test_batches_that_a_thread_makes_ahead_change_nothing(train, tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    alone, history = train(tmp_path / "one")
    made = []

    def ahead_of_time(make, *, ahead):
        assert not ahead  # on a CPU

        def noting(key):
            made.append(threading.current_thread() is threading.main_thread())
            return make(key)

        return Prefetched(noting, ahead=True)

    for module in (training_run, contrast_training):
        monkeypatch.setattr(module, "Prefetched", ahead_of_time)
    (tmp_path / "other").mkdir()
    before = set(threading.enumerate())
    threaded, found = train(tmp_path / "other")
    assert made.count(True) == len(history)  # the first one of each epoch
    assert made.count(False) >= len(history)
    assert set(threading.enumerate()) <= before
    assert list(found) == list(history) and equal(alone, threaded)


@pytest.mark.parametrize("train", TRAININGS)
def test_bfloat16_products_give_nearly_the_same_losses_and_are_off_on_a_cpu(train, tmp_path):
    models, histories = {}, {}
    for precision in ("auto", "float32", "bfloat16"):
        (tmp_path / precision).mkdir()
        models[precision], histories[precision] = train(tmp_path / precision, precision=precision)
    assert equal(models["auto"], models["float32"])
    assert not equal(models["float32"], models["bfloat16"])
    assert all(value.dtype != torch.bfloat16 for value in models["bfloat16"].parameters())
    for name, loss in histories["float32"][0].items():
        assert histories["bfloat16"][0][name] == pytest.approx(loss, rel=0.03), name


@pytest.mark.parametrize("train", (fine_tuned, mixed))
def test_a_precision_that_there_is_not_is_refused(train, tmp_path):
    with pytest.raises(ValueError, match="precision is 'half', expected one of auto"):
        train(tmp_path, precision="half")
