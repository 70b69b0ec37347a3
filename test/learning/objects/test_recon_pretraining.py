# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of ReCon: losses and gradients, teachers, the command and what it writes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from shape_folders import TAXONOMIES, write_shapenet55, write_teacher
from small_objects import toys

from concerto_ros.cli import main
from concerto_ros.learning.objects.data import layouts
from concerto_ros.learning.objects.data.shapenet55 import ShapeNet55
from concerto_ros.learning.objects.pretraining import teacher_encoders
from concerto_ros.learning.objects.pretraining.recon import (
    PRESETS,
    Teachers,
    losses_of,
    new_model,
    pretrain_recon,
)
from concerto_ros.learning.objects.pretraining.recon_network import self_contrast_loss
from concerto_ros.learning.objects.pretraining.teacher_encoders import image_teacher, text_teacher
from concerto_ros.learning.objects.pretraining.teachers import TeacherVectors, read_teacher
from concerto_ros.learning.objects.training.training_run import RunOptions, TrainingRun
from concerto_ros.objects import load_object_encoder
from concerto_ros.objects.encoders.recon.transformer import ReConShape
from concerto_ros.words.prompts import prompts

TINY = replace(
    PRESETS["demo"],
    shape=ReConShape(16, 2, 2, 8, 8, (8, 16, 16)),
    points=48,
    recipe=replace(PRESETS["demo"].recipe.shortened(3), batch_size=6, learning_rate=5e-3),
)


@pytest.fixture
def folder(tmp_path):
    names = write_shapenet55(tmp_path / "shapes")
    write_teacher(tmp_path / "image.npz", names, 12)
    write_teacher(tmp_path / "text.npz", list(TAXONOMIES.values()), 5, views=3)
    return tmp_path


def teachers_of(folder, *splits: str) -> Teachers:
    image, text = (read_teacher(folder / f"{name}.npz") for name in ("image", "text"))
    return Teachers(ShapeNet55(folder / "shapes", splits or ("train",)), image, text)


def command(folder, *more: str) -> int:
    small = ["--preset", "demo", "--epochs", "1", "--batch-size", "6", "--device", "cpu"]
    start = ["objects", "pretrain", "recon", str(folder / "shapes"), "--layout", "shapenet55"]
    return main([*start, "--out", str(folder / "out"), *small, *more])


def taught(folder) -> list[str]:
    files = [("--image-teacher", "image.npz"), ("--text-teacher", "text.npz")]
    return [word for option, name in files for word in (option, str(folder / name))]


def test_the_command_writes_the_last_and_the_best_weights_and_a_report(folder, capsys):
    assert command(folder, *taught(folder), "--mask", "block", "--mask-ratio", "0.5") == 0
    said = capsys.readouterr().out
    assert "12 shapes of ShapeNet55, train" in said and "score of random weights: -" in said
    out = folder / "out"
    encoder = load_object_encoder(out / "pretrained.pth")
    assert encoder.img_proj.out_features == 12 and encoder.text_proj.out_features == 5
    assert load_object_encoder(out / "pretrained_best.pth").knows_words
    assert (encoder.trunk.shape, encoder.points) == (PRESETS["demo"].shape, 512)
    assert load_object_encoder(out / "pretrained.pth", points=1024).trunk.shape.groups == 128
    report = (out / "report.md").read_text()
    assert "| epoch | loss | reconstruction | image | text | score |" in report
    assert "mask: block, 0.5 of the patches" in report
    assert any(path.name.startswith("events.out.tfevents") for path in out.iterdir())


def test_pictures_that_are_missing_are_rendered_and_vectors_are_kept(folder, caplog):
    caplog.set_level("INFO")
    shapes, path = ShapeNet55(folder / "shapes"), folder / "image_teacher.npz"
    made = image_teacher("hog", shapes, path)
    assert "9 of 18 shapes had no picture and were rendered" in caplog.text
    assert made.names == shapes.ids and made.vectors.shape[:2] == (18, 4)
    assert made.vectors[1::2].flatten(1).std(0).mean() > 0.01  # rendered shapes differ
    caplog.clear()
    kept = image_teacher("hog", shapes, path)
    assert "rendered" not in caplog.text and kept.source == "hog"
    assert torch.equal(kept.vectors, made.vectors)
    assert path.is_file() and read_teacher(path).names == shapes.ids


