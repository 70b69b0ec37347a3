# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets as published: ScanNet, ScanNet++, S3DIS, nuScenes, Structured3D, HM3D.

Each is written here in its real layout, in miniature: names, types and structure of the files are
those of the publishers, the content is made up.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from training_data import small_encoder

from concerto_ros.cli import main
from concerto_ros.heads import LinearHead
from concerto_ros.heads.linear import save_head
from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.learning.data.formats import DataError, nuscenes, open_dataset
from concerto_ros.ptv3.checkpoint import save_encoder

RANDOM = np.random.default_rng(0)


def refused(make) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_mesh(path, points, faces, colors, fields=(), order="<"):
    """A binary .ply mesh as ScanNet's: float x y z, uchar red green blue alpha, triangles."""
    path.parent.mkdir(parents=True, exist_ok=True)
    vertex = np.zeros(
        len(points),
        [("p", order + "f4", 3), ("c", "u1", 4), *((n, order + "u2") for n, _ in fields)],
    )
    vertex["p"], vertex["c"][:, :3], vertex["c"][:, 3] = points, colors, 255
    for name, values in fields:
        vertex[name] = values
    face = np.zeros(len(faces), [("n", "u1"), ("v", order + "i4", 3)])
    face["n"], face["v"] = 3, faces
    more = "".join(f"property ushort {name}\n" for name, _ in fields)
    header = (
        f"ply\nformat binary_{'little' if order == '<' else 'big'}_endian 1.0\n"
        f"comment VCGLIB generated\nelement vertex {len(points)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nproperty uchar alpha\n"
        f"{more}element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    path.write_bytes(header.encode() + vertex.tobytes() + face.tobytes())


#: A floor of 5 x 5 vertices: the first five are one segment, and so on.
GRID = np.stack(np.meshgrid(np.arange(5), np.arange(5), indexing="ij"), -1).reshape(-1, 2) * 0.1
POINTS = np.c_[GRID, np.zeros(25)].astype(np.float32)
FACES = np.array(
    [
        corner
        for i in range(4)
        for j in range(4)
        for a in [5 * i + j]
        for corner in ([a, a + 5, a + 1], [a + 1, a + 5, a + 6])
    ]
)
COLORS = RANDOM.integers(0, 256, (25, 3), dtype=np.uint8)
SEGMENT = np.repeat([7, 3, 900000, 12, 5], 5)


def as_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


# --- ScanNet ------------------------------------------------------------------------------------

TABLE = (
    "id\traw_category\tcategory\tcount\tnyu40id\tnyu40class\n"
    "1\twall\twall\t8277\t1\twall\n"
    "2\tchair\tchair\t4646\t5\tchair\n"
    "10\toffice chair\tchair\t5\t5\tchair\n"
    "748\tdivider\tdivider\t5\t40\totherprop\n"
)

GROUPS = [
    {"id": 0, "objectId": 0, "segments": [7, 3], "label": "wall"},
    {"id": 1, "objectId": 1, "segments": [900000], "label": "chair"},
    {"id": 2, "objectId": 2, "segments": [12], "label": "divider"},
    {"id": 3, "objectId": 3, "segments": [3, 404], "label": "chair"},  # also in the wall
]


def scannet_scene(root, name, *, groups=GROUPS, folder="scans", labels=None, table=TABLE):
    scene = root / folder / name
    write_mesh(scene / f"{name}_vh_clean_2.ply", POINTS, FACES, COLORS)
    as_json(
        scene / f"{name}_vh_clean_2.0.010000.segs.json",
        {"params": {"kThresh": "0.0001"}, "sceneId": name, "segIndices": SEGMENT.tolist()},
    )
    if groups is not None:
        as_json(scene / f"{name}.aggregation.json", {"sceneId": name, "segGroups": groups})
    if labels is not None:
        path = scene / f"{name}_vh_clean_2.labels.ply"
        write_mesh(path, POINTS, FACES, COLORS, [("label", labels)])
    if table is not None:
        (root / "scannetv2-labels.combined.tsv").write_text(table)
    return scene


def test_scannet_is_read_as_downloaded(tmp_path):
    scannet_scene(tmp_path, "scene0000_00")
    data = open_dataset(tmp_path)
    assert data.names == ("scene0000_00",) and data.classes.name == "scannet20"
    scan = data[0]
    np.testing.assert_allclose(scan.points, POINTS, atol=1e-6)
    np.testing.assert_array_equal(scan.colors, COLORS)
    np.testing.assert_allclose(scan.normals, np.tile([0, 0, 1], (25, 1)), atol=1e-6)
    wall, chair = (
        next(c.id for c in data.classes.classes if c.name == n) for n in ("wall", "chair")
    )
    # of a segment in two objects the last counts; a divider is none of the 20 classes
    expected = np.repeat([wall, chair, chair, UNLABELLED, UNLABELLED], 5)
    np.testing.assert_array_equal(scan.labels, expected)


def test_scannet200_has_the_classes_of_the_raw_categories(tmp_path):
    groups = [*GROUPS, {"id": 4, "segments": [5], "label": "office chair"}]
    scannet_scene(tmp_path, "scene0000_00", groups=groups)
    for choice in ({"label_map": "scannet200"}, {"label_field": "id"}):
        data = open_dataset(tmp_path, **choice)
        assert data.classes.name == "scannet200"
        names = [data.classes.classes[label].name for label in data[0].labels[[0, 5, 10, 15, 20]]]
        assert names == ["wall", "chair", "chair", "divider", "office chair"]


def test_own_classes_are_made_of_a_column_of_scannets_table(tmp_path):
    scannet_scene(tmp_path, "scene0000_00")
    own = tmp_path / "own.yaml"
    own.write_text("classes: [seat]\nmap: {2: seat}\nothers: ignore")
    labels = open_dataset(tmp_path, label_map=own, label_field="id")[0].labels
    np.testing.assert_array_equal(labels, np.repeat([255, 0, 0, 255, 255], 5))


def test_the_published_parts_of_scannet_are_known_and_lists_beside_it_precede(tmp_path):
    for name in ("scene0000_00", "scene0011_00", "scene0011_01", "scene0012_00"):
        scannet_scene(tmp_path, name)
    scannet_scene(tmp_path, "scene0707_00", folder="scans_test", groups=None)
    parts = {part: open_dataset(tmp_path, split=part).names for part in ("train", "val", "test")}
    assert parts == {
        "train": ("scene0000_00", "scene0012_00"),
        "val": ("scene0011_00", "scene0011_01"),
        "test": ("scene0707_00",),
    }
    (tmp_path / "scannetv2_train.txt").write_text("scene0000_00\nscene0011_00\nscene0011_01\n")
    (tmp_path / "scannetv2_val.txt").write_text("scene0012_00\n")
    assert open_dataset(tmp_path, split="val").names == ("scene0012_00",)
    assert len(open_dataset(tmp_path, split="train")) == 3


def test_scannets_mesh_of_classes_serves_where_the_annotations_were_not_downloaded(tmp_path):
    classes = np.repeat([1, 5, 0, 38, 39], 5)
    scannet_scene(tmp_path, "scene0000_00", groups=None, labels=classes, table=None)
    labels = open_dataset(tmp_path)[0].labels
    np.testing.assert_array_equal(labels, np.repeat([0, 4, 255, 255, 19], 5))


def test_scenes_of_scannet_that_lack_a_file_are_counted_and_said(tmp_path, caplog):
    scannet_scene(tmp_path, "scene0000_00")
    scannet_scene(tmp_path, "scene0001_00", groups=None)
    (tmp_path / "scans/scene0002_00").mkdir()
    assert open_dataset(tmp_path).names == ("scene0000_00",)
    assert "2 of 3 scans lack a file (the first: " in caplog.text
    assert "scene0001_00.aggregation.json does not exist" in caplog.text


def test_an_object_whose_name_scannets_table_lacks_is_said_once(tmp_path, caplog):
    groups = [*GROUPS, {"id": 4, "segments": [5], "label": "flying saucer"}]
    scannet_scene(tmp_path, "scene0000_00", groups=groups)
    data = open_dataset(tmp_path)
    assert (data[0].labels[20:] == UNLABELLED).all() and (data[0].labels[:5] == 0).all()
    assert caplog.text.count("'flying saucer'") == 1


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("scannetv2-labels.combined.tsv", None, "does not exist"),
        (
            "scannetv2-labels.combined.tsv",
            "id\tname\n",
            "has no column raw_category, got id, name",
        ),
        ("scannetv2-labels.combined.tsv", TABLE.replace("\t5\tch", "\tx\tch"), "nyu40id: got 'x'"),
        ("scannetv2-labels.combined.tsv", TABLE.replace("ch", "\udcff"), "not readable as text"),
        (
            "scannetv2-labels.combined.tsv",
            TABLE.replace("\t5\tch", f"\t{'9' * 30}\tch"),
            "expected a whole number of at most 9 digits",
        ),
        ("*/*.segs.json", "{}", "has no field segIndices"),
        pytest.param("*/*.segs.json", "[" * 99_999, "not readable as JSON", id="nested"),
        ("*/*.segs.json", '{"segIndices": ["a"]}', "segIndices: got <U1 of shape (1,), expected"),
        ("*/*.segs.json", '{"segIndices": [7.5]}', "segIndices: got float64 of shape (1,)"),
        ("*/*.segs.json", '{"segIndices": [7, 7]}', "2 labels for 25 points of scene0000_00"),
        ("*/*.aggregation.json", "{", "not readable as JSON"),
        ("*/*.aggregation.json", '{"segGroups": [{"label": 3}]}', "segGroups[0]: label: got 3"),
        ("*/*.aggregation.json", '{"segGroups": [{"label": "wall"}]}', "segments: got none"),
        ("*/*_vh_clean_2.ply", "ply\nformat ascii 1.0\n", "got no line end_header"),
    ],
)
def test_what_is_wrong_in_scannet_is_reported_with_file_and_field(tmp_path, file, content, fault):
    scannet_scene(tmp_path, "scene0000_00")
    (path,) = tmp_path.glob(file if file.endswith(".tsv") else f"scans/{file}")
    path.unlink() if content is None else path.write_text(content, errors="surrogateescape")
    text = refused(lambda: open_dataset(tmp_path)[0])
    assert str(path) in text and fault in text


