# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Language heads from posed images: what pixels say is found by words, without a label."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from posed_rooms import room_views, write_scene
from torch.nn.functional import normalize
from training_data import INDOOR, small_encoder

from concerto_ros.cli import main
from concerto_ros.heads.language import LanguageHead
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.posed.opening import open_scenes
from concerto_ros.learning.data.posed.pixel_features import FolderFeatures
from concerto_ros.learning.data.posed.point_map import point_map
from concerto_ros.learning.language.fitting import SOLVERS, LanguageConfig
from concerto_ros.learning.language.from_images import agreement, train_from_images
from concerto_ros.learning.language.images import ImageOptions, SceneVoxels
from concerto_ros.learning.language.zero_shot import head_for_words
from concerto_ros.learning.training.trainer import Trainer
from concerto_ros.ptv3.checkpoint import save_encoder
from concerto_ros.sim import CLASSES
from concerto_ros.words.vocabulary import Vocabulary

VOXEL = 0.1
WIDTH = 16
COLLATE = ScanCollate(INDOOR, VOXEL)
OPTIONS = ImageOptions(progress=False)
#: A vector of each class of simulated rooms.
WORDS = normalize(torch.randn(len(CLASSES), WIDTH, generator=torch.Generator().manual_seed(5)))


def save_features(folder, views, stride=2, noise=0.3):
    """Feature images: the vector of each pixel's class, with noise; zeros where there is none."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number, (image, _) in enumerate(views):
        label = image.label[::stride, ::stride].astype(int)
        vectors = np.append(WORDS.numpy(), np.zeros((1, WIDTH)), axis=0)
        vectors = vectors[np.where(label == 255, len(WORDS), label)]
        vectors = vectors + random.normal(0, noise, vectors.shape) * (label != 255)[..., None]
        np.save(folder / f"{number}.npy", vectors.astype(np.float16))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Rooms with posed images and feature images, and the labelled points of others."""
    root = tmp_path_factory.mktemp("rooms")
    for seed in range(2):
        views, camera = room_views(seed, 6, 120, 90, noise=False)
        write_scene(root / "images" / f"room{seed}", views, camera)
        save_features(root / "features" / f"room{seed}", views)
    np.savetxt(root / "images" / "room1" / "pose" / "3.txt", np.full((4, 4), -np.inf))
    (root / "features" / "room1" / "5.npy").unlink()
    return root


@pytest.fixture(scope="module")
def unseen(place):
    """A labelled scan of an unseen room, fused by the same steps."""
    views, camera = room_views(7, 6, 120, 90, noise=False)
    write_scene(place / "unseen" / "room7", views, camera)
    found = point_map(
        open_scenes(place / "unseen")[0], place / "cache", VOXEL / 2, max_points=100_000
    )
    scan = found.scan()
    votes = np.zeros((len(scan), 256), np.int32)
    for frame in found.frames:
        x, y, point = found.pixels(frame).T
        np.add.at(votes, (point, views[int(frame)][0].label[y, x]), 1)
    votes[:, 255] = 0
    labels = np.where(votes.any(axis=1), votes.argmax(axis=1), 255).astype(np.uint8)
    return replace(scan, labels=labels)


def scenes_of(place, folder, features="features"):
    scenes = open_scenes(place / "images")
    pixels = FolderFeatures(place / features, alone=False)
    return SceneVoxels(small_encoder(), scenes, pixels, COLLATE, folder, OPTIONS)


def options(folder, **given):
    return LanguageConfig(
        folder,
        **(
            {"steps": 100, "voxels": 1500, "validate_every": 0, "progress": False}
            | {"learning_rate": 2e-2}
            | given
        ),
    )


def right(head, scan):
    """Share of labelled voxels whose nearest word is their class."""
    encoder = small_encoder()
    batch = COLLATE([scan], None)
    with torch.no_grad():
        pyramid = encoder(batch.feat, batch.grid_coord, batch.coord, batch.offset)
        linear = head_for_words(head, WORDS)
        found = linear.scores(pyramid, linear.concat_levels(encoder)).argmax(1)
    known = batch.labels != 255
    return float((found == batch.labels)[known].float().mean())


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_unseen_room_is_labelled_by_words_nobody_labelled(tmp_path, place, unseen, solver):
    scenes = scenes_of(place, tmp_path)
    head, outcome = train_from_images(
        small_encoder(), scenes, [], WORDS[:0], COLLATE, options(tmp_path, solver=solver)
    )
    assert (outcome is None) == (solver == "ridge")
    most = np.bincount(unseen.labels[unseen.labelled]).max() / unseen.labelled.sum()
    assert right(head, unseen) > most + 0.15
    levels = head.concat_levels(small_encoder())
    before = agreement(LanguageHead(head.in_channels, WIDTH), scenes, levels)
    assert agreement(head, scenes, levels) > before + 0.3


def test_the_ridge_takes_every_voxel_with_a_target_as_the_joined_features_would(tmp_path, place):
    scenes = scenes_of(place, tmp_path)
    head, _ = train_from_images(
        small_encoder(), scenes, [], WORDS[:0], COLLATE, options(tmp_path, solver="ridge")
    )
    levels = head.concat_levels(small_encoder())
    parts = [part for index in range(len(scenes)) for part in scenes.joined(index, levels)]
    x, y = (torch.cat([part[i] for part in parts]).double() for i in (0, 1))
    middle = x - x.mean(0)
    products = middle.T @ middle
    products.diagonal().add_(1e-3 * products.diagonal().mean())
    expected = torch.linalg.solve(products, middle.T @ (y - y.mean(0))).T
    torch.testing.assert_close(head.weight.double(), expected, rtol=1e-3, atol=1e-4)


