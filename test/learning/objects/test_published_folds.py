# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The few-shot folds of ModelNet40 that are published as pickles."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from small_objects import tiny_recon, toys

from concerto_ros.cli import main
from concerto_ros.learning.objects.protocols.published_folds import published_folds
from concerto_ros.learning.objects.training.models import save_object_encoder
from concerto_ros.learning.objects.training.training_run import ObjectTrainingResult


def fold(way: int = 2, shot: int = 3, queries: int = 4, points: int = 48, seed: int = 0) -> dict:
    """Objects as the files hold them: points with normals, label, class of ModelNet40."""
    content = {}
    for split, count in (("train", shot), ("test", queries)):
        data = toys(count, seed, points, way)
        content[split] = [
            (np.concatenate([3 * cloud + 5, cloud], 1), label, np.int64(label + 7))
            for cloud, label in zip(data.points, data.labels, strict=True)
        ]
        seed += 1
    return content


def write(folder, content, number: int = 0, protocol: int = 4):
    path = folder / "2way_3shot" / f"{number}.pkl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_fold_is_read_into_unit_spheres(tmp_path, protocol):
    write(tmp_path, fold(), 0, protocol)
    write(tmp_path, fold(seed=9), 1, protocol)
    first, second = published_folds(tmp_path, 2, 3, count=2)
    assert first.support.points.shape == (6, 48, 3) and len(first.queries) == 8
    assert first.support.labels.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(first.support.points.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(first.queries.points, axis=2).max(1), 1, atol=1e-5)
    assert not np.array_equal(first.support.points, second.support.points)


class Trap:
    """Would make a file if it were called."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_runs(tmp_path):
    write(tmp_path, fold() | {"more": Trap(tmp_path / "sprung")})
    with pytest.raises(ValueError, match=r"0.pkl cannot be read .*: the pickle needs posix.mkdir"):
        next(published_folds(tmp_path, 2, 3))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        ([1, 2], "expected a dict of lists train and test"),
        ({"train": []}, "expected a dict of lists train and test"),
        (fold() | {"test": 3}, r"0.pkl, test: expected objects of \(points, label"),
        (fold() | {"train": []}, r"0.pkl, train: expected objects of \(points, label"),
        (fold() | {"train": fold()["train"] + fold(points=50)["train"]}, "same number of points"),
        (fold(way=3), "label 2, expected 0 to 1"),
    ],
)
def test_another_content_is_named_with_its_file(tmp_path, content, message):
    write(tmp_path, content)
    with pytest.raises(ValueError, match=message):
        next(published_folds(tmp_path, 2, 3))


def test_missing_and_damaged_folds_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"2way_3shot/0.pkl is not a file"):
        next(published_folds(tmp_path, 2, 3))
    path = write(tmp_path, fold())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="0.pkl cannot be read as a pickle of arrays"):
        next(published_folds(tmp_path, 2, 3))


def test_the_command_scores_published_folds(tmp_path, capsys):
    pytest.importorskip("sklearn")
    for number in range(10):
        write(tmp_path, fold(seed=2 * number, points=600), number)
    status = main(
        ["objects", "evaluate", "few-shot", str(tmp_path), "--layout", "modelnet40_few_shot"]
        + ["--way", "2", "--shot", "3", "--device", "cpu"]
    )
    assert status == 0
    said = capsys.readouterr().out
    assert "2-way 3-shot, 10 folds:" in said
    # Rods and discs differ enough for any encoder.
    assert float(said.split(":")[-1].split("±")[0]) > 80


def test_the_command_fine_tunes_and_tells_the_best_epoch_and_the_last(
    tmp_path, capsys, monkeypatch
):
    for number in range(10):
        write(tmp_path, fold(seed=2 * number), number)
    save_object_encoder(tmp_path / "encoder.pth", tiny_recon(classes=None), ())
    every = []

    def fine_tune(model, train, recipe, options, *, method):
        every.append(options.test_every)
        return ObjectTrainingResult(3, 1.0, 0.5 + 0.01 * len(every), 0.8 + 0.01 * len(every), 2)

    monkeypatch.setattr("concerto_ros.learning.objects.protocols.few_shot.fine_tune", fine_tune)
    status = main(
        ["objects", "evaluate", "few-shot", str(tmp_path), "--layout", "modelnet40_few_shot"]
        + ["--way", "2", "--shot", "3", "--device", "cpu", "--method", "full", "--epochs", "2"]
        + ["--checkpoint", str(tmp_path / "encoder.pth"), "--option", "heads=2"]
    )
    assert status == 0 and every == [1] * 10
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "fold: 81.0 % after epoch 2, 51.0 % after the last"
    assert said[-1] == (
        "2-way 3-shot, 10 folds: 85.5 ± 2.9 % after the best epoch of each fold"
        " (the published protocol), 55.5 ± 2.9 % after the last"
    )