def test_the_best_weights_are_those_of_the_epoch_that_was_judged_best(folder):
    teachers = teachers_of(folder)
    model, seen, scores = new_model(TINY, teachers), [], iter([0.1, 0.7, 0.3, 0.7])

    def judge(judged):
        seen.append({name: value.clone() for name, value in judged.state_dict().items()})
        return next(scores)

    outcome = pretrain_recon(model, teachers, TINY, RunOptions(test=judge))
    assert (outcome.best, outcome.best_epoch, outcome.epochs) == (0.7, 2, 4)
    assert outcome.scores == ((1, 0.1), (2, 0.7), (3, 0.3), (4, 0.7))
    for name, value in outcome.best_weights.items():
        assert torch.equal(value, seen[1][name]), name
    assert not torch.equal(seen[1]["mask_token"], model.mask_token)
    for losses in outcome.history:
        parts = sum(losses[name] for name in ("reconstruction", "image", "text"))
        assert losses["loss"] == pytest.approx(parts, rel=1e-5)


def test_a_run_that_was_killed_resumes_with_its_best_weights(folder, monkeypatch):
    teachers, scores = teachers_of(folder), [0.9, 0.2, 0.3, 0.4]

    def run(model, given, out):
        score = iter(given)
        options = RunOptions(test=lambda _: next(score), folder=out)
        return pretrain_recon(model, teachers, TINY, options)

    whole = new_model(TINY, teachers)
    expected = run(whole, scores, None)
    step = TrainingRun.train_epoch

    def stop_at_two(training):
        if training.epoch == 2:
            raise KeyboardInterrupt
        return step(training)

    monkeypatch.setattr(TrainingRun, "train_epoch", stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        run(new_model(TINY, teachers), scores, folder / "run")
    monkeypatch.undo()
    resumed = new_model(TINY, teachers)
    found = run(resumed, scores[2:], folder / "run")
    assert (found.best_epoch, found.scores, found.history) == (
        expected.best_epoch, expected.scores, expected.history,
    )  # fmt: skip
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
        assert torch.equal(expected.best_weights[name], found.best_weights[name]), name
    other = Teachers(teachers.shapes, teachers.image)
    with pytest.raises(ValueError, match="belongs to a run with different"):
        pretrain_recon(new_model(TINY, other), other, TINY, RunOptions(folder=folder / "run"))


@pytest.mark.parametrize("part", ["reconstruction", "image", "text"])
def test_contrast_does_not_train_patches_nor_reconstruction_the_global_tokens(folder, part):
    teachers = teachers_of(folder)
    model, generator = new_model(TINY, teachers), torch.Generator().manual_seed(0)
    rows = torch.arange(6)
    points = teachers.shapes.draw(rows.tolist(), 48, generator)
    losses_of(model, teachers, TINY, points, rows, generator)[part].backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    of_patches = {name for name in reached if "attn.qkv" in name or "encoder.first_conv" in name}
    of_tokens = {name for name in reached if "contrast" in name or "_token" in name[12:]}
    assert bool(of_patches) == (part == "reconstruction")
    assert bool(of_tokens) == (part != "reconstruction")
    projections = {name for name in reached if name.endswith("_proj.weight")}
    own = {"image": {"img_proj.weight"}, "text": {"text_proj.weight"}}
    assert projections == own.get(part, set())


def test_without_teachers_only_patches_are_reconstructed(folder):
    teachers = Teachers(ShapeNet55(folder / "shapes", ["train"]))
    outcome = pretrain_recon(new_model(TINY, teachers), teachers, TINY, RunOptions())
    assert set(outcome.history[0]) == {"loss", "reconstruction"}
    assert outcome.history[-1]["loss"] < outcome.history[0]["loss"]


def test_the_published_pre_training():
    preset = PRESETS["recon"]
    shape, recipe = preset.shape, preset.recipe
    assert (shape.width, shape.blocks, shape.heads, shape.groups, shape.group_size) == (
        384, 12, 6, 64, 32,
    )  # fmt: skip
    assert (preset.decoder_blocks, preset.points, preset.mask, preset.mask_ratio) == (
        4, 1024, "random", 0.6,
    )  # fmt: skip
    assert (recipe.learning_rate, recipe.weight_decay, recipe.batch_size) == (5e-4, 0.05, 128)
    assert (recipe.epochs, recipe.warm_up, recipe.drop_path, recipe.change) == (
        300,
        10,
        0.1,
        "turn",
    )
    assert recipe.clip == float("inf")
    rates = [recipe.rate(epoch, 5e-4) for epoch in (0, 1, 2, 300)]
    assert rates[:2] == [1e-6, 1e-6] and rates[2] > 1e-5 and rates[3] < 1.1e-6


def test_weights_start_as_published():
    shapes = ReConShape(192, 2, 3, 8, 8)
    teachers = Teachers.__new__(Teachers)
    teachers.image = teachers.text = TeacherVectors(("one",), torch.ones(1, 1, 256))
    model = new_model(replace(TINY, shape=shapes), teachers).requires_grad_(False)
    trunk = model.MAE_encoder
    inside = trunk.blocks["blocks"][1].mlp_contrast.fc1
    assert float(inside.weight.std()) == pytest.approx(0.02, rel=0.02) and not inside.bias.any()
    assert float(trunk.encoder.second_conv[0].weight.std()) == pytest.approx(0.02, rel=0.05)
    assert float(trunk.img_pos.std()) == pytest.approx(0.02, rel=0.2)
    decoder = model.MAE_decoder["blocks"][0].attn.qkv.weight
    assert float(decoder.abs().max()) == pytest.approx((6 / (4 * 192)) ** 0.5, rel=0.01)
    assert float(model.text_proj.weight.mean()) == pytest.approx(0.02, rel=0.02)
    assert float(model.text_proj.weight.std()) == pytest.approx(0.01, rel=0.02)


def test_objects_with_the_same_caption_shall_agree():
    vectors = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).double()
    captions = [0, 1, 0, 2, 1, 0]
    same = torch.tensor([[a == b for b in captions] for a in captions])
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    expected = 0.0
    for row in range(6):
        cosines = unit @ unit[row]
        own = cosines[same[row]].mean() / 0.1
        others = cosines[~same[row]] / 0.1
        expected += (others.exp().sum() + own.exp()).log() - own
    found = self_contrast_loss(vectors, same)
    torch.testing.assert_close(found, expected / 6)
    assert self_contrast_loss(vectors, torch.ones(6, 6, dtype=torch.bool)) == 0