def test_an_interrupted_run_goes_on_with_the_same_weights_and_reads_no_image(
    tmp_path, place, monkeypatch
):
    def run(folder):
        given = options(folder, steps=40, checkpoint_every=10)
        scenes = scenes_of(place, folder)
        return train_from_images(small_encoder(), scenes, [], WORDS[:0], COLLATE, given)[0]

    whole = run(tmp_path / "whole")
    step = Trainer._train_step

    def killed(self):
        if self.step == 25:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "_train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    monkeypatch.setattr(Trainer, "_train_step", step)
    for reader in ("posed.point_map.seen_pixels", "posed.targets.vectors_at"):
        path = f"concerto_ros.learning.data.{reader}"
        monkeypatch.setattr(path, lambda *_: pytest.fail("was computed again"))
    assert torch.equal(run(tmp_path / "cut").weight, whole.weight)


def test_what_does_not_fit_is_refused_by_name(tmp_path, place):
    scenes = scenes_of(place, tmp_path)
    with pytest.raises(ValueError, match="words have 8 channels and those of pixels 16, expected"):
        train_from_images(
            small_encoder(), scenes, [], torch.zeros(0, 8), COLLATE, options(tmp_path)
        )
    with pytest.raises(ValueError, match="solver is 'sgd', expected one of adamw, ridge"):
        train_from_images(
            small_encoder(), scenes, [], WORDS, COLLATE, options(tmp_path, solver="sgd")
        )
    other = tmp_path / "other"
    other.mkdir()
    np.save(other / "other.npy", np.ones((2, 2, WIDTH)))
    with pytest.raises(DataError, match=r"none of the images has .* such as room0/0\.npy, room1/"):
        SceneVoxels(
            small_encoder(),
            scenes.scenes,
            FolderFeatures(other, False),
            COLLATE,
            tmp_path,
            OPTIONS,
        )


@pytest.fixture
def files(tmp_path, place, unseen):
    """What the command takes, and how it is called."""
    scans = tmp_path / "scans"
    scans.mkdir()
    np.savez(
        scans / "unseen.npz",
        xyz=unseen.points, rgb=unseen.colors, normal=unseen.normals, label=unseen.labels,
    )  # fmt: skip
    save_encoder(tmp_path / "encoder.pth", small_encoder())
    names = tuple(each.name for each in LabelSet.load("demo").classes)
    Vocabulary(names, WORDS, "open_clip:tiny/none", "a {name} in a scene").save(
        tmp_path / "table.safetensors"
    )

    def command(*arguments):
        return main([
            "train", "language", str(place / "images"), "--checkpoint",
            str(tmp_path / "encoder.pth"), "--voxel-size", str(VOXEL), "--device", "cpu",
            "--out", str(tmp_path / "out"), *map(str, arguments),
        ])  # fmt: skip

    return command, tmp_path


def test_the_command_reports_what_words_find_in_labelled_scans(files, place, capsys):
    command, folder = files
    status = command(
        "--pixel-features", place / "features", "--text-encoder", "open_clip:tiny/none",
        "--table", folder / "table.safetensors", "--validation", folder / "scans",
        "--label-map", "demo", "--solver", "ridge", "--holdout", 0.5,
    )  # fmt: skip
    said = capsys.readouterr().out
    assert status == 0
    assert "room1: 5 images" in said and "2 frames left out: 1 has a pose that is not" in said
    assert "1 has no feature image of their name" in said
    assert "1 training and 1 held-out scenes" in said
    report = json.loads((folder / "out" / "report.json").read_text())
    assert report["allAcc"] > 0.3 and report["facts"]["solver"] == "ridge"
    cosine = report["facts"]["mean cosine with the pixels, held-out scenes"]
    assert float(cosine) > 0.3 and f"held-out scenes: {cosine}" in said
    head = LanguageHead.load(folder / "out" / "language.safetensors", small_encoder())
    assert (head.text_encoder, head.template) == ("open_clip:tiny/none", "a {name} in a scene")
    assert head.width == WIDTH and head.preset == "indoor"


@pytest.mark.parametrize(
    "given, message",
    [
        (["--text-encoder", "minilm", "--views", "4"], "--views: has no meaning with --pixel-"),
        ([], "--text-encoder: expected the text encoder that belongs to the 2D model of"),
        (["--text-encoder", "bert"], "text encoder: got 'bert'"),
        (["--text-encoder", "minilm", "--depth-unit", "0"], "depth_unit is 0.0, expected metres"),
        (["--text-encoder", "minilm", "--depth-tolerance", "2"], "tolerance is 2.0, expected"),
        (["--text-encoder", "minilm", "--holdout", "1"], "--holdout: got 1.0"),
    ],
)
def test_the_command_refuses_options_by_name(files, place, capsys, given, message):
    command, _ = files
    assert command("--pixel-features", place / "features", *given) != 0
    assert message in capsys.readouterr().err