# --- ScanNet++ ----------------------------------------------------------------------------------


def scannetpp(root, scenes=("7b6477cb95", "c50d2d1d42"), *, groups=None):
    if groups is None:
        groups = [
            {"id": 1, "objectId": 1, "label": "wall", "segments": [7, 3, 900000]},
            {"id": 2, "objectId": 2, "label": "picture frame", "segments": [3]},
            {"id": 3, "objectId": 3, "label": "remove", "segments": [12]},
            {"id": 4, "objectId": 4, "label": "table", "segments": [900000, 12, 5]},
            {"id": 5, "objectId": 5, "label": "noise", "segments": [7]},
        ]
    for name in scenes:
        scans = root / "data" / name / "scans"
        write_mesh(scans / "mesh_aligned_0.05.ply", POINTS, FACES, COLORS)
        as_json(scans / "segments.json", {"sceneId": name, "segIndices": SEGMENT.tolist()})
        as_json(scans / "segments_anno.json", {"sceneId": name, "segGroups": groups})
    benchmark = root / "metadata/semantic_benchmark"
    benchmark.mkdir(parents=True)
    (benchmark / "top100.txt").write_text("wall\ntable\npicture\n")
    (benchmark / "map_benchmark.csv").write_text(
        "class,count,semantic_map_to,instance_map_to\n"
        "wall,10,,\ntable,8,,\npicture,3,,\npicture frame,2,picture,picture\nremove,9,None,None\n"
    )
    (root / "splits").mkdir()
    (root / "splits/nvs_sem_train.txt").write_text("7b6477cb95\n")
    (root / "splits/nvs_sem_val.txt").write_text("c50d2d1d42\n")


