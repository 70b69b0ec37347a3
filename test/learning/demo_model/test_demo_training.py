# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundled models' training: one recipe says all, and a model file comes out."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from quick_processes import quick_processes
from training_data import CONFIG, box_scan

from concerto_ros.files import torch_file
from concerto_ros.files.safetensors_file import read_tensors
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.demo_model.calibration import (
    FAMILIAR_SHARE,
    LARGEST_SHIFT,
    fit_confidence,
    shift_biases,
)
from concerto_ros.learning.demo_model.names import NAMES_WEIGHT, naming_loss
from concerto_ros.learning.demo_model.recipe import INDOOR
from concerto_ros.learning.demo_model.training import (
    class_weights,
    new_model,
    renew_confidence,
    train,
)
from concerto_ros.learning.training.losses import segmentation_loss


def boxes(folder, seeds):
    """Boxes instead of rooms, made in no time."""
    return [box_scan(seed, 800) for seed in seeds]


TINY = replace(
    INDOOR, open_scans=boxes, training_seeds=range(10, 14), validation_seeds=range(2),
    config=replace(CONFIG, in_channels=9), voxel_size=0.1, steps=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder and the result of a training; the folder has the file, ``model.safetensors``."""
    folder = tmp_path_factory.mktemp("trained")
    with quick_processes():
        return folder, train(folder, TINY, output=folder / "model.safetensors")


def test_a_recipe_makes_a_model_file_again_bit_for_bit_and_goes_on_where_it_was(trained, tmp_path):
    folder, first = trained
    assert (first.steps, first.stopped, first.best_step) == (3, "all steps done", 3)
    with quick_processes():
        again = train(folder, TINY, output=tmp_path / "model.safetensors")
    assert again.steps == 3 and again.seconds == pytest.approx(first.seconds, abs=1)
    files = [read_tensors(place / "model.safetensors")[0] for place in (folder, tmp_path)]
    assert files[0].keys() == files[1].keys()
    assert all(torch.equal(files[0][name], files[1][name]) for name in files[0])
    start = new_model(TINY).state_dict()
    moved = [name for name, value in files[0].items() if name in start]
    assert any(not torch.equal(files[0][name], start[name].half()) for name in moved)


def test_another_recipe_does_not_resume_the_run(trained):
    folder, _ = trained
    with pytest.raises(ValueError, match="different preset: indoor there, outdoor here"):
        train(folder, replace(TINY, preset="outdoor"))


def test_a_seed_gives_the_same_weights_to_begin_with():
    torch.manual_seed(1)
    one = new_model(TINY).state_dict()
    torch.manual_seed(2)
    other = new_model(TINY).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    third = new_model(replace(TINY, seed=1)).state_dict()
    assert any(not torch.equal(one[name], third[name]) for name in one)


def test_rare_classes_weigh_more_and_absent_ones_not_without_end():
    scan = replace(box_scan(0, 1000), labels=np.repeat([0, 1], [990, 10]).astype("u1"))
    weights = class_weights([scan], {"labels": 3})["labels"]
    assert weights.mean() == pytest.approx(1)
    assert weights[0] < weights[1] < weights[2] < 100 * weights[0]


def test_scans_are_read_once_for_the_weights_of_classes_and_of_names():
    class Counted(list):
        read = 0

        def __getitem__(self, index):
            self.read += 1
            return super().__getitem__(index)

    name_ids = np.full(800, NO_NAME, np.uint16)
    name_ids[:8] = 1
    scans = Counted(
        replace(scan, name_ids=name_ids, names=("left", "right")) for scan in boxes(None, range(5))
    )
    weights = class_weights(scans, {"labels": 4, "name_ids": 2}, scans=3)
    assert scans.read == 3
    assert torch.equal(weights["labels"], class_weights(scans, {"labels": 4}, scans=3)["labels"])
    assert weights["name_ids"][0] > weights["name_ids"][1]  # points without a name do not count


def test_biases_are_shifted_a_little_and_confidences_fitted():
    scans, collate = boxes(None, range(4)), TINY.collate()
    model = new_model(TINY)
    with torch.no_grad():
        # Sure of its scores, and class 1 is missed by a little everywhere.
        model.head.seg_head.weight.zero_()
        model.head.seg_head.bias.copy_(torch.arange(12.0) * -9)
        model.head.seg_head.bias[1] = -0.1
    before = model.head.seg_head.bias.detach().clone()
    shift_biases(model, scans, collate)
    shift = model.head.seg_head.bias - before
    assert shift.abs().max() <= LARGEST_SHIFT
    fit_confidence(model, scans[:2], scans[2:], collate)
    assert model.head.temperature > 1.5


def test_nearly_all_voxels_of_held_out_scans_are_familiar():
    scans, collate = boxes(None, range(12)), TINY.collate()
    model = new_model(TINY)
    fit_confidence(model, scans[:4], scans[4:], collate)
    batches = [collate([scan], None) for scan in scans[4:]]
    unfamiliar = torch.cat(
        [
            model.head.familiarity.unfamiliar(
                model.encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
            )
            for batch in batches
        ]
    )
    assert len(unfamiliar) == sum(map(len, batches))
    assert float(unfamiliar.float().mean()) < 2 * (1 - FAMILIAR_SHARE)


def test_confidences_are_renewed_without_a_training_and_without_a_change_of_weights(
    trained, tmp_path, monkeypatch
):
    whole = trained[0] / "model.safetensors"
    monkeypatch.setattr("concerto_ros.ptv3.bundled.demo_file", lambda _preset: whole)
    monkeypatch.setattr("concerto_ros.learning.demo_model.training.demo_file", lambda _: whole)
    recipe = replace(TINY, validation_seeds=range(3))
    temperature, farthest = renew_confidence(tmp_path, recipe, output=tmp_path / "new.safetensors")
    before, after = (read_tensors(path)[0] for path in (whole, tmp_path / "new.safetensors"))
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {
        f"head.{name}"
        for name in ("softmax_temperature", *(f"familiarity.{n}" for n in FAMILIARITY))
    }
    assert float(after["head.softmax_temperature"]) == pytest.approx(temperature, rel=1e-3)
    assert float(after["head.familiarity.threshold"]) == pytest.approx(farthest, rel=1e-3)


FAMILIARITY = ("mean", "whitening", "threshold")


def named_boxes(folder, seeds, named=False):
    """Boxes of which the points left and right have fine names of their own."""
    scans = boxes(folder, seeds)
    if not named:
        return scans
    return Named(
        [
            replace(s, name_ids=(s.points[:, 0] > 0).astype("u2"), names=("left", "right"))
            for s in scans
        ]
    )


class Named(list):
    """A data set: scans, and their classes."""

    classes = INDOOR.classes


def test_fine_names_are_learnt_beside_the_classes_and_written_with_the_model(tmp_path, trained):
    recipe = replace(TINY, open_scans=named_boxes, steps=30)
    names = ("right", "wardrobe", "left")
    with quick_processes():
        train(tmp_path, recipe, output=tmp_path / "model.safetensors", names=names)
    own, other = (read_tensors(f / "model.safetensors")[0] for f in (tmp_path, trained[0]))
    of_names = {name for name in own if name.startswith("names.")}
    assert own.keys() - of_names == other.keys()
    assert own["names.seg_head.weight"].shape == (3, own["head.seg_head.weight"].shape[1])
    model = new_model(recipe, len(names))
    model.load_state_dict(torch_file.read_tensors(tmp_path / "training.pt")["weights"])
    scans = recipe.named_scans(tmp_path, range(2), names)
    right = []
    for scan in scans:
        batch = recipe.collate()([scan], None)
        _, of_names = model.train()(batch)
        known = batch.name_ids != NO_NAME
        right += (of_names.argmax(dim=1) == batch.name_ids)[known].tolist()
    assert np.mean(right) > 0.8


def test_a_crop_without_fine_names_costs_nothing_more():
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 255])
    batch = SimpleNamespace(labels=labels, name_ids=torch.full((3,), NO_NAME))
    scores = torch.randn(3, 12), torch.randn(3, 4).requires_grad_()
    weights = {"class_weights": torch.ones(12), "name_weights": torch.ones(4)}
    loss = naming_loss(scores, batch, **weights)
    assert loss == segmentation_loss(scores[0], labels, class_weights=torch.ones(12))
    loss.backward()
    assert not scores[1].grad.any()


def test_the_cross_entropy_of_fine_names_is_weighted_by_their_frequency():
    rng = np.random.default_rng(0)
    of_names, weights = rng.normal(size=(6, 4)), rng.uniform(1, 3, 4)
    ids = np.array([0, 3, NO_NAME, 1, NO_NAME, 3])
    batch = SimpleNamespace(labels=torch.full((6,), 255), name_ids=torch.from_numpy(ids))
    loss = naming_loss(
        (torch.zeros(6, 12), torch.from_numpy(of_names)),
        batch,
        class_weights=torch.ones(12),
        name_weights=torch.from_numpy(weights).float(),
    )
    known = ids != NO_NAME
    log_p = of_names - np.log(np.exp(of_names).sum(1, keepdims=True))
    own = log_p[known, ids[known]]
    expected = -(weights[ids[known]] * own).sum() / weights[ids[known]].sum()
    assert float(loss) == pytest.approx(NAMES_WEIGHT * expected, rel=1e-5)