def test_a_file_with_self_contrast_is_written_and_read(folder):
    assert command(folder, *taught(folder), "--self-contrast") == 0
    assert "| image | text | self | score |" in (folder / "out" / "report.md").read_text()
    encoder = load_object_encoder(folder / "out" / "pretrained.pth")
    assert not any(name.startswith("cls_proj") for name in encoder.state_dict())


def test_shapes_are_unit_spheres_of_random_points(folder):
    shapes = ShapeNet55(folder / "shapes")
    assert len(shapes) == 18 and set(shapes.captions) == set(TAXONOMIES.values())
    first, second = (shapes.draw([3], 40, torch.Generator().manual_seed(n))[0] for n in (0, 1))
    torch.testing.assert_close(first.norm(dim=1).amax(), torch.tensor(1.0))
    torch.testing.assert_close(first.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    assert not torch.equal(first, second)
    assert shapes.draw([0, 1], 200).shape == (2, 200, 3)  # more than there are


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "ShapeNet-55" / "train.txt").unlink(), "train.txt is not a file"),
        (lambda f: (f / "ShapeNet-55" / "test.txt").write_text("chair.npy\n"),
         "test.txt: got the line 'chair.npy', expected <taxonomy>-<model>.npy"),
        (lambda f: next((f / "shapenet_pc").iterdir()).unlink(), r"\.npy is not a file"),
        (lambda f: (f / "shapenet55.json").write_text("{]"), "shapenet55.json cannot be read"),
        (lambda f: (f / "shapenet55.json").write_text(json.dumps([{"catalogue": 1}])),
         "shapenet55.json: 'describe' of 1 is None, expected a text"),
        (lambda f: (f / "shapenet55.json").write_text('[{"catalogue": 3001627, "describe": "x"}]'),
         "shapenet55.json: has no 'catalogue' 02691156, expected one for 02691156-train00ab"),
        (lambda f: np.save(f / "shapenet_pc" / "02691156-train00ab.npy", np.zeros((4, 2))),
         r"train00ab.npy: got float64 of shape \(4, 2\), expected numbers"),
        (lambda f: np.save(f / "shapenet_pc" / "02691156-train00ab.npy", np.full((4, 3), np.nan)),
         "train00ab.npy: has points that are not finite"),
    ],
)  # fmt: skip
def test_a_wrong_layout_is_refused_with_the_file_named(folder, break_it, message):
    break_it(folder / "shapes")
    with pytest.raises(ValueError, match=message):
        shapes = ShapeNet55(folder / "shapes")
        shapes.draw(range(len(shapes)), 8)


