# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of MixCon3D: the contrast, its steps, what is drawn of a shape, the command."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import openshape_files
import paths
import pytest
import torch
from openshape_files import CHANNELS, concept, openshape_folder

from concerto_ros.cli import main
from concerto_ros.learning.objects.data.openshape import TrainingSplit
from concerto_ros.learning.objects.data.openshape_tests import WORD_TESTS
from concerto_ros.learning.objects.mixcon3d.contrast import ContrastModel, Triplets
from concerto_ros.learning.objects.mixcon3d.optimisation import (
    Batch,
    Optimisation,
    WarmUpAndCosine,
)
from concerto_ros.learning.objects.mixcon3d.recipe import PRESETS
from concerto_ros.learning.objects.mixcon3d.samples import draw_cloud, draw_images, draw_text
from concerto_ros.learning.objects.mixcon3d.training import (
    ContrastOptions,
    ContrastResult,
    train_contrast,
)
from concerto_ros.learning.objects.names import WORD_TEST_NAMES
from concerto_ros.learning.objects.protocols.word_tests import score_by_words
from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.mixcon3d.encoder import MixCon3D
from concerto_ros.objects.encoders.mixcon3d.network import Balls, PointPatchTransformer, Sizes
from concerto_ros.verification.cases import verify

GOLDEN = paths.GOLDEN / "objects_training" / "mixcon3d"

RECIPE = replace(
    PRESETS["mixcon3d"], epochs=2, warm_up=0, batch_size=3, accumulate=1, points=40, average=0.5
)

BALLS = Balls(6, 0.6, 8)


def tiny_encoder() -> MixCon3D:
    torch.manual_seed(0)
    trunk = PointPatchTransformer(Sizes(8, 1, 12, 6), BALLS, 2, 4)
    return MixCon3D(trunk, 8, CHANNELS, 40)


def tiny_model(**options) -> ContrastModel:
    return ContrastModel(tiny_encoder(), **options)


