# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Protocols for object encoders: features of data sets, linear SVM, few-shot, zero-shot."""

from __future__ import annotations

import sys
from dataclasses import replace
from operator import ge
from pathlib import Path

import numpy as np
import pytest
import torch
from small_objects import NAMES, tiny_recon, toys

from concerto_ros.cli import main
from concerto_ros.learning.objects.data.object_set import join
from concerto_ros.learning.objects.protocols.few_shot import (
    few_shot_fine_tuned,
    few_shot_svm,
    folds,
)
from concerto_ros.learning.objects.protocols.linear_svm import fit_svm, linear_svm
from concerto_ros.learning.objects.training import embedding
from concerto_ros.learning.objects.training.models import (
    check_classes,
    published_form,
    save_object_encoder,
)
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig, SvmRecipe
from concerto_ros.learning.objects.training.scores import (
    Accuracy,
    Spread,
    class_table,
    write_between,
)
from concerto_ros.objects.encoders.any2point.encoder import Any2Point
from concerto_ros.objects.encoders.i2p_mae.encoder import I2PMAE
from concerto_ros.objects.encoders.loading import load_object_encoder
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.shared.preprocess import InputForm
from concerto_ros.words.vocabulary import Vocabulary

KEYWORDS = [
    part for text in ("heads=2", "groups=8", "group_size=8", "points=48")
    for part in ("--option", text)
]  # fmt: skip


def test_accuracy_is_counted_over_objects_and_over_classes():
    labels = np.array([0, 0, 0, 2])
    score = Accuracy.of(np.array([0, 0, 1, 7]), labels, 3)
    assert (score.accuracy, score.class_mean) == (0.5, pytest.approx(1 / 3))
    np.testing.assert_array_equal(score.of_class, [2 / 3, np.nan, 0.0])
    lines = class_table(score, ("a", "b", "c")).splitlines()
    assert lines[2:] == ["| a | 66.7 % | 3 | b (1) |", "| c | 0.0 % | 1 | no class (1) |"]
    with pytest.raises(ValueError, match="expected one each"):
        Accuracy.of(np.zeros(0, int), np.zeros(0, int), 3)


def test_a_spread_is_told_as_published():
    assert str(Spread((0.9, 1.0))) == "95.0 ± 5.0 %"


def test_points_are_drawn_far_apart_first_or_again_in_turn():
    line = torch.linspace(0, 1, 11).view(1, 11, 1).expand(1, 11, 3)
    form = InputForm(3, skip_near_origin=False)
    assert embedding.draw(line, form, 3)[0, :, 0].tolist() == [0.0, 1.0, 0.5]
    first = embedding.draw(line, form, 3, first=True)
    torch.testing.assert_close(first, line[:, :3])
    again = embedding.draw(line, form, 25)
    torch.testing.assert_close(again, torch.cat([line, line, line[:, :3]], 1))


