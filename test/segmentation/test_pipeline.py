# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames in, predictions out, without ROS."""

from __future__ import annotations

from dataclasses import replace

import bundled_models
import numpy as np
import paths
import pytest
import torch
from training_data import small_encoder

from concerto_ros import SemanticPipeline
from concerto_ros.files.shared_files import share_path
from concerto_ros.heads.linear import LinearHead, save_head
from concerto_ros.heads.similarity import FeatureQuery
from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.objects.finding.class_roles import ClassRoles
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.checkpoint import save_encoder
from concerto_ros.segmentation.convention import Convention, preset_with
from concerto_ros.segmentation.model_options import convention_of, grid_size_for, label_set_for
from concerto_ros.sensors.frame import Frame
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings

GOLDEN = paths.GOLDEN / "ptv3" / "single_room"


@pytest.fixture(scope="module")
def pipeline():
    return SemanticPipeline.from_config(share_path("config/perception.yaml"))


def scan(seed=0, size=2000):
    """(N, 3) points on a floor and two walls, colours and normals."""
    random = np.random.default_rng(seed)
    points = random.uniform((0, 0, 0), (2, 1.5, 1), (size, 3)).astype(np.float32)
    normals = np.zeros_like(points)
    for axis in range(3):
        points[axis::3, axis] = 0.0
        normals[axis::3, axis] = 1.0
    colors = random.integers(0, 256, (size, 3)).astype(np.uint8)
    return points, colors, normals


def frame(stamp=0, seed=0):
    points, colors, normals = scan(seed)
    return Frame(points, stamp, "odom", "camera", colors, normals, origin=np.array([1.0, 1, 1]))


def test_segment_answers_for_every_point(pipeline):
    points, colors, normals = scan()
    prediction = pipeline.segment(points, colors, normals)
    assert prediction.label.shape == (2000,) and prediction.label.max() < 12
    assert prediction.confidence.shape == (2000,)
    assert ((prediction.confidence > 0) & (prediction.confidence <= 1)).all()
    assert prediction.pca_rgb.shape == (2000, 3) and prediction.pca_rgb.dtype == np.uint8
    assert [entry.id for entry in prediction.classes] == list(range(12))
    assert prediction.model == "demo" and pipeline.trained


def test_points_of_one_voxel_get_one_answer(pipeline):
    points, colors, normals = scan()
    doubled = [np.concatenate([array, array]) for array in (points, colors, normals)]
    prediction = pipeline.segment(*doubled)
    assert (prediction.label[:2000] == prediction.label[2000:]).all()


def test_the_same_cloud_gives_the_same_answer(pipeline):
    first, second = (pipeline.segment(*scan()) for _ in range(2))
    assert (first.label == second.label).all()
    assert (first.confidence == second.confidence).all()
    assert (first.pca_rgb == second.pca_rgb).all()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_tiny_clouds(pipeline, size):
    points, *_ = scan(size=size)
    assert len(pipeline.segment(points).label) == size


def test_points_that_are_not_finite_are_unlabelled(pipeline):
    points, colors, normals = scan()
    points[7] = np.nan
    points[9, 1] = np.inf
    prediction = pipeline.segment(points, colors, normals)
    bad = np.isin(np.arange(2000), [7, 9])
    assert (prediction.label[bad] == 255).all() and (prediction.confidence[bad] == 0).all()
    assert (prediction.label[~bad] < 12).all()


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((np.zeros((0, 3)),), "points"),
        ((np.zeros((5, 2)),), "points"),
        ((np.full((5, 3), np.nan),), "none of them finite"),
        ((np.zeros((5, 3)), np.zeros((4, 3))), "colors"),
        ((np.zeros((5, 3)), None, np.zeros((5, 2))), "normals"),
    ],
)
def test_a_cloud_that_is_invalid_is_refused(pipeline, arguments, wanted):
    with pytest.raises(ValueError, match=wanted):
        pipeline.segment(*arguments)