def test_scannetpp_is_read_as_downloaded_with_the_smallest_object_of_a_vertex(tmp_path):
    scannetpp(tmp_path)
    data = open_dataset(tmp_path)
    assert data.names == ("7b6477cb95",)
    assert [c.name for c in data.classes.classes] == ["wall", "table", "picture"]
    # 900000 is in a wall of 15 vertices and a table as large: the first counts
    np.testing.assert_array_equal(data[0].labels, np.repeat([0, 2, 0, 1, 1], 5))
    assert open_dataset(tmp_path, split="val").names == ("c50d2d1d42",)


def test_a_vertex_of_scannetpp_counts_its_first_three_objects(tmp_path):
    sizes = [[7, 3, 900000, 12], [7, 3, 900000], [7, 3], [7]]
    names = ["wall", "table", "picture", "wall"]
    groups = [{"label": n, "segments": s} for n, s in zip(names, sizes, strict=True)]
    scannetpp(tmp_path, groups=groups)
    labels = open_dataset(tmp_path)[0].labels
    np.testing.assert_array_equal(labels, np.repeat([2, 2, 1, 0, 255], 5))


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("metadata/semantic_benchmark/top100.txt", None, "does not exist or is empty"),
        ("metadata/semantic_benchmark/map_benchmark.csv", None, "does not exist"),
        ("metadata/semantic_benchmark/map_benchmark.csv", "class\n", "no column semantic_map_to"),
        (
            "data/7b6477cb95/scans/segments.json",
            '{"segIndices": [1]}',
            "1 labels for 25 points of 7b6477cb95",
        ),
    ],
)
def test_what_is_wrong_in_scannetpp_is_reported_with_the_file(tmp_path, file, content, fault):
    scannetpp(tmp_path)
    path = tmp_path / file
    path.unlink() if content is None else path.write_text(content)
    text = refused(lambda: open_dataset(tmp_path)[0])
    assert str(path) in text and fault in text


