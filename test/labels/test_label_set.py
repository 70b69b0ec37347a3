# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped label sets say what the datasets say, and a wrong file is refused with its fault."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from concerto_ros.labels.label_set import UNLABELLED, UNLABELLED_COLOR, LabelSet, SemanticClass

SIZES = {
    "demo": 12,
    "demo_outdoor": 8,
    "hm3d": 40,
    "nuscenes": 16,
    "s3dis": 13,
    "scannet20": 20,
    "scannet200": 200,
    "scannetpp": 100,
    "semantickitti": 19,
    "structured3d": 25,
}


def test_the_shipped_sets_are_these():
    assert LabelSet.shipped() == tuple(sorted(SIZES))


@pytest.mark.parametrize("name, size", SIZES.items())
def test_every_shipped_set_is_complete(name, size):
    labels = LabelSet.load(name)
    assert labels.name == name and len(labels) == size
    assert [entry.id for entry in labels.classes] == list(range(size))
    assert len({entry.color for entry in labels.classes}) == size
    assert labels.palette.shape == (256, 3) and labels.palette.dtype == np.uint8
    for entry in labels.classes:
        assert tuple(labels.palette[entry.id]) == entry.color
    assert (labels.palette[size:] == UNLABELLED_COLOR).all()


def test_the_outdoor_classes_are_in_the_order_of_its_head_and_their_colours_far_apart():
    labels = LabelSet.load("demo_outdoor")
    assert [entry.name for entry in labels.classes] == [
        *("ground", "building", "fence", "vegetation", "vehicle", "person", "pole", "other"),
    ]
    colors = np.array([*(entry.color for entry in labels.classes), UNLABELLED_COLOR], float)
    apart = np.linalg.norm(colors[:, None] - colors, axis=2)
    assert apart[np.triu_indices(len(colors), 1)].min() > 60


def test_scannet20_are_the_benchmarks_classes_by_nyu40_id():
    labels = LabelSet.load("scannet20")
    assert [entry.name for entry in labels.classes] == [
        *("wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window"),
        *("bookshelf", "picture", "counter", "desk", "curtain", "refrigerator"),
        *("shower curtain", "toilet", "sink", "bathtub", "otherfurniture"),
    ]
    source = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39]
    assert [entry.source_id for entry in labels.classes] == source
    assert labels.classes[0] == SemanticClass(0, "wall", (174, 199, 232), 1)
    assert labels.classes[19] == SemanticClass(19, "otherfurniture", (82, 84, 163), 39)


def test_scannet200_starts_and_ends_as_the_benchmark():
    classes = LabelSet.load("scannet200").classes
    assert [entry.name for entry in classes[:5]] == ["wall", "chair", "floor", "table", "door"]
    assert [entry.source_id for entry in classes[:5]] == [1, 2, 3, 4, 5]
    assert classes[199].name == "mattress" and classes[199].source_id == 1191
    assert classes[0].color == (174, 199, 232)


def test_s3dis_is_in_the_usual_order():
    names = "ceiling floor wall beam column window door table chair sofa bookcase board clutter"
    assert [entry.name for entry in LabelSet.load("s3dis").classes] == names.split()


def test_semantickitti_maps_back_to_the_ids_of_the_label_files():
    classes = LabelSet.load("semantickitti").classes
    by_name = {entry.name: entry.source_id for entry in classes}
    assert classes[0].name == "car" and classes[18].name == "traffic-sign"
    assert (by_name["car"], by_name["road"], by_name["parking"]) == (10, 40, 44)
    assert by_name["traffic-sign"] == 81
    # listed as blue, green, red by the dataset: cars are light blue, signs are red
    assert classes[0].color == (100, 150, 245) and classes[18].color == (255, 0, 0)


def test_nuscenes_are_the_challenge_classes_1_to_16():
    classes = LabelSet.load("nuscenes").classes
    assert [entry.source_id for entry in classes] == list(range(1, 17))
    assert classes[0].name == "barrier" and classes[15].name == "vegetation"
    assert classes[10].name == "driveable_surface" and classes[10].color == (0, 207, 191)