@pytest.mark.parametrize("stray", [[0, 0, -50], [5000, 5000, 0], [-60_000, 0, 0], [1e7, 0, 0]])
@pytest.mark.parametrize("place", [[0, 0, 0], [500_000.125, 4_649_776.5, 300.25]])
def test_a_stray_does_not_cost_the_others_their_labels(pipeline, stray, place):
    points, colors, _ = scan()
    far = np.vstack([[stray], points.astype(np.float64)]) + place
    alone = pipeline.segment(far[1:], colors)
    prediction = pipeline.segment(far, np.vstack([colors[:1], colors]))
    assert prediction.unlabelled == {"stray": 1} and prediction.label[0] == UNLABELLED
    np.testing.assert_allclose(prediction.points, far, rtol=0 if any(place) else 1e-6)
    np.testing.assert_array_equal(prediction.label[1:], alone.label)
    assert alone.unlabelled == {} and np.unique(alone.label).max() < UNLABELLED


def test_georeferenced_arrays_keep_their_sensor(pipeline):
    points, colors, _ = scan()
    place = np.array([512_000.0, 4_096_000.0, 256.0])
    here = pipeline.segment(points, colors, origin=[1, 1, 2])
    there = pipeline.segment(points.astype(np.float64) + place, colors, origin=place + [1, 1, 2])
    assert np.mean(here.label == there.label) > 0.98
    assert there.unlabelled == {}


def test_the_unit_of_colours_does_not_change_the_answer(pipeline):
    points, colors, _ = scan()
    label = pipeline.segment(points, colors).label
    for other in (colors / 255, colors.astype(np.uint16) * 257, torch.from_numpy(colors)):
        np.testing.assert_array_equal(pipeline.segment(points, other).label, label)


def test_why_points_have_no_label_is_counted(pipeline):
    points, colors, _ = scan()
    points = np.vstack([points, [[np.nan, 0, 0], [0, 0, np.inf], [9000, 0, 0]]])
    prediction = pipeline.segment(points)
    assert prediction.unlabelled == {"not_finite": 2, "stray": 1}
    assert np.count_nonzero(prediction.label == UNLABELLED) == 3


def test_frames_accumulate_and_a_snapshot_stays_as_it_is(pipeline):
    pipeline.clear()
    pipeline.insert(frame(seed=0))
    snapshot = pipeline.snapshot()
    size, points = len(snapshot), snapshot.points.copy()
    pipeline.insert(frame(stamp=10**8, seed=1))
    assert len(snapshot) == size and (snapshot.points == points).all()
    assert len(pipeline.snapshot()) > size
    prediction = pipeline.infer(snapshot)
    assert prediction.stamp == 0 and (prediction.points == points).all()


def test_only_what_is_asked_for_is_computed(pipeline):
    pipeline.clear()
    pipeline.insert(frame())
    prediction = pipeline.infer(pipeline.snapshot(), ["pca"])
    assert (prediction.label == 255).all() and (prediction.confidence == 0).all()
    assert prediction.pca_rgb.any() and "labels" not in prediction.stage_ms
    assert not pipeline.infer(pipeline.snapshot(), ["labels"]).pca_rgb.any()


def test_an_official_encoder_and_its_head_load_by_path():
    settings = Settings(
        checkpoint=str(GOLDEN / "encoder.pth"), head=str(GOLDEN / "head.pth"), device="cpu"
    )
    pipeline = SemanticPipeline.from_settings(settings)
    assert pipeline.labels.name == "scannet20" and pipeline.trained
    assert len(pipeline.segment(*scan()).label) == 2000


@pytest.mark.parametrize(("voxel_size", "wanted"), [(0.0, 0.03), (0.1, 0.1)])
def test_a_checkpoint_that_says_its_grid_is_given_voxels_of_that_size(
    tmp_path, voxel_size, wanted
):
    content = torch.load(GOLDEN / "encoder.pth", weights_only=True)
    torch.save(content | {"grid_size": 0.03}, tmp_path / "trained.pth")
    settings = Settings(checkpoint=str(tmp_path / "trained.pth"), voxel_size=voxel_size)
    pipeline = SemanticPipeline.from_settings(settings)
    pipeline.insert(frame())
    assert pipeline.snapshot().voxel_size == wanted
    assert pipeline.encoder.grid_size == 0.03


