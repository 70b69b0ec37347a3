# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth models predict depth, and poses where no file has them; with stand-ins of libraries."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import posed_files as files
import pytest
import torch
from posed_rooms import room_views, write_scene

from concerto_ros.files.data_error import DataError
from concerto_ros.posed.depth_models.loading import load_depth_model
from concerto_ros.posed.geometry import Geometry
from concerto_ros.posed.opening import Sources, open_posed
from concerto_ros.settings.presets import PRESETS
from concerto_ros.settings.published_models import DEPTH_MODELS

INDOOR = PRESETS["indoor"]
VIEWS, CAMERA = room_views(7, 4, width=64, height=48, noise=False)
DEPTH = np.array([image.depth for image, _ in VIEWS])
POSES = np.array([pose for _, pose in VIEWS])
MATRIX = np.tile(CAMERA.matrix, (len(VIEWS), 1, 1))
INTRINSICS = (CAMERA.focal, CAMERA.focal, *CAMERA.center)


class StandIn:
    """Knows the depth of the views, in units of ``unit`` metres; what it was given is kept."""

    name = "stand-in"

    def __init__(self, *, metric=True, predicts_poses=True, unit=1.0, **wrong):
        self.metric, self.predicts_poses, self.unit = metric, predicts_poses, unit
        self.wrong = wrong

    def __call__(self, images, intrinsics=None, poses=None):
        self.given = images, intrinsics, poses
        known = [
            next(i for i, (image, _) in enumerate(VIEWS) if (image.color == given).all())
            for given in images
        ]
        moved = POSES[known].copy()
        moved[:, :3, 3] /= self.unit
        own = {"poses": moved, "intrinsics": MATRIX[known]}
        if poses is not None or not self.predicts_poses:
            own = {"poses": None, "intrinsics": None}
        return Geometry(**{"depth": DEPTH[known] / self.unit, **own, **self.wrong})


@pytest.fixture
def images(tmp_path):
    return files.write_images(tmp_path / "walk", VIEWS)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = write_scene(tmp_path_factory.mktemp("scannet") / "scene", VIEWS, CAMERA)
    return open_posed(folder, Sources(), INDOOR)


def agree(scene, expected):
    assert len(scene.frames) == len(expected.frames)
    for index in range(len(scene.frames)):
        frame, reference = scene.read(index).frame, expected.read(index).frame
        np.testing.assert_allclose(frame.points, reference.points, atol=2e-3)
        np.testing.assert_array_equal(frame.colors, reference.colors)


def test_a_model_of_several_views_gives_depth_and_poses_in_a_stated_unit(images, expected):
    agree(open_posed(images, Sources(), INDOOR, StandIn()), expected)
    relative = StandIn(metric=False, unit=3.0)
    agree(open_posed(images, Sources(scale=3), INDOOR, relative), expected)
    with pytest.raises(DataError, match="depth model stand-in: scale: the poses are in an unkn"):
        open_posed(images, Sources(), INDOOR, relative)
    assert open_posed(images, Sources(), INDOOR, StandIn()).held is not None


@pytest.mark.parametrize("predicts_poses", [True, False])
def test_poses_of_files_are_kept_and_given_to_the_model(tmp_path, expected, predicts_poses):
    folder = files.write_tum(tmp_path / "desk", VIEWS, depth_later=0.0)
    (folder / "depth").rename(tmp_path / "unused")
    fx, fy, cx, cy = INTRINSICS
    text = f"fx: {fx}\nfy: {fy}\ncx: {cx}\ncy: {cy}\nwidth: 64\nheight: 48\n"
    (folder / "camera.yaml").write_text(text)
    model = StandIn(predicts_poses=predicts_poses)
    scene = open_posed(folder, Sources(), INDOOR, model)
    agree(scene, expected)
    assert scene.held is None  # z of the trajectory points up
    _, intrinsics, poses = model.given
    np.testing.assert_allclose(intrinsics, MATRIX)
    np.testing.assert_allclose(poses, POSES, atol=1e-6)
    (folder / "camera.yaml").write_text(text.partition("width")[0])
    with pytest.raises(DataError, match="of images of which size is not said"):
        open_posed(folder, Sources(), INDOOR, model)
    relative = StandIn(metric=False, predicts_poses=False)
    with pytest.raises(DataError, match="unknown unit for each image, expected a metric model"):
        open_posed(folder, Sources(), INDOOR, relative)


