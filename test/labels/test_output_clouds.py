# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of clouds that come out: what they need, and that every row can be packed."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.bags.writer import TYPES
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.output_clouds import OUTPUT_CLOUDS, RECORDED_CLOUDS, needs_of
from concerto_ros.labels.packed_cloud import (
    DATATYPES,
    CloudStyle,
    instances_in,
    labels_in,
    pack_features,
    pack_prediction,
)
from concerto_ros.labels.prediction import Prediction
from concerto_ros.sensors.message_fields import join_stamp, split_stamp


def test_only_what_is_wanted_is_computed():
    assert needs_of([]) == set()
    assert needs_of(["pca"]) == {"pca"}
    assert needs_of(["similarity", "pca"]) == {"similarity", "pca"}
    assert needs_of(["features"]) == {"features"}
    assert needs_of(["labels"]) == needs_of(["filtered/ground", "objects", "fusion"]) == {"labels"}


def test_a_bag_gets_every_cloud_that_needs_no_click():
    assert [cloud.topic for cloud in RECORDED_CLOUDS] == ["labels", "pca"]
    assert list(TYPES) == ["labels", "pca", "classes"]


@pytest.mark.parametrize("cloud", OUTPUT_CLOUDS, ids=lambda cloud: cloud.topic)
@pytest.mark.parametrize("similar", [True, False])
def test_every_cloud_is_packed_point_by_point(cloud, similar):
    labels, zeros = LabelSet.from_generic(3), np.zeros(4, np.float32)
    prediction = Prediction(
        points=np.arange(12, dtype=np.float32).reshape(4, 3),
        label=np.array([0, 1, 2, 255], np.uint8),
        confidence=zeros,
        entropy=zeros,
        pca_rgb=np.zeros((4, 3), np.uint8),
        classes=labels.classes,
        model="",
        stamp=1,
        stage_ms={},
        similarity=zeros if similar else None,
    )
    packed = cloud.pack(prediction, CloudStyle(labels.palette))
    assert packed.width == (4 if similar or cloud.needs != "similarity" else 0)
    assert [field.name for field in packed.fields[:4]] == ["x", "y", "z", "rgb"]
    assert packed.data.size == packed.width * packed.point_step


@pytest.mark.parametrize(
    ("layout", "named"), [("pcl", "label"), ("autoware", "class_id"), ("panoptic", "panoptic")]
)
@pytest.mark.parametrize("instances", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_every_layout_has_labels_and_where_asked_the_ids_of_objects(
    layout, named, instances, known
):
    label = np.array([0, 3, 255, 1], np.uint8)
    ids = np.array([0, 7, 0xFFFF, 0x10000], np.uint32)
    prediction = Prediction(
        points=np.zeros((4, 3), np.float32),
        label=label,
        confidence=np.ones(4, np.float32),
        entropy=np.zeros(4, np.float32),
        pca_rgb=np.zeros((4, 3), np.uint8),
        classes=(),
        model="",
        stamp=1,
        stage_ms={},
        instance=ids if known else None,
    )
    style = CloudStyle(LabelSet.from_generic(4).palette, layout, instances)
    packed = pack_prediction(prediction, style)
    kinds = {number: kind for kind, number in DATATYPES.items()}
    layout_of = [(field.name, kinds[field.datatype]) for field in packed.fields]
    records = packed.data.view(np.dtype(layout_of))
    assert [name for name in records.dtype.names if name not in "xyz"][-1] == (
        "instance" if instances else "entropy" if layout == "autoware" else "confidence"
    )
    if instances:
        np.testing.assert_array_equal(records["instance"], ids if known else 0)
    if layout == "panoptic":  # the last id has more bits than there is room for
        wanted = [0, 3 << 16 | 7, 255 << 16 | 0xFFFF, 1 << 16]
        np.testing.assert_array_equal(records[named], wanted if known else label.astype(int) << 16)
    fields = {name: records[name] for name in records.dtype.names}
    np.testing.assert_array_equal(labels_in(fields), label)
    found = instances_in(fields)
    if instances or layout == "panoptic":
        whole = ids if instances else [0, 7, 0xFFFF, 0]
        np.testing.assert_array_equal(found, whole if known else 0)
    else:
        assert found is None
    assert labels_in({"x": label}) is None


@pytest.mark.parametrize("stamp", [0, 1, 999_999_999, 1_700_000_000_123_456_789, -1])
def test_a_stamp_comes_back_from_its_two_fields(stamp):
    sec, nanosec = split_stamp(stamp)
    assert 0 <= nanosec < 1_000_000_000 and join_stamp(sec, nanosec) == stamp


@pytest.mark.parametrize(
    ("encoding", "step", "worst"),
    [("float32", 0, 0.0), ("float16", 0, 1e-3), ("int8", 4, 1 / 127)],
)
def test_features_are_packed_with_few_bits_and_their_angles_stay(encoding, step, worst):
    random = np.random.default_rng(0)
    points = random.normal(size=(40, 3)).astype(np.float32)
    components = (random.normal(size=(40, 6)) * random.uniform(0, 100, (40, 1))).astype(np.float32)
    components[0] = 0
    components[7, 2] = np.nan
    cloud = pack_features(points, components, encoding)
    kinds = {"float32": "<f4", "float16": "<f2", "int8": "<i1"}
    scale = [("scale", "<f4")] if step else []
    layout = [("xyz", "<f4", 3), *scale, ("features", kinds[encoding], 6)]
    records = cloud.data.view(np.dtype(layout))
    known = np.arange(40) != 7
    np.testing.assert_array_equal(records["xyz"], points[known])
    read = records["features"].astype(float) * (records["scale"][:, None] if step else 1)
    largest = np.abs(components[known]).max(axis=1, keepdims=True)
    assert (np.abs(read - components[known]) <= worst * largest).all()
    assert cloud.fields[-1].elements == 6 and cloud.point_step == np.dtype(layout).itemsize


def test_features_of_another_encoding_are_refused():
    with pytest.raises(ValueError, match="encoding is 'int4'"):
        pack_features(np.zeros((1, 3)), np.zeros((1, 2), np.float32), "int4")