def test_voxels_are_the_presets_where_no_checkpoint_says_more():
    settings = Settings(checkpoint=str(GOLDEN / "encoder.pth"), preset="outdoor")
    assert SemanticPipeline.from_settings(settings).snapshot().voxel_size == 0.05


def test_the_bundled_model_brings_its_own_voxel_size(pipeline):
    assert pipeline.snapshot().voxel_size == load_encoder("demo").grid_size == 0.04


def test_without_a_head_there_are_colours_and_no_labels():
    settings = Settings(checkpoint=str(GOLDEN / "encoder.pth"))
    prediction = SemanticPipeline.from_settings(settings).segment(*scan())
    assert (prediction.label == 255).all() and prediction.classes == ()
    assert prediction.pca_rgb.any() and "no head" in prediction.model


def test_the_labels_are_those_of_encoder_and_head_by_hand():
    settings = Settings(
        checkpoint=str(GOLDEN / "encoder.pth"),
        head=str(GOLDEN / "head.pth"),
        voxel_size=0.04,
        precision="float32",
    )
    pipeline = SemanticPipeline.from_settings(settings)
    points, colors, normals = scan()
    cell = np.floor(points.astype(np.float64) / 0.04)
    _, rows = np.unique(cell, axis=0, return_index=True)  # one point in each voxel
    points, colors, normals, cell = points[rows], colors[rows], normals[rows], cell[rows]
    low, high = points.min(axis=0), points.max(axis=0)
    coord = points - [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]
    feat = np.concatenate([coord, colors / 255, normals], axis=1)
    pyramid = pipeline.encoder(
        torch.from_numpy(feat).float(),
        torch.from_numpy(cell - cell.min(axis=0)).int(),
        torch.from_numpy(coord).float(),
        torch.tensor([len(rows)]),
    )
    logits = pipeline.head(pyramid.upcast(None))
    prediction = pipeline.segment(points, colors, normals)
    best = logits.softmax(dim=1).max(dim=1)
    assert prediction.confidence == pytest.approx(best.values.numpy(), abs=2e-3)
    margin = logits.topk(2).values.diff(dim=1).abs()[:, 0].numpy() > 4e-3
    assert (prediction.label == best.indices.numpy())[margin].all() and margin.mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"checkpoint": "nowhere.pth"}, "checkpoint: .*nowhere.pth"),
        ({"checkpoint": str(GOLDEN / "encoder.pth"), "head": "nowhere.pth"}, "head: .*nowhere"),
        ({"label_set": "s3dis"}, "label_set: got s3dis with 13 classes, expected 12"),
        ({"device": "cuda:99"}, "device: got 'cuda:99'"),
        ({"device": "cpu", "backend": "spconv"}, "backend spconv is not available on cpu: "),
    ],
)
def test_what_cannot_be_loaded_is_named(changes, wanted):
    with pytest.raises(SettingsError, match=wanted):
        SemanticPipeline.from_settings(Settings(**changes), download=False)


def test_an_official_name_that_is_not_here_fails_at_once_without_download():
    with pytest.raises(SettingsError, match="concerto_base.pth"):
        SemanticPipeline.from_settings(Settings(checkpoint="concerto_base"), download=False)


def test_strays_below_the_floor_are_unlabelled_and_change_no_other_label(pipeline):
    points, colors, normals = scan(size=6000)
    clean = pipeline.segment(points, colors, normals, origin=[1, 1, 1])
    assert clean.floor_height == pytest.approx(0, abs=1e-6)
    below = np.float32([[1, 1, -0.6], [0.5, 0.4, -1.3], [1.5, 1, -1.9]])
    noisy = pipeline.segment(
        np.vstack([points, below]),
        np.vstack([colors, colors[:3]]),
        np.vstack([normals, normals[:3]]),
        origin=[1, 1, 1],
    )
    assert noisy.floor_height == clean.floor_height
    assert (noisy.label[:6000] == clean.label).all()
    assert (noisy.confidence[:6000] == clean.confidence).all()
    assert (noisy.label[6000:] == UNLABELLED).all() and (noisy.confidence[6000:] == 0).all()
    assert noisy.unlabelled == {"below_floor": 3} and noisy.not_finite == 0