def test_what_a_model_cannot_do_or_does_wrong_is_said(images):
    for model, message in (
        (StandIn(predicts_poses=False), "it predicts no poses, expected Sources.geometry"),
        (StandIn(depth=np.ones((3, 48, 64))), r"returned depth of shape \(3, 48, 64\), expected"),
        (StandIn(poses=None), r"returned poses of shape None, expected \(4, 4, 4\)"),
        (
            StandIn(depth=np.full((4, 48, 64), 9e4)),
            r"depth\[0\]: .* in the middle: check Sources.scale$",
        ),
        (StandIn(poses=np.full((4, 4, 4), np.nan)), "no image has depth and a finite pose"),
    ):
        with pytest.raises(DataError, match=message):
            open_posed(images, Sources(), INDOOR, model).read(0)
    for given, option in (
        ({"depth": images}, "Sources.depth"),
        ({"depth_unit": 0.001}, "Sources.depth_unit"),
        ({"intrinsics": INTRINSICS}, "Sources.intrinsics"),
    ):
        with pytest.raises(DataError, match=f"{option}: has no meaning with .*{images.name}"):
            open_posed(images, Sources(**given), INDOOR, StandIn())
    files.write_npz(images / "a.npz", VIEWS, CAMERA)
    with pytest.raises(DataError, match=r"depth model stand-in: got it beside .*a\.npz"):
        open_posed(images, Sources(), INDOOR, StandIn())


# --- the libraries ---------------------------------------------------------------------------


def stand_in_module(monkeypatch, name, **content):
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    for key, value in content.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


class Loaded:
    """What ``from_pretrained`` of a library returns."""

    @classmethod
    def from_pretrained(cls, source, *, local_files_only):
        assert local_files_only  # nothing is downloaded
        loaded = cls()
        loaded.source = source
        return loaded

    def to(self, device):
        return self


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "config.json").write_text("{}")
    return tmp_path / "files"


def to_camera(poses):
    return np.linalg.inv(poses)[:, :3].astype(np.float32)


def test_depth_anything_3_is_called_and_read_as_its_interface_says(
    monkeypatch, folder, images, expected
):
    class Model(Loaded):
        def inference(self, image, extrinsics=None, intrinsics=None):
            self.given = extrinsics, intrinsics
            return SimpleNamespace(
                depth=DEPTH.astype(np.float32),
                conf=np.ones_like(DEPTH),
                extrinsics=to_camera(POSES) if extrinsics is None else extrinsics[:, :3],
                intrinsics=MATRIX,
            )

    stand_in_module(monkeypatch, "depth_anything_3")
    stand_in_module(monkeypatch, "depth_anything_3.api", DepthAnything3=Model)
    model = load_depth_model(f"da3-base={folder}")
    assert (model.metric, model.predicts_poses) == (False, True)
    agree(open_posed(images, Sources(scale=1), INDOOR, model), expected)
    model([image.color for image, _ in VIEWS], MATRIX, POSES)
    np.testing.assert_allclose(model._model.given[0][:, :3], to_camera(POSES), atol=1e-6)


def test_the_metric_depth_anything_3_counts_in_focal_lengths(monkeypatch, folder):
    class Model(Loaded):
        def inference(self, image, extrinsics=None, intrinsics=None):
            return SimpleNamespace(depth=np.full((1, 24, 32), 2.0))  # half the size of the image

    stand_in_module(monkeypatch, "depth_anything_3")
    stand_in_module(monkeypatch, "depth_anything_3.api", DepthAnything3=Model)
    model = load_depth_model(f"da3metric-large={folder}")
    depth = model([VIEWS[0][0].color], MATRIX[:1]).depth
    np.testing.assert_allclose(depth, 2.0 * (CAMERA.focal / 2) / 300, rtol=1e-6)
    with pytest.raises(DataError, match="da3metric-large: needs the intrinsics"):
        model([VIEWS[0][0].color])