@pytest.mark.parametrize("count", [1, 20, UNLABELLED])
def test_a_head_without_names_gets_numbered_classes_in_distinct_colours(count):
    labels = LabelSet.from_generic(count)
    assert labels.classes[-1].name == f"class_{count - 1}"
    assert len({entry.color for entry in labels.classes}) == count
    assert UNLABELLED_COLOR not in {entry.color for entry in labels.classes}


@pytest.mark.parametrize("count", [0, UNLABELLED + 1])
def test_more_classes_than_labels_are_refused(count):
    with pytest.raises(ValueError, match=f"count is {count}"):
        LabelSet.from_generic(count)


# --- files --------------------------------------------------------------------------------------


def good():
    entries = [
        {"id": 0, "source_id": 7, "name": "ground", "color": [1, 2, 3]},
        {"id": 1, "source_id": 9, "name": "crate", "color": [4, 5, 6]},
    ]
    return {"name": "warehouse", "title": "Warehouse", "classes": entries}


def test_a_file_of_ones_own_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "warehouse.yaml"
    path.write_text(yaml.safe_dump(good()))
    labels = LabelSet.load(path)
    assert labels.classes[1] == SemanticClass(1, "crate", (4, 5, 6), 9)
    assert LabelSet.load(str(path)) == labels


def changed(**changes):
    content = good()
    content["classes"][1].update(changes)
    return content


@pytest.mark.parametrize(
    "content, fault",
    [
        (None, "the file is None"),
        ([], "the file is []"),
        ({**good(), "colours": []}, "expected the keys ['name', 'title', 'classes']"),
        ({**good(), "name": 3}, "name is 3"),
        ({**good(), "classes": []}, "classes is '0 entries'"),
        ({**good(), "classes": good()["classes"] * 128}, "classes is '256 entries'"),
        ({**good(), "classes": ["wall"]}, "entry 0 of classes is 'wall'"),
        (changed(id=2), "id of entry 1 of classes is 2, expected 1"),
        (changed(id=True), "id of entry 1 of classes is True"),
        (changed(source_id=-1), "source_id of entry 1 of classes is -1"),
        (
            changed(source_id=7),
            "source_id of entry 1 of classes is 7, expected another than entry 0",
        ),
        (changed(name="ground"), "name of entry 1 of classes is 'ground', expected another"),
        (changed(name=" "), "name of entry 1 of classes is ' '"),
        (changed(name=False), "name of entry 1 of classes is False"),
        (changed(color=[1, 2, 256]), "color of entry 1 of classes is [1, 2, 256]"),
        (changed(color=[1, 2]), "color of entry 1 of classes is [1, 2]"),
        (changed(color=[0.1, 0.2, 0.3]), "color of entry 1 of classes is [0.1, 0.2, 0.3]"),
        (changed(color="red"), "color of entry 1 of classes is 'red'"),
    ],
)
def test_a_wrong_file_is_refused_by_file_entry_and_value(tmp_path, content, fault):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError) as caught:
        LabelSet.load(path)
    assert fault in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"classes: [", b"\xff\xfe\x00", b"!!python/object:os.system {}"]
)
def test_what_is_no_yaml_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        LabelSet.load(path)
    assert "cannot be read" in str(caught.value) and "\n" not in str(caught.value)


def test_a_name_that_is_not_shipped_is_refused_with_those_that_are():
    with pytest.raises(
        ValueError,
        match="'scannet21' does not exist, expected one of demo, demo_outdoor, hm3d, nuscenes",
    ):
        LabelSet.load("scannet21")


def test_a_path_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="the file does not exist"):
        LabelSet.load("nowhere/labels.yaml")


def test_a_label_set_without_classes_has_a_palette():
    """That of an encoder without a head: the node shows its features."""
    palette = LabelSet("none", "no head", ()).palette
    assert palette.shape == (256, 3)
    assert (palette == UNLABELLED_COLOR).all()