def test_the_floor_of_a_georeferenced_cloud_is_told_in_its_coordinates(pipeline):
    points = scan(size=3000)[0].astype(np.float64) + [500_000, 4_000_000, 812.5]
    assert pipeline.segment(points).floor_height == pytest.approx(812.5, abs=0.01)


def test_a_known_floor_is_used_and_told():
    settings = Settings(floor_height=-0.7)
    pipeline = SemanticPipeline.from_settings(settings)
    assert pipeline.segment(scan()[0]).floor_height == pytest.approx(-0.7)
    pipeline.insert(frame())
    assert pipeline.infer(pipeline.snapshot()).floor_height == pytest.approx(-0.7)


def test_a_voxel_size_that_is_set_precedes_that_of_the_bundled_model_outdoors():
    settings = Settings(preset="outdoor", voxel_size=0.2)
    assert SemanticPipeline.from_settings(settings).settings.voxel_size == 0.2


def test_an_encoder_keeps_its_conventions_in_its_file(tmp_path):
    encoder = load_encoder("demo")
    encoder.preset, encoder.grid_size = "outdoor", 0.12  # as after training outdoors
    encoder.conventions = {"outdoor": (0.25, "box")}
    save_encoder(tmp_path / "encoder.pth", encoder)
    loaded = load_encoder(tmp_path / "encoder.pth")
    assert loaded.conventions == encoder.conventions
    for preset in ("indoor", "outdoor"):
        assert convention_of(loaded, preset) == Convention(0.25, "box")
        assert grid_size_for(loaded, preset) == pytest.approx(0.12)
    assert preset_with(Convention(0.25, "box"), loaded.rotary, loaded.conventions) == "outdoor"


@pytest.mark.parametrize("wrong", [[1], {"outdoor": 2}, {"outdoor": ["big", "box"]}])
def test_conventions_that_cannot_be_read_are_refused_by_name(tmp_path, wrong):
    save_encoder(tmp_path / "encoder.pth", load_encoder("demo"))
    content = torch.load(tmp_path / "encoder.pth", weights_only=True)
    torch.save(content | {"conventions": wrong}, tmp_path / "encoder.pth")
    with pytest.raises(ValueError, match="encoder.pth has conventions .*expected a scale and"):
        load_encoder(tmp_path / "encoder.pth")


def test_outdoors_the_bundled_model_is_the_one_for_the_outdoors(tmp_path, monkeypatch):
    bundled_models.bundle_outdoor_model(tmp_path, monkeypatch)
    pipeline = SemanticPipeline.from_settings(Settings(preset="outdoor", precision="float32"))
    assert pipeline.model == "demo_outdoor" and pipeline.trained
    assert pipeline.labels == LabelSet.load("demo_outdoor")
    assert pipeline.settings.voxel_size == bundled_models.VOXEL_SIZE
    assert pipeline.convention == Convention(*bundled_models.CONVENTION)
    prediction = pipeline.segment(*scan())
    assert prediction.classes == pipeline.labels.classes
    assert prediction.label.max() < len(bundled_models.CLASSES)
    assert SemanticPipeline.from_settings(Settings()).labels.name == "demo"