# --- S3DIS --------------------------------------------------------------------------------------

LINES = "".join(f"{i * 0.1:.3f} 1.250 -0.500 {10 * i} 20 255\n" for i in range(20))


def room(root, area, name, **objects):
    folder = root / f"Area_{area}" / name / "Annotations"
    folder.mkdir(parents=True)
    for file, text in ({"ceiling_1": LINES, "stairs_2": LINES.replace("-0.5", "-0.1")}).items():
        (folder / f"{file}.txt").write_text(text)
    for file, text in objects.items():
        (folder / f"{file}.txt").write_bytes(text.encode("latin-1"))
    (folder.parent / f"{name}.txt").write_text(LINES)
    (folder / ".DS_Store").write_bytes(b"\0")
    return folder


@pytest.mark.parametrize("above", ["", "Stanford3dDataset_v1.2_Aligned_Version"])
def test_s3dis_is_read_as_downloaded(tmp_path, above, caplog):
    for area in (1, 5, 6):
        room(tmp_path / above, area, "office_1")
    data = open_dataset(tmp_path)
    assert data.names == ("Area_1/office_1", "Area_6/office_1")
    assert data.classes.name == "s3dis"
    assert open_dataset(tmp_path, split="val").names == ("Area_5/office_1",)
    scan = data[0]
    assert len(scan) == 40
    np.testing.assert_array_equal(scan.labels, np.repeat([0, 12], 20))  # stairs are clutter
    np.testing.assert_allclose(scan.points[1], [0.1, 1.25, -0.5], atol=1e-6)
    assert scan.colors[1].tolist() == [10, 20, 255]
    assert "'stairs' is no class of S3DIS and counts as clutter" in caplog.text


