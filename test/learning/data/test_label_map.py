# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the numbers in label files mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concerto_ros.labels.label_set import UNLABELLED, LabelSet
from concerto_ros.learning.data.label_map import (
    DataError,
    LabelMap,
    named_classes,
    write_label_set,
)

ROOM = named_classes(["floor", "wall", "chair"])


def written(tmp_path, text):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    return path


# --- without a map ------------------------------------------------------------------------------


def test_values_are_labels_and_minus_one_and_255_are_none():
    labels = LabelMap.of(ROOM).apply(np.array([0, 1, 2, -1, 255]), "scan")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [0, 1, 2, UNLABELLED, UNLABELLED]


def test_an_unknown_value_is_named_with_the_file_and_the_two_ways_out():
    with pytest.raises(DataError) as caught:
        LabelMap.of(ROOM).apply(np.array([0, 7, 7, 40]), "room/scan.npz")
    text = str(caught.value)
    assert "room/scan.npz" in text and "7, 40 (at 3 points)" in text
    assert "--ignore-index" in text and "--label-map" in text and "\n" not in text


def test_of_many_unknown_values_a_few_are_listed():
    with pytest.raises(DataError, match=r"10, 11, .*, \.\.\. \(at 90 points\)"):
        LabelMap.of(ROOM).apply(np.arange(10, 100), "scan")


def test_the_ignore_index_replaces_the_usual_ones():
    ignoring = LabelMap.of(ROOM).ignoring(7)
    assert ignoring.apply(np.array([7, 1]), "scan").tolist() == [UNLABELLED, 1]
    with pytest.raises(DataError, match="value -1"):
        ignoring.apply(np.array([-1]), "scan")
    assert LabelMap.of(ROOM).ignoring([0, 2]).apply(np.array([0, 1, 2]), "scan").tolist() == [
        UNLABELLED,
        1,
        UNLABELLED,
    ]


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int32, np.uint32, np.int64, np.float32])
def test_any_type_of_number_does_where_it_is_whole(kind):
    assert LabelMap.of(ROOM).apply(np.array([2, 0], kind), "scan").tolist() == [2, 0]


@pytest.mark.parametrize("values", [[0.5], [np.nan], [np.inf], [1e300]])
def test_labels_that_are_no_whole_numbers_are_refused(values):
    with pytest.raises(DataError, match="scan: 1 labels are not integers"):
        LabelMap.of(ROOM).apply(np.array(values), "scan")


def test_labels_that_are_text_are_refused():
    with pytest.raises(DataError, match="scan: labels are <U5"):
        LabelMap.of(ROOM).apply(np.array(["floor"]), "scan")


def test_no_labels_are_no_labels():
    assert LabelMap.of(ROOM).apply(np.empty(0, np.int32), "scan").shape == (0,)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-3, 260), max_size=50), st.sets(st.integers(-3, 260), max_size=5))
def test_each_value_has_its_label_or_the_error_counts_it(values, ignored):
    label_map = LabelMap.of(ROOM).ignoring(ignored)
    wrong = [v for v in values if v not in ignored and v not in (0, 1, 2)]
    if wrong:
        with pytest.raises(DataError, match=rf"\(at {len(wrong)} points\)"):
            label_map.apply(np.array(values), "scan")
    else:
        expected = [UNLABELLED if v in ignored else v for v in values]
        assert label_map.apply(np.array(values, int), "scan").tolist() == expected


# --- files --------------------------------------------------------------------------------------


def test_a_map_file_says_what_each_value_means(tmp_path):
    path = written(
        tmp_path,
        "classes: [floor, wall, chair]\n"
        "map: {10: floor, 12: wall, 13: wall, 40: ignore, 255: chair}",
    )
    label_map = LabelMap.load(path)
    assert [c.name for c in label_map.classes.classes] == ["floor", "wall", "chair"]
    labels = label_map.apply(np.array([10, 12, 13, 40, 255, -1]), "scan")
    assert labels.tolist() == [0, 1, 1, UNLABELLED, 2, UNLABELLED]
    with pytest.raises(DataError, match=f"unknown label value 0 .*{path.name}"):
        label_map.apply(np.array([0]), "scan")


def test_classes_are_called_as_the_data_is(tmp_path):
    own = tmp_path / "warehouse" / "label_map.yaml"
    own.parent.mkdir()
    own.write_text("classes: [floor]")
    assert LabelMap.load(own).classes.name == "warehouse"
    assert LabelMap.load(written(tmp_path, "classes: [floor]")).classes.name == "map"


def test_values_that_are_not_listed_can_be_ignored(tmp_path):
    path = written(tmp_path, "classes: [floor, wall]\nmap: {10: floor}\nothers: ignore")
    assert LabelMap.load(path).apply(np.array([10, 3, 99]), "scan").tolist() == [0, 255, 255]


def test_a_map_file_may_name_a_shipped_set_or_one_beside_it(tmp_path):
    path = written(tmp_path, "classes: s3dis\nmap: {3: floor}")
    assert LabelMap.load(path).apply(np.array([3]), "scan").tolist() == [1]
    write_label_set(ROOM, tmp_path / "room.yaml")
    path = written(tmp_path, "classes: room.yaml\nmap: {3: chair}")
    assert LabelMap.load(path).apply(np.array([3]), "scan").tolist() == [2]


def test_a_set_by_name_or_by_file_is_a_map_too(tmp_path):
    assert len(LabelMap.load("scannet20").classes) == 20
    write_label_set(ROOM, tmp_path / "room.yaml")
    assert LabelMap.load(tmp_path / "room.yaml").classes.classes == ROOM.classes
    path = written(tmp_path, "classes: [a, b]")
    assert LabelMap.load(path).apply(np.array([1, 255]), "scan").tolist() == [1, 255]


@pytest.mark.parametrize(
    "text, fault",
    [
        ("[1, 2]", "content"),
        ("classes: [a\nmap", "cannot be read"),
        ("map: {1: a}", "keys"),
        ("classes: [a]\nmaps: {1: a}", "keys"),
        ("classes: []", "classes"),
        ("classes: [a, a]", "different names"),
        ("classes: [a, 3]", "classes"),
        ("classes: [a, ignore]", "no class named ignore"),
        ("classes: nowhere", "label set 'nowhere' does not exist, expected one of"),
        ("classes: other.yaml", "the file does not exist"),
        ("classes: [a]\nmap: {}", "map"),
        ("classes: [a]\nmap: {x: a}", "a key of map"),
        (
            "classes: [a]\nmap: {1: b}",
            "the class of value 1: got 'b', expected ignore or one of: a",
        ),
        ("classes: [a]\nothers: maybe", "others"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_it(tmp_path, text, fault):
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        LabelMap.load(path)
    assert fault in str(caught.value) and "\n" not in str(caught.value)
    if "nowhere" not in text and "other.yaml" not in text:
        assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="none.yaml: the file does not exist"):
        LabelMap.load(tmp_path / "none.yaml")


def test_a_written_label_set_is_what_the_node_loads(tmp_path):
    path = tmp_path / "set.yaml"
    for labels in (ROOM, LabelSet.load("scannet200"), named_classes(["stół", "a: b", "'"])):
        write_label_set(labels, path)
        assert LabelSet.load(path).classes == labels.classes