def random_batch(count: int, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    clouds = torch.rand(count, 40, 6, generator=generator)
    texts = torch.randn(count, CHANNELS, generator=generator)
    return Batch(clouds, texts, torch.randn(count, 4, CHANNELS, generator=generator))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return openshape_folder(tmp_path_factory.mktemp("openshape"))


def test_the_training_agrees_with_the_reference():
    results = list(verify(GOLDEN))
    assert len({result.case for result in results}) >= 5
    assert [result for result in results if not result.passed] == []


def test_each_pair_is_told_apart_in_both_directions():
    rng = np.random.default_rng(0)
    vectors = {
        name: rng.standard_normal((4, 5)) for name in ("points", "texts", "images", "fused")
    }
    model = tiny_model().double()
    model.scales["fused_text"].data.fill_(math.log(3.0))
    found = model.contrast(Triplets(**{n: torch.from_numpy(v) for n, v in vectors.items()}))

    def expected(first: str, second: str, scale: float) -> float:
        a, b = (
            v / np.linalg.norm(v, axis=1, keepdims=True) for v in map(vectors.get, (first, second))
        )
        logits = scale * a @ b.T
        rows = np.log(np.exp(logits).sum(1)) - logits.diagonal()
        columns = np.log(np.exp(logits).sum(0)) - logits.diagonal()
        return (rows.mean() + columns.mean()) / 2

    wanted = {
        "point_text": expected("points", "texts", 14.28),
        "point_image": expected("points", "images", 14.28),
        "image_text": expected("images", "texts", 14.28),
        "fused_text": expected("fused", "texts", 3.0),
    }
    assert {n: v.item() for n, v in found.losses.items()} == pytest.approx(wanted, rel=1e-6)
    assert found.total.item() == pytest.approx(sum(wanted.values()), rel=1e-6)


def test_without_fusion_the_joint_representation_is_no_part_of_the_loss():
    batch, models = random_batch(3, 1), [tiny_model(fusion=f) for f in (True, False)]
    losses = [model.contrast(model(batch.clouds, batch.texts, batch.images)) for model in models]
    assert list(losses[0].losses) == [*losses[1].losses, "fused_text"]
    assert losses[1].total.item() == pytest.approx(
        (losses[0].total - losses[0].losses["fused_text"]).item()
    )


def test_several_batches_together_give_the_gradients_of_one_except_for_temperatures():
    # Without batch normalisation, whose statistics are those of single batches.
    whole, model = random_batch(6, 2), tiny_model()
    model.encoder.ppat.sa["mlp_bns"] = torch.nn.ModuleList(torch.nn.Identity() for _ in range(3))
    schedule = WarmUpAndCosine(1e-3, 1e-4, 0, 10)
    halves = [
        Batch(*parts) for parts in zip(*(v.split(3) for v in vars(whole).values()), strict=True)
    ]
    grads = []
    for batches in ([whole], halves):
        own = copy.deepcopy(model)
        Optimisation(own, schedule, decay=0.9).gradients(batches)
        grads.append({n: p.grad for n, p in own.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, value in grads[0].items():
        factor = 2 if name.startswith("scales.") else 1  # as published
        torch.testing.assert_close(grads[1][name], factor * value, rtol=1e-4, atol=1e-5)


def test_a_step_trains_all_but_the_random_projection_and_averages_before_it_bounds():
    model = tiny_model()
    with torch.no_grad():
        model.scales["point_text"].fill_(6.0)
        model.scales["image_text"].fill_(6.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimisation = Optimisation(model, WarmUpAndCosine(1e-3, 1e-4, 2, 10), decay=0.75)
    optimisation.take_step([random_batch(3, 3)])
    after = model.state_dict()
    same = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert same == {
        "image_proj.weight",
        "image_proj.bias",
        "encoder.pc_img_proj.weight",
        "encoder.pc_img_proj.bias",
        "scales.fused_text",
    }
    assert float(after["scales.point_text"]) == pytest.approx(math.log(100))
    assert float(after["scales.image_text"]) > 5.9  # as published, this one has no bound
    average = optimisation.average.encoder.state_dict()
    for name in ("proj.weight", "text_proj.weight", "ppat.sa.mlp_bns.0.running_var"):
        mean = 0.75 * before[f"encoder.{name}"] + 0.25 * after[f"encoder.{name}"]
        torch.testing.assert_close(average[name], mean)


def test_the_first_step_has_the_peak_rate_and_the_warm_up_follows():
    schedule = WarmUpAndCosine(6e-3, 3e-3, 4, 24)
    rates = [schedule.rate(step) for step in (0, 1, 2, 4, 5, 15)]
    np.testing.assert_allclose(rates, [6e-3, 1.5e-3, 3e-3, 6e-3, 6e-3, 4.5e-3])


def test_texts_and_pictures_are_drawn_from_all_that_a_shape_has(folder):
    split, rng = TrainingSplit(folder, "train_all"), np.random.default_rng(0)

    def texts(row: int) -> tuple[set[bytes], dict]:
        shape = split[row]
        return {draw_text(shape, rng).tobytes() for _ in range(80)}, dict(shape.content)

    # The raw text of the first one is filtered; the empty caption is never drawn.
    drawn, content = texts(0)
    wanted = [
        content["blip_caption_feat"]["prompt_avg"],
        content["retrieval_text_feat"][0]["original"],
    ]
    assert drawn == {vector.tobytes() for vector in wanted}
    drawn, content = texts(2)  # of Objaverse, only the first raw text counts
    wanted = [content["text_feat"][0], content["blip_caption_feat"]]
    wanted = [text["prompt_avg"] for text in wanted] + [
        content["retrieval_text_feat"][0]["original"]
    ]
    assert drawn == {vector.tobytes() for vector in wanted}
    drawn, content = texts(1)
    assert len(drawn) == 4
    with_thumbnail = [
        (draw_images(split[2], rng) == split[2].thumbnail()).all(1).any() for _ in range(60)
    ]
    assert 15 < sum(with_thumbnail) < 45
    pictures = np.concatenate([draw_images(split[1], rng) for _ in range(40)])
    assert {v.tobytes() for v in pictures} == {v.tobytes() for v in split[1].images()}


def test_a_cloud_is_augmented_and_loses_its_colours_half_of_the_time(folder):
    split = TrainingSplit(folder, "train_all")
    clouds = [draw_cloud(split[1], 40, np.random.default_rng(seed)) for seed in range(40)]
    assert {tuple(cloud.shape) for cloud in clouds} == {(40, 6)}
    grey = sum(bool((cloud[:, 3:] == 0.4).all()) for cloud in clouds)
    assert 10 < grey < 30
    radii = torch.stack([cloud[:, :3].norm(dim=1).max() for cloud in clouds])
    assert radii.max() <= 1.25 + math.sqrt(3) * 0.1 and radii.min() > 0.2
    assert draw_cloud(split[1], 200, np.random.default_rng(0)).shape == (200, 6)


def run(folder, out, model=None, **options) -> ContrastResult:
    split = TrainingSplit(folder, "train_all")
    tests = {name: WORD_TESTS[name](folder) for name in ("lvis", "modelnet40")}
    how = ContrastOptions(folder=out, tests=tests, **options)
    return train_contrast(model or tiny_model(), split, RECIPE, how)


def test_a_killed_run_goes_on_as_if_it_had_not_been(folder, tmp_path, monkeypatch):
    whole = tiny_model()
    result = run(folder, tmp_path / "whole", whole)
    steps = Optimisation.take_step

    def killed(self, batches):
        if self.step == 4:
            raise KeyboardInterrupt
        return steps(self, batches)

    monkeypatch.setattr(Optimisation, "take_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "killed")
    monkeypatch.undo()
    resumed = tiny_model()
    again = run(folder, tmp_path / "killed", resumed)
    assert again.epochs == result.epochs
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    with pytest.raises(ValueError, match="different seed"):
        run(folder, tmp_path / "killed", seed=1)


def test_the_best_file_holds_the_averaged_weights_that_were_tested(folder, tmp_path):
    result = run(folder, tmp_path)
    test = WORD_TESTS["lvis"](folder)
    encoder = load_object_encoder(tmp_path / "best.pt", balls=BALLS, head_width=4, points=40)
    score = score_by_words(encoder, test)
    assert score.top[1] == result.best_top1
    assert result.epochs[result.best_epoch - 1].scores["lvis, average"]["top-1"] == score.top[1]
    live = load_object_encoder(
        tmp_path / "last.pt", weights="live", balls=BALLS, head_width=4, points=40
    )
    assert score_by_words(live, test).top[1] == result.epochs[-1].scores["lvis, live"]["top-1"]


def test_pictures_and_the_joint_representation_are_evidence_too(folder):
    model, test = tiny_encoder().eval(), WORD_TESTS["lvis"](folder)
    model.add_projections()
    with torch.no_grad():  # pictures are near the words of their kind, so they alone are right
        model.text_proj.weight.copy_(torch.eye(CHANNELS))
        model.text_proj.bias.zero_()
        model.pc_img_proj.weight.copy_(torch.cat([torch.zeros(16, 16), torch.eye(16)], 1))
        model.pc_img_proj.bias.zero_()
    for evidence in ("images", "fused"):
        assert score_by_words(model, test, evidence=evidence).top[1] == 1
    assert score_by_words(model, test).top == {1: pytest.approx(1 / 3), 3: 1, 5: 1}
    with pytest.raises(ValueError, match="ModelNet40 has no pictures"):
        score_by_words(model, WORD_TESTS["modelnet40"](folder), evidence="fused")


def test_the_command_trains_resumes_and_reports(tmp_path, capsys):
    data, out = openshape_folder(tmp_path / "data", count=3), tmp_path / "out"
    command = ["objects", "train", "mixcon3d", str(data), "--out", str(out), "--size", "1",
               "--points", "64", "--epochs", "1", "--batch-size", "1", "--accumulate", "2",
               "--workers", "0", "--device", "cpu", "--test", "modelnet40"]  # fmt: skip
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "3 shapes of train_all; test objects: 3 of ModelNet40" in shown
    assert {path.name for path in out.iterdir()} >= {
        "training.pt", "last.pt", "best.pt", "report.md"}  # fmt: skip
    assert "| 1 |" in (out / "report.md").read_text()
    assert load_object_encoder(out / "best.pt").feature_channels == CHANNELS
    assert main(command) == 0  # nothing is left to do
    capsys.readouterr()
    options = ["--checkpoint", str(out / "best.pt"), "--device", "cpu", "--option", "points=64"]
    command = ["objects", "evaluate", "zero-shot", str(data), "--layout", "openshape_modelnet40"]
    assert main([*command, *options]) == 0
    shown = capsys.readouterr().out
    assert "zero-shot by points, 3 objects of ModelNet40: top-1" in shown and "top-5" in shown
    command[-1] = "openshape_lvis"
    assert main([*command, *options, "--evidence", "fused"]) == 0
    assert "zero-shot by fused, 3 objects of Objaverse-LVIS: top-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("text_feat"), "has no 'text_feat'"),
        (lambda content: content.update(rgb=content["rgb"][:3]), "rgb (3, 3), expected (n, 3)"),
        (lambda content: content.update(image_feat="none"), "image_feat is str, expected ndarray"),
        (
            lambda content: content.update(text=[], blip_caption="", retrieval_text=[]),
            "has no text:",
        ),
        (
            lambda content: content.update(xyz=np.nan * content["xyz"]),
            "xyz has values that are not",
        ),
    ],
)
def test_a_wrong_shape_is_refused_with_its_file_and_field(tmp_path, change, message):
    data = openshape_folder(tmp_path, count=3)
    path = data / "ABO/000-000/id1.npy"
    content = openshape_files.shape_content("bed", np.random.default_rng(0))
    change(content)
    openshape_files.save(path, content)
    with pytest.raises(ValueError) as refused:
        run(data, tmp_path / "out")
    assert str(path) in str(refused.value) and message in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backbone", "MinkResNet34"], "backbone MinkResNet34 is not implemented"),
        (["--preset", "recon"], "--preset is 'recon', expected one of mixcon3d"),
        (["--split", "nothing"], "nothing.json: the file or folder does not exist"),
        (["--test", "shapenet"], "--test is 'shapenet'"),
        (["--batch-size", "10"], "9 shapes, expected at least batch_size times accumulate"),
    ],
)
def test_what_cannot_be_trained_is_said(folder, tmp_path, capsys, arguments, message):
    command = ["objects", "train", "mixcon3d", str(folder), "--out", str(tmp_path), "--size", "1"]
    assert main([*command, "--device", "cpu", *arguments]) != 0
    assert message in capsys.readouterr().err


def test_a_class_name_and_its_vector_are_found_in_each_test_set(folder):
    assert tuple(WORD_TESTS) == WORD_TEST_NAMES
    for name in ("lvis", "modelnet40"):
        test = WORD_TESTS[name](folder)
        row = test.words.names.index("lamp")
        np.testing.assert_array_equal(test.words.vectors[row], concept("lamp"))
    assert WORD_TESTS["modelnet40"](folder).read(0).colors[0, 0] == pytest.approx(0.4)
