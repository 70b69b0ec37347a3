# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point maps in Pointcept's layout for Concerto: written, read back, and used for views."""

from __future__ import annotations

import json

import numpy as np
import posed_rooms
import pytest
from small_rooms import VOXEL

from concerto_ros.learning.adaptation.batches import ViewCollate
from concerto_ros.learning.adaptation.data_options import DataOptions
from concerto_ros.learning.adaptation.opening import sample_scenes
from concerto_ros.learning.data.label_map import DataError
from concerto_ros.learning.data.posed.opening import open_scenes
from concerto_ros.learning.data.posed.pixel_features import FolderFeatures
from concerto_ros.learning.data.posed.point_map import point_map
from concerto_ros.learning.data.posed.pointcept_splits import read_split, write_split
from concerto_ros.learning.pretraining.presets import ADAPT
from concerto_ros.segmentation.convention import convention_for


@pytest.fixture
def room(tmp_path):
    """A map of a simulated room, its scene, and the folder of the data set."""
    views, camera = posed_rooms.room_views(1, 5, 40, 30, noise=False)
    posed_rooms.write_scene(tmp_path / "room", views, camera)
    (scene,) = open_scenes(tmp_path / "room")
    root = tmp_path / "maps"
    return point_map(scene, root, VOXEL / 2), scene, root


def image_of(scene):
    return lambda name: scene.read(list(scene.frames).index(name)).image


def test_a_map_is_read_back_as_samples_of_a_few_images_each(room):
    found, scene, root = room
    path = write_split(root, [found], [image_of(scene)], "train")
    samples = read_split(path)
    assert [len(sample.frames) for sample in samples] == [4, 1]
    assert sum((sample.frames for sample in samples), ()) == found.frames
    for sample in samples:
        np.testing.assert_array_equal(sample.scan().points, found.scan().points)
        np.testing.assert_allclose(sample.scan().normals, found.scan().normals, atol=1e-6)
        for frame, size in zip(sample.frames, sample.sizes, strict=True):
            np.testing.assert_array_equal(sample.pixels(frame), found.pixels(frame))
            np.testing.assert_array_equal(sample.image(frame), image_of(scene)(frame))
            assert size == (30, 40)


def test_the_row_that_means_none_sees_no_point(room):
    found, scene, root = room
    path = write_split(root, [found], [image_of(scene)], "train")
    sample = read_split(path)[0]
    np.save(sample.correspondences[0], np.full((1, 3), -1))
    assert len(sample.pixels(sample.frames[0])) == 0


def test_views_say_where_the_patches_see_their_voxels(room, tmp_path):
    found, scene, root = room
    write_split(root, [found], [image_of(scene)], "train")
    features = tmp_path / "features"
    for sample in ("room-0", "room-1"):
        (features / sample).mkdir(parents=True)
        for frame in range(5):
            values = np.full((3, 4, 2), frame, np.float32)
            np.save(features / sample / f"{frame}.npy", values)
    options = DataOptions(VOXEL, "indoor", tmp_path, progress=False)
    scenes = sample_scenes(root, FolderFeatures(features, alone=False), options)
    collate = ViewCollate(
        convention_for("indoor", rotary=False), VOXEL, ADAPT.at_voxels(VOXEL), (3, 4)
    )
    batch = collate([scenes[0], scenes[1]], np.random.default_rng(0))
    images = batch.images
    assert images is not None and sum(images.counts) == len(images.vectors)
    assert images.counts[0] > 1 and images.counts[1] == 1
    assert set(images.vectors.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    seen = (images.patches >= 0).all(dim=2)
    second = batch.globals.offset[1]
    assert seen[:second].any(dim=0).sum() == images.counts[0]
    assert not seen[second:, 1:].any()
    assert (images.patches.amax(dim=(0, 1)) < images.patches.new_tensor([3, 4])).all()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "cannot be read"),
        ("{}", "has no samples"),
        (json.dumps({"a": {}}), "a has no 'pointclouds'"),
        (json.dumps({"a": {"pointclouds": "a", "images": ["x.png"]}}), "1 images and 0 corr"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused_by_file_and_sample(tmp_path, content, fault):
    path = tmp_path / "splits" / "train.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(DataError, match=fault):
        read_split(path)