@pytest.mark.parametrize("spoiled", ["0.1 0.2 0.3 185\x00187 190", "1 2 3 4 5 103.0\x100000"])
def test_a_spoiled_line_of_s3dis_is_left_out_and_said(tmp_path, spoiled, caplog):
    folder = room(tmp_path, 1, "office_1", wall_1=LINES + spoiled + "\n" + LINES)
    scan = open_dataset(tmp_path)[0]
    assert np.count_nonzero(scan.labels == 2) == 40 and len(scan) == 80
    text = "1 of 41 lines are no six numbers and are left out (the first: line 21)"
    assert f"{folder / 'wall_1.txt'}: {text}" in caplog.text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1 2 3\n", "got 1 lines of 3 numbers, expected lines x y z r g b"),
        ("x y z r g b\n" * 20, "20 lines are no six numbers (the first: line 1)"),
        ("1 2 3 4 5 256\n", "expected 0 to 255"),
        ("nan 2 3 4 5 6\n", "is NaN or infinite"),
    ],
)
def test_what_is_wrong_in_s3dis_is_reported_with_the_file(tmp_path, text, fault):
    folder = room(tmp_path, 1, "office_1", wall_1=text)
    said = refused(lambda: open_dataset(tmp_path)[0])
    assert str(folder.parent) in said and fault in said
    assert "wall_1.txt" in said or "NaN" in fault


# --- nuScenes -----------------------------------------------------------------------------------

CATEGORY = np.array([0, 17, 24, 28, 31, 2, 9, 30] * 5, np.uint8)


def nuscenes_set(root, version="v1.0-trainval", scenes=("scene-0001", "scene-0003")):
    tables = root / version
    sweep = np.c_[RANDOM.uniform(-9, 9, (40, 3)), RANDOM.uniform(0, 255, 40), np.arange(40) % 32]
    lists = {name: [] for name in ("lidarseg", "scene", "sample", "sample_data")}
    for i, name in enumerate(scenes):
        lists["scene"].append({"token": f"scene{i}", "name": name, "nbr_samples": 2})
        for j in range(2):
            token, sample = f"data{i}{j}", f"sample{i}{j}"
            file = f"samples/LIDAR_TOP/n015__LIDAR_TOP__{1000 + 10 * i + j}.pcd.bin"
            labels = f"lidarseg/{version}/{token}_lidarseg.bin"
            lists["sample"].append({"token": sample, "timestamp": j, "scene_token": f"scene{i}"})
            record = {"token": token, "sample_token": sample, "is_key_frame": True}
            camera = record | {"token": f"camera{i}{j}", "filename": "samples/CAM_FRONT/a.jpg"}
            lists["sample_data"] += [camera, record | {"filename": file, "timestamp": 10 - j}]
            lists["lidarseg"].append(
                {"token": token, "sample_data_token": token, "filename": labels}
            )
            for path, content in ((file, sweep.astype("<f4")), (labels, CATEGORY)):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                content.tofile(root / path)
    for name, content in lists.items():
        as_json(tables / f"{name}.json", content)
    return sweep.astype(np.float32)


@pytest.mark.parametrize("chunk", [1 << 20, 37])
def test_nuscenes_is_read_as_downloaded_with_its_published_map_and_split(
    tmp_path, chunk, monkeypatch
):
    monkeypatch.setattr(nuscenes, "CHUNK", chunk)
    sweep = nuscenes_set(tmp_path)
    data = open_dataset(tmp_path)
    # in the order of time
    assert data.names == tuple(
        f"scene-0001/n015__LIDAR_TOP__{stamp}.pcd.bin" for stamp in (1001, 1000)
    )
    assert all(
        name.startswith("scene-0003/") for name in open_dataset(tmp_path, split="val").names
    )
    scan = data[0]
    np.testing.assert_array_equal(scan.points, sweep[:, :3])
    names = [
        None if label == 255 else data.classes.classes[label].name for label in scan.labels[:8]
    ]
    assert names == [
        *(None, "car", "driveable_surface", "manmade"),
        *(None, "pedestrian", "barrier", "vegetation"),
    ]


def test_the_mini_version_of_nuscenes_has_its_own_split(tmp_path):
    nuscenes_set(tmp_path / "raw", "v1.0-mini", ("scene-0553", "scene-0103"))
    assert {name[:10] for name in open_dataset(tmp_path).names} == {"scene-0553"}
    assert {name[:10] for name in open_dataset(tmp_path, split="val").names} == {"scene-0103"}