def test_a_head_of_the_other_preset_is_refused_with_both_presets(tmp_path, monkeypatch):
    bundled_models.bundle_outdoor_model(tmp_path, monkeypatch)
    head = LinearHead(sum(load_encoder("demo", preset="outdoor").channels), 3)
    head.preset = "indoor"  # as it was trained indoors
    save_head(tmp_path / "head.pth", head)
    settings = Settings(preset="outdoor", head=str(tmp_path / "head.pth"))
    with pytest.raises(SettingsError, match="preset indoor, but .* demo_outdoor uses .* outdoor"):
        SemanticPipeline.from_settings(settings)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_head_is_used_with_the_encoder_it_was_trained_on_alone(tmp_path, precision):
    encoder, other = small_encoder(seed=1), small_encoder(seed=2)
    head = LinearHead(sum(encoder.channels), 3)
    paths = [str(tmp_path / name) for name in ("encoder.pth", "other.pth", "head.pth")]
    for path, each in zip(paths, (encoder, other), strict=False):
        save_encoder(path, each)
    head.encoder = load_encoder(paths[0]).digest
    save_head(paths[2], head)
    settings = Settings(checkpoint=paths[0], head=paths[2], precision=precision, device="cpu")
    assert SemanticPipeline.from_settings(settings).head.encoder == head.encoder
    with pytest.raises(
        SettingsError, match="head.pth was trained on another encoder than .*other"
    ):
        SemanticPipeline.from_settings(replace(settings, checkpoint=paths[1]))


def test_the_bundled_head_is_refused_on_an_encoder_that_was_trained_further(tmp_path):
    encoder = load_encoder("demo")
    next(iter(encoder.parameters())).data += 1e-3
    save_encoder(tmp_path / "adapted.pth", encoder)
    settings = Settings(checkpoint=str(tmp_path / "adapted.pth"), head="demo", device="cpu")
    with pytest.raises(SettingsError, match=r"demo was trained on another encoder than .*adapted"):
        SemanticPipeline.from_settings(settings)


@pytest.mark.parametrize(("classes", "name"), [(20, "scannet20"), (12, "generic12")])
def test_classes_that_a_head_does_not_name_are_those_of_a_data_set_never_guessed(classes, name):
    head = LinearHead(8, classes)
    assert label_set_for("", head).name == name


def test_a_head_for_the_bundled_model_outdoors_is_refused_indoors():
    encoder, head = load_encoder("demo"), LinearHead.load("demo")
    head.preset = "outdoor"
    with pytest.raises(SettingsError, match="trained with the preset outdoor"):
        convention_of(encoder, "indoor", head)


def test_the_map_gives_full_features_at_points(pipeline):
    pipeline.clear()
    with pytest.raises(ValueError, match="the map is empty"):
        pipeline.features_at([[1.0, 1.0, 1.0]])
    pipeline.insert(frame())
    points = scan()[0]
    asked = np.concatenate([points[:2], [[9.0, 9, 9], [np.nan, 0, 0]]])
    features = pipeline.features_at(asked)
    assert features.dtype == np.float32 and features.shape == (4, sum(pipeline.encoder.channels))
    assert np.isfinite(features).all(axis=1).tolist() == [True, True, False, False]
    snapshot = pipeline.snapshot()
    every = pipeline.infer(snapshot, (), FeatureQuery(every=True)).components
    np.testing.assert_array_equal(features[:2], every[snapshot.rows_of(points[:2])])
    with pytest.raises(ValueError, match=r"points: got shape \(3,\)"):
        pipeline.features_at([1.0, 2, 3])


def test_points_get_the_numbers_of_their_objects_where_asked(pipeline):
    few = replace(pipeline.settings.objects, min_voxels=1)
    settings = replace(pipeline.settings, objects=few)
    labelling = SemanticPipeline(settings, pipeline.encoder, pipeline.head, pipeline.labels)
    points, colors, normals = scan()
    asked = labelling.segment(points, colors, normals, instances=True)
    assert asked.instance.shape == (2000,) and asked.instance.dtype == np.uint32
    found = set(asked.instance.tolist()) - {0}
    assert found and found == set(range(1, len(found) + 1))
    plain = labelling.segment(points, colors, normals)
    assert plain.instance is None and (plain.label == asked.label).all()
    things = ClassRoles.of(pipeline.labels).things
    single = np.isin(asked.label, list(things))
    assert (asked.instance[single] > 0).all(), "of one voxel or more, each thing is an object"
