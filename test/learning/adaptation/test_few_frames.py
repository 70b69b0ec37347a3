# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A student that has few frames of a scene where its teacher has all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_rooms import VOXEL, room_scan, small_encoder, small_preset

from concerto_ros.learning.adaptation import batches
from concerto_ros.learning.adaptation.batches import ViewCollate
from concerto_ros.learning.adaptation.model import PretrainingModel
from concerto_ros.learning.adaptation.scene_frames import CloudFrames
from concerto_ros.learning.adaptation.scenes import Scene
from concerto_ros.learning.adaptation.view_clouds import FEWEST_SEEN, ViewCloud, voxels_of
from concerto_ros.learning.pretraining.presets import ADAPT
from concerto_ros.segmentation.convention import convention_for

INDOOR = convention_for("indoor", rotary=False)
PRESET = small_preset(
    ADAPT, points=2000, student_frames=1, kept=0.5, drop_colors=(0.2, 0.5)
).at_voxels(VOXEL)


def framed_scene(frames=6, fitted=True):
    """A room whose points are frames from left to right, the sensor in the middle of each."""
    scan = room_scan(3)
    order = np.argsort(scan.points[:, 0], kind="stable")
    scan = replace(
        scan, points=scan.points[order], normals=scan.normals[order], colors=scan.colors[order]
    )
    of = np.arange(len(scan)) * frames // len(scan)
    sensors = np.array([scan.points[of == frame].mean(axis=0) for frame in range(frames)])
    return Scene(scan, frames=CloudFrames(of, sensors, fitted))


def views_of(scene, monkeypatch, preset=PRESET, all_frames=0.0):
    monkeypatch.setattr(batches, "ALL_FRAMES_SHARE", all_frames)
    return ViewCollate(INDOOR, VOXEL, preset)([scene], np.random.default_rng(0))


def frames_of(scene, places):
    """The frames of the points at some places."""
    points = torch.from_numpy(scene.scan.points)
    return set(scene.frames.of[torch.cdist(places, points).argmin(dim=1).numpy()].tolist())


def test_the_student_has_the_points_of_its_frames_and_the_teacher_those_of_all(monkeypatch):
    scene = framed_scene()
    batch = views_of(scene, monkeypatch, replace(PRESET, voxel_means=False))
    every, own = batch.globals, batch.few.of(batch.globals)
    assert len(frames_of(scene, every.origin)) == 6
    assert len(frames_of(scene, own.origin[: own.offset[0]])) == 1
    assert (own.origin == every.origin[batch.few.rows]).all()
    assert len(own.offset) == len(every.offset) == 2
    assert len(own.feat) < len(every.feat) / 2


def test_its_normals_are_those_that_its_frames_give(monkeypatch):
    plain = replace(PRESET, drop_colors=(0.0, 0.0), voxel_means=False)
    fitted = views_of(framed_scene(), monkeypatch, plain)
    given = views_of(framed_scene(fitted=False), monkeypatch, plain)
    seen = fitted.few.rows[fitted.few.rows < fitted.globals.offset[0]]
    size = len(seen)
    own, other = fitted.few.feat[:size, 6:9], fitted.globals.feat[seen, 6:9]
    assert (own - other).abs().max() > 0.1  # of fewer points, towards another sensor
    assert torch.allclose(own.norm(dim=1), torch.ones(size), atol=0.01)
    assert torch.equal(given.few.feat[:, 3:], given.globals.feat[given.few.rows, 3:])


def test_voxels_are_means_of_all_points_to_the_teacher_and_of_its_own_to_the_student():
    points = np.zeros((64, 3), np.float32)
    points[:, 0] = np.repeat(np.arange(32), 2) + np.tile([0.2, 0.6], 32)
    normals = np.zeros((64, 2, 3), np.float32)
    normals[::2, :, 2] = normals[1::2, :, 0] = 1.0  # two surfaces in each voxel
    seen = np.tile([True, False], 32)
    cloud = ViewCloud(points, points, points, normals, np.zeros((64, 0, 2)), seen, np.arange(64))
    feat = np.concatenate([points, points, normals[:, 0]], axis=1)
    voxels = voxels_of(cloud, points, feat, np.floor(points), means=True)
    assert np.allclose(voxels.coord[:, 0], np.arange(32) + 0.4)
    assert np.allclose(voxels.origin, voxels.coord)
    assert np.allclose(voxels.feat[:, 6:9], np.array([1, 0, 1]) / np.sqrt(2))
    assert voxels.seen.all()
    assert np.allclose(voxels.own[:, 0], np.arange(32) + 0.2)
    assert np.allclose(voxels.own[:, 6:9], [0, 0, 1])
    single = voxels_of(cloud, points, feat, np.floor(points), means=False)
    assert np.allclose(single.coord[:, 0], np.arange(32) + 0.2)  # the first of each