def test_key_frames_that_were_not_downloaded_are_counted_and_said(tmp_path, caplog):
    nuscenes_set(tmp_path)
    (tmp_path / "samples/LIDAR_TOP/n015__LIDAR_TOP__1000.pcd.bin").unlink()
    assert len(open_dataset(tmp_path)) == 1
    assert "1 of 4 scans lack a file" in caplog.text


def test_a_table_of_nuscenes_that_lacks_what_another_names_is_refused(tmp_path):
    nuscenes_set(tmp_path)
    (tmp_path / "v1.0-trainval/sample.json").write_text("[]")
    text = refused(lambda: open_dataset(tmp_path))
    assert "sample_data.json: data00: sample_token: got 'sample00', expected a sample of" in text


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("v1.0-trainval/sample_data.json", None, "does not exist, expected a table of nuScenes"),
        ("v1.0-trainval/sample_data.json", "[]", "lists 0 of the 4 key frames of lidarseg.json"),
        ("v1.0-trainval/sample_data.json", '[{"token": "a"}, {"to', "cut short or invalid"),
        pytest.param(
            "v1.0-trainval/sample_data.json", "[" * 99_999, "not readable as JSON", id="nested"
        ),
        ("v1.0-trainval/scene.json", '{"token": 1}', "expected a list of records"),
        ("v1.0-trainval/scene.json", '[{"token": "scene0"}]', "name: got None in a record"),
        ("v1.0-trainval/sample.json", None, "does not exist, expected a table of nuScenes"),
        ("lidarseg/v1.0-trainval/data01_lidarseg.bin", "abc", "3 labels for 40 points"),
        ("lidarseg/v1.0-trainval/data01_lidarseg.bin", "\x63" * 40, "unknown label value 99"),
        ("samples/LIDAR_TOP/n015__LIDAR_TOP__1001.pcd.bin", "abc", "3 bytes, expected 20"),
    ],
)
def test_what_is_wrong_in_nuscenes_is_reported_with_file_and_field(tmp_path, file, content, fault):
    nuscenes_set(tmp_path)
    path = tmp_path / file
    path.unlink() if content is None else path.write_text(content)
    text = refused(lambda: open_dataset(tmp_path)[0])
    assert str(path) in text and fault in text


@pytest.mark.parametrize("time", ["now", None, [1], 1.5])
def test_a_time_of_nuscenes_that_is_none_is_refused(tmp_path, time):
    nuscenes_set(tmp_path)
    path = tmp_path / "v1.0-trainval/sample_data.json"
    as_json(path, [{**record, "timestamp": time} for record in json.loads(path.read_text())])
    text = refused(lambda: open_dataset(tmp_path))
    assert f"{path}: data00: timestamp: got {time!r}, expected whole microseconds" in text
    path.write_bytes(b"[\xff")
    assert f"{path}: not readable as JSON" in refused(lambda: open_dataset(tmp_path))


# --- Pointcept's layout of other data sets ----------------------------------------------------


def arrays(folder, **more):
    folder.mkdir(parents=True)
    given = {"coord": POINTS, "color": COLORS, "normal": np.tile([0, 0, 1.0], (25, 1))} | more
    for name, array in given.items():
        np.save(folder / f"{name}.npy", array)


def test_structured3d_is_read_in_pointcepts_layout(tmp_path):
    labels = (np.arange(25) - 1).astype(np.int16)[:, None]
    for split, number in (("train", 0), ("val", 3000), ("test", 3250)):
        arrays(tmp_path / split / f"scene_{number:05d}/room_485142", segment=labels)
    data = open_dataset(tmp_path)
    assert data.names == ("train/scene_00000/room_485142",)
    assert data.classes.name == "structured3d" and len(data.classes) == 25
    np.testing.assert_array_equal(data[0].labels[:4], [255, 0, 1, 2])
    assert len(open_dataset(tmp_path, split="val")) == len(open_dataset(tmp_path, split="test"))