def test_a_teacher_that_lacks_a_shape_or_is_wrong_is_refused(folder, capsys):
    shapes = ShapeNet55(folder / "shapes", ["train"])
    few = TeacherVectors(shapes.ids[:-1], torch.ones(11, 1, 4), "few.npz")
    with pytest.raises(ValueError, match="few.npz: 'names' lacks 1 of 12 names, such as '0437"):
        Teachers(shapes, image=few)
    path = folder / "wrong.npz"
    for content, message in (
        ({"names": np.array(["a"])}, "wrong.npz has no array 'vectors'"),
        ({"names": np.array([1]), "vectors": np.ones((1, 2))}, "'names' is int64"),
        ({"names": np.array(["a"]), "vectors": np.ones((2, 2))}, r"'vectors' has shape \(2, 1, 2"),
        ({"names": np.array(["a"]), "vectors": np.full((1, 2), np.inf)}, "vectors of 'a' are not"),
    ):
        np.savez(path, **content)
        with pytest.raises(ValueError, match=message):
            read_teacher(path)
    assert command(folder, "--image-teacher", "dino") == 1
    assert "image teacher: got 'dino', expected a file of vectors" in capsys.readouterr().err


def test_texts_are_prompts_about_captions(folder, monkeypatch):
    asked = []

    def encoder(texts):
        asked.append(list(texts))
        return torch.arange(60.0).view(60, 1).expand(60, 3) + 100 * len(asked)

    monkeypatch.setattr(teacher_encoders, "load_text_encoder", lambda name: encoder)
    shapes, path = ShapeNet55(folder / "shapes"), folder / "text_teacher.npz"
    made = text_teacher("minilm", shapes, path)
    assert made.names == ("airplane", "chair", "table") and made.vectors.shape == (3, 60, 3)
    assert asked[1] == prompts("chair")
    drawn = made.draw(torch.full((4000,), 2), torch.Generator().manual_seed(0))[:, 0]
    assert set(drawn.tolist()) == {300.0 + n for n in range(60)}
    (folder / "shapes" / "shapenet55.json").unlink()
    with pytest.raises(ValueError, match="has no captions to encode, expected shapenet55.json"):
        text_teacher("minilm", ShapeNet55(folder / "shapes"), folder / "other.npz")


def test_pictures_reach_clip_blue_first_and_normalised_as_published(folder, monkeypatch):
    class Seen:
        def encode_image(self, batch):
            assert batch.shape[1:] == (3, 224, 224)
            return batch.mean((2, 3))

    monkeypatch.setattr(teacher_encoders, "load_open_clip", lambda *_, device: Seen())
    shapes = ShapeNet55(folder / "shapes", ["test"])
    color = np.array([200, 100, 50], np.uint8)  # red, green, blue
    monkeypatch.setattr(shapes, "picture", lambda row: np.full((30, 40, 3), color))
    made = image_teacher("open_clip:ViT-B-32-quickgelu/openai", shapes, folder / "kept.npz")
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = torch.from_numpy((color[::-1] / 255 - mean) / deviation).float()
    torch.testing.assert_close(made.vectors, expected.expand(6, 4, 3), atol=1e-5, rtol=1e-5)


def test_a_text_teacher_may_know_shapes_by_their_own_captions(folder):
    shapes = ShapeNet55(folder / "shapes", ["train"])
    vectors = torch.arange(12.0).view(12, 1, 1).expand(-1, 1, 3).contiguous()
    teachers = Teachers(shapes, text=TeacherVectors(shapes.ids, vectors))
    image, text = teachers.draw(torch.tensor([5, 2]), torch.Generator(), torch.device("cpu"))
    assert image is None and text[:, 0].tolist() == [5, 2]


def test_a_linear_svm_judges_where_labelled_objects_are_given(folder, monkeypatch, capsys):

    monkeypatch.setitem(
        layouts.READERS, "synthetic", lambda _, split: toys(2, seed=len(split), points=520)
    )
    more = ("--svm-data", str(folder), "--svm-layout", "synthetic")
    assert command(folder, *taught(folder), *more) == 0
    report = (folder / "out" / "report.md").read_text()
    assert "shapes: 18 of ShapeNet55, train and test" in report
    assert "score: accuracy of a linear SVM on synthetic" in report
    assert command(folder, "--svm-data", str(folder)) == 1
    assert "--svm-layout None, expected both or none" in capsys.readouterr().err