@pytest.mark.parametrize("means", [True, False])
@pytest.mark.parametrize(("seen", "given"), [(FEWEST_SEEN - 1, 64), (FEWEST_SEEN, FEWEST_SEEN)])
def test_a_view_that_the_student_hardly_sees_is_whole_to_it(means, seen, given):
    points = np.arange(128).repeat(3).reshape(-1, 3).astype(np.float32) / 2
    normals = np.zeros((128, 2, 3), np.float32)
    voxel = np.arange(128) // 2
    patches = np.zeros((128, 0, 2))
    cloud = ViewCloud(points, points, points, normals, patches, voxel < seen, voxel)
    view = cloud.within(np.arange(0, 128, 2))  # a point of each voxel
    feat = np.concatenate([points, points, normals[:, 0]], axis=1)
    voxels = voxels_of(view, points, feat, np.floor(points), means)
    assert len(voxels.seen) == 64 and voxels.seen.sum() == given
    assert np.allclose(voxels.own[voxels.seen], voxels.feat[voxels.seen])


def test_a_scene_of_unknown_frames_and_some_of_known_ones_are_seen_whole(monkeypatch):
    unknown = Scene(framed_scene().scan)
    for batch in (
        views_of(unknown, monkeypatch),
        views_of(framed_scene(), monkeypatch, all_frames=1.0),
        views_of(framed_scene(), monkeypatch, replace(PRESET, student_frames=None)),
    ):
        assert torch.equal(batch.few.of(batch.globals).origin, batch.globals.origin)
        assert torch.equal(batch.few.feat, batch.globals.feat)


def test_what_is_distilled_belongs_to_the_same_places(monkeypatch):
    batch = views_of(framed_scene(), monkeypatch)
    model = PretrainingModel(small_encoder(), PRESET, VOXEL, 1.0, distilled=True)
    student, kept = model.masked(batch)
    assert torch.equal(student.origin, batch.globals.origin[kept])
    assert not student.mask.any()  # other frames are hidden already
    loss = model(batch)
    assert torch.isfinite(loss) and set(model.losses) == {"mask", "roll", "unmask", "distilled"}
    loss.backward()
    gradients = [p.grad for p in model.student.backbone.parameters() if p.grad is not None]
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0


def test_strays_below_the_floor_are_in_no_view(monkeypatch):
    scene = framed_scene()
    clean = views_of(scene, monkeypatch)
    points = scene.scan.points.copy()
    points[::97, 2] -= 5.0
    dirty = views_of(replace(scene, scan=replace(scene.scan, points=points)), monkeypatch)
    assert clean.globals.origin[:, 2].min() > -1
    assert dirty.globals.origin[:, 2].min() > -1


def test_the_recipe_adapt_distils_alone_and_hides_points_where_no_frames_are_known(monkeypatch):
    tiny = replace(PRESET, kept=ADAPT.kept)
    model = PretrainingModel(small_encoder(), tiny, VOXEL, 1.0, distilled=True)
    assert model.weights()["distilled"] == 1.0 and model.weights()["mask"] == 0.0
    batch = views_of(Scene(framed_scene().scan), monkeypatch, tiny)
    assert model.masked(batch)[0].mask.any()
    assert torch.isfinite(model(batch)) and set(model.losses) == {"distilled"}
    alone = PretrainingModel(small_encoder(), tiny, VOXEL, 1.0)
    assert torch.isfinite(alone(batch)) and set(alone.losses) == {"mask", "roll", "unmask"}
    both = PretrainingModel(small_encoder(), tiny, VOXEL, 1.0, image_width=4, distilled=True)
    assert both.weights()["image"] == both.weights()["distilled"] == 0.5