def test_hm3d_is_read_in_pointcepts_layout_without_its_unlabelled_scenes(tmp_path, caplog):
    labels = np.arange(25, dtype=np.int16)
    arrays(tmp_path / "train/00000_kfPV7w3FaU5_000_001", segment=labels, instance=labels)
    arrays(tmp_path / "train/00001_UVdNNRcVyV1_000_000")
    arrays(tmp_path / "val/00800_TEEsavR23oF_001_002", segment=labels)
    data = open_dataset(tmp_path)
    assert data.names == ("train/00000_kfPV7w3FaU5_000_001",)
    assert data.classes.name == "hm3d" and len(data.classes) == 40
    assert "1 of 3 scans lack a file" in caplog.text


def test_scannetpp_in_pointcepts_layout_has_its_main_label_first(tmp_path):
    labels = np.c_[np.arange(25), np.full(25, 7), np.full(25, -1)].astype(np.int16)
    arrays(tmp_path / "train/7b6477cb95", segment=labels)
    arrays(tmp_path / "val/c50d2d1d42", segment=labels)
    data = open_dataset(tmp_path)
    assert data.classes.name == "scannetpp" and len(data.classes) == 100
    np.testing.assert_array_equal(data[0].labels, np.arange(25))


def test_other_scenes_with_numbers_as_names_are_not_taken_for_a_published_set(tmp_path):
    arrays(tmp_path / "1700000000", segment=np.arange(25) % 3)
    assert open_dataset(tmp_path, split="all").classes.name == "generic3"


# --- few scenes or few points -----------------------------------------------------------------


def data_efficient(root):
    for name in ("scene0000_00", "scene0001_00", "scene0002_00", "scene0011_00"):
        scannet_scene(root, name)
    for folder in ("scenes", "points"):
        (root / "tasks" / folder).mkdir(parents=True)
    (root / "tasks/scenes/1.txt").write_text("scene0001_00\n")
    points = {"scene0000_00": [0, 10, 24], "scene0002_00": [11]}
    return points


def test_a_published_list_of_scenes_chooses_the_training_scans_by_name(tmp_path):
    data_efficient(tmp_path)
    assert open_dataset(tmp_path, subset="scenes1").names == ("scene0001_00",)
    assert open_dataset(tmp_path, subset="scenes1", split="val").names == ("scene0011_00",)
    own = tmp_path / "own.txt"
    own.write_text("scene0002_00\nscene0000_00\n\n")
    assert open_dataset(tmp_path, subset=str(own)).names == ("scene0000_00", "scene0002_00")


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_published_list_of_points_leaves_only_their_labels(tmp_path, kind, zipped):
    points = data_efficient(tmp_path)
    torch.save(
        {name: kind(numbers) for name, numbers in points.items()},
        tmp_path / "tasks/points/points20",
        _use_new_zipfile_serialization=zipped,
    )
    whole, data = open_dataset(tmp_path), open_dataset(tmp_path, subset="points20")
    assert data.names == ("scene0000_00", "scene0002_00")
    labels = data[0].labels
    assert np.flatnonzero(labels != UNLABELLED).tolist() == [0, 10]  # point 24 has no class
    np.testing.assert_array_equal(labels[[0, 10]], whole[0].labels[[0, 10]])
    assert len(data[0]) == 25  # the other points stay
    assert (open_dataset(tmp_path, subset="points20", split="val")[0].labelled).sum() > 3
    assert data.identity() != whole.subset([0, 2]).identity()