def test_map_anything_is_called_and_read_as_its_interface_says(
    monkeypatch, folder, images, expected
):
    class Model(Loaded):
        def infer(self, views, *, apply_mask, mask_edges):
            assert apply_mask and mask_edges
            self.views = views
            far = DEPTH[..., None].copy()
            mask = np.ones_like(far)
            mask[:, 0] = 0
            far[:, 0] = 5e3  # masked
            arrays = {"depth_z": far, "camera_poses": POSES, "intrinsics": MATRIX}
            arrays |= {"conf": DEPTH, "mask": mask}
            return [
                {name: torch.from_numpy(array[i : i + 1]) for name, array in arrays.items()}
                for i in range(len(views))
            ]

    stand_in_module(monkeypatch, "mapanything")
    stand_in_module(monkeypatch, "mapanything.models", MapAnything=Model)
    stand_in_module(monkeypatch, "mapanything.utils")
    stand_in_module(monkeypatch, "mapanything.utils.image", preprocess_inputs=list)
    model = load_depth_model(f"map-anything-apache={folder}")
    scene = open_posed(images, Sources(), INDOOR, model)
    whole = expected.read(1).frame.points
    points = scene.read(1).frame.points
    np.testing.assert_allclose(points, whole[-len(points) :], atol=2e-3)
    assert len(whole) - 64 <= len(points) < len(whole)
    model([image.color for image, _ in VIEWS], MATRIX, POSES)
    assert set(model._model.views[0]) == {"img", "intrinsics", "camera_poses"}
    np.testing.assert_allclose(model._model.views[2]["camera_poses"], POSES[2], atol=1e-6)


def test_models_of_transformers_predict_each_image_at_its_size(tmp_path):
    library = pytest.importorskip("transformers")
    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = library.Dinov2Config(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=56,
        out_features=stages,
        reshape_hidden_states=False,
    )
    sizes = {"reassemble_hidden_size": 24, "neck_hidden_sizes": [8] * 4}
    sizes |= {"fusion_hidden_size": 8, "head_hidden_size": 8, "max_depth": 20}
    config = library.DepthAnythingConfig(
        backbone_config=backbone, depth_estimation_type="metric", **sizes
    )
    library.DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    size = {"height": 56, "width": 56}
    library.DPTImageProcessor(size=size, ensure_multiple_of=14).save_pretrained(tmp_path)
    name = f"depth-anything-v2-indoor-small={tmp_path}"
    model = load_depth_model(name)
    depth = model([image.color for image, _ in VIEWS[:2]]).depth
    assert depth.shape == (2, 48, 64) and ((depth > 0) & (depth < 20)).all()
    content = (tmp_path / "config.json").read_text().replace('"metric"', '"relative"')
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(DataError, match="depth_estimation_type is 'relative', expected 'metric'"):
        load_depth_model(name)


def test_models_that_are_not_there_are_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="depth model 'vggt': expected one of map-anything-apache"):
        load_depth_model("vggt")
    with pytest.raises(DataError, match="has no config.json, expected the folder of a download"):
        load_depth_model(f"da3-base={tmp_path}")
    monkeypatch.setitem(sys.modules, "mapanything", None)
    with pytest.raises(ImportError, match=r"needs the package mapanything: .* \.npz"):
        load_depth_model("map-anything-apache")
    stand_in_module(monkeypatch, "depth_anything_3")
    with pytest.raises(DataError, match="not downloaded here: run `concerto-ros download da3-bas"):
        load_depth_model("da3-base")


def test_files_that_cannot_be_read_are_said_with_the_folder(monkeypatch, folder):
    class Model:
        @staticmethod
        def from_pretrained(source, **options):
            raise OSError("no weights")

    stand_in_module(monkeypatch, "depth_anything_3")
    stand_in_module(monkeypatch, "depth_anything_3.api", DepthAnything3=Model)
    with pytest.raises(DataError, match=f"da3-base: {folder}: no weights"):
        load_depth_model(f"da3-base={folder}")


def test_models_for_any_use_come_first_and_all_have_a_licence():
    licences = [model.licence for model in DEPTH_MODELS]
    assert licences[:6] == ["Apache-2.0"] * 6
    assert all("not for commercial use" in licence for licence in licences[6:])
    assert len({model.name for model in DEPTH_MODELS}) == len(DEPTH_MODELS)