def test_as_many_points_as_are_taken_are_sampled_as_well():
    cloud = torch.tensor([[1.0, 0, 0], [0, 0.01, 0], [0, 1, 0], [0, 0, 1]])[None]
    drawn = embedding.draw(cloud, InputForm(4), 4)
    assert sorted(set(map(tuple, drawn[0].tolist()))) == [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    torch.testing.assert_close(embedding.draw(cloud, InputForm(4), 4, first=True), cloud)


def test_what_an_encoder_prepared_reaches_it_as_it_is():
    data, model = toys(2, points=48), tiny_recon().eval()
    data.points[:, 5] = 0.0  # sampling would pass over it
    seen = []
    model.classify = lambda batch: (seen.append(batch), torch.zeros(len(batch), 4))[1]
    embedding.classify_objects(model, replace(data, prepared=True))
    embedding.classify_objects(model, data)
    np.testing.assert_array_equal(seen[0], data.points)
    assert (seen[1] != 0).any(2).all()
    both = join("both", [replace(data, prepared=True)] * 2)
    assert both.prepared and both.take([3]).prepared


def test_features_of_a_set_are_those_of_its_objects():
    data, model = toys(20), tiny_recon().eval()
    found = embedding.embed_objects(model, data)
    assert found.shape == (80, model.feature_channels) and found.dtype == np.float32
    one = embedding.draw(torch.from_numpy(data.points[70:71]), model.form, 48)
    np.testing.assert_allclose(found[70], model.embed(one)[0].detach(), atol=1e-5)
    assert embedding.classify_objects(model, data.take([0, 5])).shape == (2, 4)
    with pytest.raises(ValueError, match="toys 0 has no objects"):
        embedding.embed_objects(model, data.take([]))


def test_colour_is_grey_and_up_is_exchanged_for_encoders_that_want_it_so():
    model = tiny_recon()
    model.form = InputForm(48, color=True, swapped=True)
    taken = embedding.as_taken(torch.from_numpy(toys(1).points), model)
    assert taken.shape == (4, 64, 6) and (taken[..., 3:] == 0.4).all()
    extent = np.ptp(taken[0, :, :3].numpy(), axis=0)
    assert extent.argmax() == 2  # the rod stands along z


def test_published_forms_follow_the_benchmark():
    hardest = published_form(ReCon, "scanobjectnn_pb_t50_rs", "classify")
    assert hardest == {"points": 2048, "groups": 128}
    words = published_form(ReCon, "scanobjectnn_obj_only", "zero-shot")
    assert words == {"points": 2048, "groups": 32, "group_size": 128}
    assert published_form(ReCon, "modelnet40_h5", "fine-tune") == {}
    objects = published_form(I2PMAE, "scanobjectnn_obj_bg", "fine-tune")
    assert objects == {"benchmark": "objects"}
    tuned = published_form(I2PMAE, "synthetic", "fine-tune")
    assert tuned == {"benchmark": "modelnet40"}
    assert published_form(Any2Point, "synthetic", "classify") == {}
    with pytest.raises(ValueError, match="protocol is 'words', expected one of classify, svm"):
        published_form(ReCon, "synthetic", "words")


def test_a_linear_svm_tells_toys_apart_by_features():
    pytest.importorskip("sklearn")
    model = tiny_recon(classes=None)
    for recipe in (SvmRecipe(False, 1.0), SvmRecipe(True, 1.0, first=True)):
        score = linear_svm(model, toys(12, classes=3), toys(6, seed=1, classes=3), recipe)
        assert score.accuracy > 0.8 and score.matrix.sum() == 18
    with pytest.raises(ValueError, match="all 3 objects are of one class"):
        fit_svm(np.eye(3), np.zeros(3), SvmRecipe(False, 1.0))


def test_without_scikit_learn_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(ImportError, match=r"pip install 'concerto_ros\[objects\]'"):
        fit_svm(np.eye(3), np.arange(3), SvmRecipe(False, 1.0))


def test_folds_are_random_classes_the_same_each_time():
    train, test = toys(6), toys(5, seed=1)
    parts = list(folds(train, test, 2, 3, queries=4, count=8, seed=2))
    assert len({fold.support.classes for fold in parts}) > 1
    for fold, again in zip(
        parts, folds(train, test, 2, 3, queries=4, count=8, seed=2), strict=True
    ):
        assert fold.support.classes == fold.queries.classes == again.support.classes
        assert fold.support.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert np.bincount(fold.queries.labels).tolist() == [4, 4]
        np.testing.assert_array_equal(fold.queries.points, again.queries.points)
        own = train.points[train.labels == NAMES.index(fold.support.classes[1])]
        assert all((own == one).all((1, 2)).any() for one in fold.support.points[3:])


@pytest.mark.parametrize(
    ("way", "shot", "message"),
    [
        (5, 1, "4 classes have 1 objects in toys 0 and 4 in toys 1, expected at least 5"),
        (2, 7, "0 classes have 7 objects"),
        (1, 1, "way is 1, expected at least 2"),
        (2, 0, "shot is 0, expected at least 1"),
    ],
)
def test_folds_that_there_are_not_are_refused(way, shot, message):
    with pytest.raises(ValueError, match=message):
        next(folds(toys(6), toys(5, seed=1), way, shot, queries=4))


def test_few_shot_learns_each_fold_from_the_same_start():
    model = tiny_recon()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train, test = toys(10, classes=3), toys(6, seed=1, classes=3)
    parts = list(folds(train, test, 2, 8, queries=6, count=2))
    told = []
    recipe = ObjectTrainingConfig(2e-3, "turn", batch_size=8, epochs=40, warm_up=1)
    tuned = few_shot_fine_tuned(model, parts, recipe, on_fold=told.append)
    assert tuned.last.values == tuple(fold.last for fold in told) and tuned.last.mean > 0.75
    assert tuned.best == tuned.last
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    short = recipe.shortened(3)
    every = few_shot_fine_tuned(model, parts, short, test_every=1, on_fold=told.append)
    assert every.best.values == tuple(fold.best for fold in told[2:])
    assert all(map(ge, every.best.values, every.last.values))


def test_few_shot_by_a_linear_svm():
    pytest.importorskip("sklearn")
    train, test = toys(10, classes=3), toys(6, seed=1, classes=3)
    parts = folds(train, test, 2, 8, queries=6, count=3)
    assert few_shot_svm(tiny_recon(None), parts, SvmRecipe(False, 1.0)).mean > 0.8


@pytest.fixture
def place(tmp_path):
    """A small ModelNet40 in text files and an encoder."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "modelnet40_shape_names.txt").write_text("\n".join(NAMES))
    for split, data in (("train", toys(10)), ("test", toys(4, seed=1))):
        names = []
        for number, (points, label) in enumerate(zip(data.points, data.labels, strict=True)):
            names.append(f"{NAMES[label]}_{split}{number:04d}")
            path = folder / NAMES[label] / f"{names[-1]}.txt"
            path.parent.mkdir(exist_ok=True)
            np.savetxt(path, points, "%.5f", ",")
        (folder / f"modelnet40_{split}.txt").write_text("\n".join(names))
    model = tiny_recon()
    model.add_projections(6, 6)
    save_object_encoder(tmp_path / "encoder.pth", model, NAMES)
    return tmp_path


def command(place, *arguments):
    given = ["--checkpoint", str(place / "encoder.pth"), "--device", "cpu", *KEYWORDS]
    return main(
        [
            "objects", *arguments[:2], str(place / "data"), "--layout", "modelnet40_txt", *given,
            *arguments[2:],
        ]
    )  # fmt: skip


def test_the_commands_train_and_evaluate(place, capsys):
    pytest.importorskip("sklearn")
    out = place / "out"
    arguments = ("--epochs", "5", "--learning-rate", "2e-3", "--batch-size", "16")
    assert command(place, "train", "full", "--out", str(out), *arguments) == 0
    said = capsys.readouterr().out
    assert "40 training and 16 test objects of 4 classes" in said
    assert "beside the head and" in said and "after the last epoch" in said
    trained = load_object_encoder(out / "encoder.pth", heads=2, groups=8, group_size=8, points=48)
    assert trained.class_names == NAMES and not trained.knows_words
    assert "best.pth, those of the best one" in said
    report = (out / "report.md").read_text()
    assert "learning_rate 0.002" in report and "| 6 |" in report and "after the last" in report
    best = load_object_encoder(out / "best.pth", heads=2, groups=8, group_size=8, points=48)
    assert best.class_names == NAMES
    for protocol, shown in (
        (("classify",), "classify, recon on ModelNet40, test: "),
        (("classify", "--passes", "2"), "classify, recon on ModelNet40, test: "),
        (("vote", "--passes", "2", "--rounds", "2"), "mean of 2 rounds"),
        (("svm",), "svm, recon on ModelNet40, test: "),
        (("few-shot", "--way", "2", "--shot", "2"), ""),
    ):
        status = command(place, "evaluate", *protocol)
        found = capsys.readouterr()
        if protocol[0] == "few-shot":  # 20 queries of each class are not there
            assert status == 1 and "expected at least 2" in found.err
        else:
            assert status == 0 and shown in found.out and "| rod |" in found.out


@pytest.mark.parametrize("method", ["mlp3", "linear"])
def test_the_command_trains_a_head_alone(place, capsys, method):
    arguments = ("--out", str(place / "out"), "--epochs", "1")
    assert command(place, "train", method, *arguments) == 0
    assert f"recon, {method}: trains 32 numbers beside the head" in capsys.readouterr().out
    options = {"heads": 2, "groups": 8, "group_size": 8, "points": 48}
    before = load_object_encoder(place / "encoder.pth", **options).trunk.state_dict()
    after = load_object_encoder(place / "out" / "encoder.pth", **options).trunk.state_dict()
    learned = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in learned if "running" not in name and "num_batches" not in name} == {
        "cls_token", "cls_pos"}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--batch-size", "0"), "batch_size is 0, expected at least 1"),
        (("--test-every", "-1"), "test_every is -1, expected at least 1"),
        (("--device", "gpu"), "device: got 'gpu', expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_options_that_make_no_training_are_named(place, capsys, options, message):
    assert command(place, "train", "full", "--out", str(place / "out"), *options) == 1
    assert message in capsys.readouterr().err


def test_a_training_does_not_resume_from_another_checkpoint(place, capsys):
    arguments = ("train", "full", "--out", str(place / "out"), "--epochs", "1")
    assert command(place, *arguments) == 0
    capsys.readouterr()
    save_object_encoder(place / "encoder.pth", tiny_recon(seed=1), NAMES)
    assert command(place, *arguments) == 1
    assert "run with different weights to start from" in capsys.readouterr().err


def test_zero_shot_takes_vectors_from_a_file(place, capsys):
    words = place / "words.npz"
    vectors = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    Vocabulary(NAMES, vectors).save(words)
    assert command(place, "evaluate", "zero-shot", "--words", str(words)) == 0
    assert "zero-shot, recon on ModelNet40, test" in capsys.readouterr().out
    Vocabulary(("rod", "tree"), vectors[:2]).save(words)
    assert command(place, "evaluate", "zero-shot", "--words", str(words)) == 1
    assert "no vector of disc" in capsys.readouterr().err


def test_embed_says_what_the_object_in_a_file_is(place, capsys):
    np.savez(place / "thing.npz", points=toys(1).points[0] * 0.1)
    checkpoint = ["--checkpoint", str(place / "encoder.pth"), *KEYWORDS]
    cloud, out = str(place / "thing.npz"), str(place / "features.npz")
    assert main(["objects", "embed", cloud, "--out", out, *checkpoint]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{cloud}: ") and said.count(" %") == 3
    with np.load(out) as file:
        assert file["features"].shape == (1, 64) and file["names"].tolist() == [cloud]
    before = Path(cloud).read_bytes()
    assert main(["objects", "embed", cloud, "--out", cloud, *checkpoint]) == 1
    assert f"--out: got {cloud}, which the command reads" in capsys.readouterr().err
    assert Path(cloud).read_bytes() == before
    assert main(["objects", "embed", cloud, "--out", str(place / "f.csv"), *checkpoint]) == 1
    assert "f.csv, expected a file .npz" in capsys.readouterr().err


def test_files_are_embedded_a_few_at_a_time(place, capsys, monkeypatch):
    clouds = [str(place / f"{number}.npz") for number in range(18)]
    for path, points in zip(clouds, toys(5).points, strict=False):
        np.savez(path, points=points * 0.1)
    arguments = ["objects", "embed", *clouds, "--checkpoint", str(place / "encoder.pth")]
    sizes, classify = [], ReCon.classify
    monkeypatch.setattr(
        ReCon, "classify", lambda self, batch: (sizes.append(len(batch)), classify(self, batch))[1]
    )
    assert main([*arguments, *KEYWORDS]) == 0
    assert sizes == [16, 2]
    # Where answers depend on the others of a batch, each file gets one of its own.
    monkeypatch.setattr(ReCon, "per_object", False)
    out = place / "features.npz"
    assert main([*arguments, *KEYWORDS, "--out", str(out)]) == 0
    assert sizes[2:] == [1] * 18
    with np.load(out) as file:
        assert file["features"].shape == (18, 64) and file["names"].tolist() == clouds


def test_a_file_that_holds_no_object_is_named(place, capsys):
    clouds = [str(place / name) for name in ("thing.npz", "few.npz")]
    np.savez(clouds[0], points=toys(1).points[0] * 0.1)
    np.savez(clouds[1], points=toys(1).points[0, :3])
    checkpoint = ["--checkpoint", str(place / "encoder.pth"), *KEYWORDS]
    assert main(["objects", "embed", *clouds, *checkpoint]) == 1
    assert f"{clouds[1]}: points: got 3 distinct points" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("heads", "--option: got 'heads', expected NAME=VALUE"),
        (
            "foo=1",
            "recon takes no option 'foo', expected one of heads, points, groups, group_size",
        ),
        ("path=1", "recon takes no option 'path', expected one of"),
        ("heads=two", "recon: heads is 'two', expected int"),
    ],
)
def test_a_wrong_keyword_is_refused(place, capsys, keyword, message):
    assert command(place, "evaluate", "classify", "--option", keyword) == 1
    assert message in capsys.readouterr().err


def test_the_old_name_of_an_option_works_with_a_notice(place, capsys):
    assert command(place, "evaluate", "classify", "--keyword", "heads=two") == 1
    error = capsys.readouterr().err
    assert "--keyword is now called --option" in error and "heads is 'two', expected int" in error


def test_answers_are_only_compared_with_labels_of_the_same_classes(place, capsys):
    arguments = ["objects", "evaluate", "classify", str(place / "data")]
    layout = ["--layout", "modelnet40_txt", "--device", "cpu"]
    assert main([*arguments, *layout]) == 1  # the bundled encoder
    said = capsys.readouterr()
    assert "21 classes (mug, bottle, bowl, chair, ...)" in said.err and "rod, disc" in said.err
    assert "%" not in said.out
    save_object_encoder(place / "encoder.pth", tiny_recon(classes=3), ())
    assert command(place, "evaluate", "classify") == 1
    assert (
        "3 classes (of unknown names), the labels of ModelNet40, test" in capsys.readouterr().err
    )
    save_object_encoder(place / "encoder.pth", tiny_recon(), ())
    assert command(place, "evaluate", "classify") == 0
    save_object_encoder(place / "encoder.pth", tiny_recon(), NAMES[::-1])
    assert command(place, "evaluate", "classify") == 1


def test_an_encoder_may_have_the_answer_none_of_these_beside_the_classes():
    data = toys(1)
    demo = load_object_encoder("demo")
    check_classes(demo, replace(data, classes=demo.class_names[:-1]))
    with pytest.raises(ValueError, match="expected the same ones in the same order"):
        check_classes(demo, replace(data, classes=demo.class_names[:-2]))


def test_the_table_goes_between_its_marks(tmp_path):
    document = tmp_path / "page.md"
    begin, end = "<!-- demo: begin -->", "<!-- demo: end -->"
    document.write_text(f"above\n{begin}\nold\n{end}\nbelow\n")
    write_between(document, "demo", "new")
    assert document.read_text() == f"above\n{begin}\n\nnew\n\n{end}\nbelow\n"
    document.write_text("nothing")
    with pytest.raises(ValueError, match="page.md has no lines"):
        write_between(document, "demo", "new")