def test_a_list_for_pointcepts_layout_names_the_folders_of_scenes(tmp_path):
    for name in ("train/scene0000_00", "train/scene0001_00", "val/scene0011_00"):
        arrays(tmp_path / name, segment20=np.zeros(25, np.int16))
    (tmp_path / "tasks/scenes").mkdir(parents=True)
    (tmp_path / "tasks/scenes/20.txt").write_text("scene0001_00\nscene0042_00")
    assert open_dataset(tmp_path, subset="scenes20").names == ("train/scene0001_00",)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "does not exist, expected a list of scenes or points, or one of scenes1,"),
        ({"scene0000_00": [25]}, "scene0000_00: got point 25, expected less than 25"),
        ({"scene0000_00": [-1]}, "scene0000_00: got int64 of shape (1,), expected the numbers"),
        ({"scene0000_00": torch.tensor([2**63], dtype=torch.uint64)}, f"got point {2**63 - 1}, "),
        ({"scene0000_00": "all"}, "scene0000_00: got <U3 of shape ()"),
        ({"other": [1]}, "names none of the 3 training scans"),
        ([1, 2], "holds list, expected points by scene"),
    ],
)
def test_a_wrong_list_of_points_is_refused_with_the_scene(tmp_path, content, fault):
    data_efficient(tmp_path)
    path = tmp_path / "tasks/points/points50"
    if content is not None:
        torch.save(content, path)
    text = refused(lambda: open_dataset(tmp_path, subset="points50")[0])
    assert str(path) in text and fault in text


def test_a_list_that_runs_code_is_refused(tmp_path):
    data_efficient(tmp_path)
    path = tmp_path / "tasks/points/points50"
    torch.save({"scene0000_00": DataError("x")}, path)
    assert "more than tensors and plain values" in refused(
        lambda: open_dataset(tmp_path, subset="points50")
    )


# --- from the files to a score ----------------------------------------------------------------


def write_scannet(root):
    scannet_scene(root, "scene0000_00")
    scannet_scene(root, "scene0011_00")


def write_s3dis(root):
    room(root, 1, "office_1")
    room(root, 5, "office_2")


def write_pointcept(folders):
    def write(root):
        for folder in folders:
            arrays(root / folder, segment=np.arange(25) % 20)

    return write


STRUCTURED3D = ("train/scene_00000/room_1", "val/scene_03000/room_2")
HM3D = ("train/00000_kfPV7w3FaU5_000_001", "val/00800_TEEsavR23oF_000_001")


@pytest.mark.parametrize(
    ("write", "classes", "points", "options"),
    [
        (write_scannet, 20, 15, ["--augment", "13", "--every-point"]),
        (scannetpp, 3, 25, []),
        (write_s3dis, 13, 40, ["--augment", "4"]),
        (nuscenes_set, 16, 60, ["--augment", "10", "--preset", "outdoor"]),
        (write_pointcept(STRUCTURED3D), 25, 25, []),
        (write_pointcept(HM3D), 40, 25, []),
    ],
)
def test_a_model_is_measured_on_files_as_published(tmp_path, write, classes, points, options):
    write(tmp_path / "data")
    encoder = small_encoder()
    save_encoder(tmp_path / "encoder.pth", encoder)
    torch.manual_seed(0)
    save_head(tmp_path / "head.pth", LinearHead(sum(encoder.channels), classes))
    status = main(
        [
            *("evaluate", str(tmp_path / "data"), "--device", "cpu", "--voxel-size", "0.1"),
            *("--checkpoint", str(tmp_path / "encoder.pth")),
            *("--head", str(tmp_path / "head.pth"), "--out", str(tmp_path / "out"), *options),
        ]
    )
    assert status == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert sum(entry["points"] for entry in report["classes"]) == points
    assert report["facts"]["scans"].endswith("(val)")
    assert report["facts"]["views"] == (options[1] if "--augment" in options else "1")


def test_a_head_is_trained_on_few_points_of_scannet(tmp_path, capsys):
    points = data_efficient(tmp_path / "data")
    torch.save(points, tmp_path / "data/tasks/points/points20")
    save_encoder(tmp_path / "encoder.pth", small_encoder())
    status = main(
        [
            *("train", "head", str(tmp_path / "data"), "--subset", "points20"),
            *("--checkpoint", str(tmp_path / "encoder.pth"), "--voxel-size", "0.1"),
            *("--steps", "2", "--views", "1", "--device", "cpu", "--out", str(tmp_path / "out")),
        ]
    )
    assert status == 0
    said = capsys.readouterr().out
    assert "2 training and 1 validation scans, 20 classes" in said
    assert "labelled points: wall 1, chair 2" in said
