# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros view`` of clouds and maps, read back from the files that it writes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from viewer_files import ViewerFile

from concerto_ros.cli import main
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_file import stored_map, write_map
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.sensors.cloud_files import read_cloud_file
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.ply import write_labelled_ply
from concerto_ros.viewer import outlets
from concerto_ros.viewer.library import rerun_library

pytest.importorskip("rerun")

CLASS_IDS, COLORS = "Points3D:class_ids", "Points3D:colors"
POSITIONS = "Points3D:positions"


def cloud(size=60, seed=0):
    """Points in a room, and labels of the demo model, some of them without."""
    random = np.random.default_rng(seed)
    points = random.uniform((0, 0, 0), (4, 3, 2), (size, 3)).astype(np.float32)
    label = random.integers(0, 12, size).astype(np.uint8)
    label[::7] = 255
    return points, label


def save(tmp_path, *arguments):
    out = tmp_path / "out.rrd"
    status = main(["view", *map(str, arguments), "--save", str(out)])
    return status, out


def rgb_of(file, entity):
    packed = file.newest(entity, COLORS).astype(np.uint32)
    return np.stack([packed >> shift & 255 for shift in (24, 16, 8)], axis=1)


def test_a_segmented_file_is_shown_with_its_labels_and_their_names_and_no_model(
    tmp_path, monkeypatch
):
    points, label = cloud()
    demo = LabelSet.load("demo")
    path = tmp_path / "room_labels.ply"
    write_labelled_ply(path, points, demo.palette[label], label)
    monkeypatch.setattr(SemanticPipeline, "from_settings", None)  # calling it fails

    status, out = save(tmp_path, path)

    file = ViewerFile(out)
    assert status == 0
    assert file.entities == {"labels", "inputs/cloud", "classes"}
    assert file.newest("labels", CLASS_IDS).tolist() == label.tolist()
    assert np.allclose(file.newest("labels", POSITIONS), points)
    names = {entry.id: entry.name for entry in demo.classes} | {255: "unlabelled"}
    assert file.classes() == names
    assert file.times("labels") == []
    assert file.has_blueprint


def test_labels_of_other_programs_have_numbers_for_names_and_the_colours_of_the_file(tmp_path):
    points, label = cloud()
    rgb = (np.arange(256)[:, None] * [1, 0, 0] + [0, 7, 9]).astype(np.uint8)[label]
    label = np.where(label == 255, -1, 1000 + label.astype(int))
    path = tmp_path / "scan.npz"
    np.savez(path, points=points, colors=rgb, labels=label)

    _, out = save(tmp_path, path)

    file = ViewerFile(out)
    expected = np.where(label == -1, 255, label)
    assert file.newest("labels", CLASS_IDS).tolist() == expected.tolist()
    known = sorted(set(label.tolist()) - {-1})
    assert file.classes() == {value: f"label {value}" for value in known} | {255: "unlabelled"}
    ((context,),) = [file.rows("/", "AnnotationContext:context")[-1:]]
    info = context[0][0]["class_description"]["info"]
    assert info["color"] >> 8 == (info["id"] - 1000) << 16 | 7 << 8 | 9


@pytest.mark.parametrize(
    "column",
    [np.zeros(60), np.linspace(0, 1, 60), np.full(60, np.nan), np.zeros((60, 2))],
    ids=["constant", "not whole", "not finite", "of two columns"],
)
def test_a_column_that_says_nothing_is_no_label(tmp_path, column):
    path = tmp_path / "scan.npz"
    np.savez(path, points=cloud()[0], classification=column)
    assert read_cloud_file(path).label is None


def test_labels_stay_with_their_points_where_others_are_left_out(tmp_path):
    points, label = cloud()
    points[3] = np.nan
    np.savez(tmp_path / "scan.npz", points=points, label=label)
    file = read_cloud_file(tmp_path / "scan.npz")
    assert file.label.tolist() == np.delete(label, 3).tolist()


def test_a_map_is_shown_with_the_labels_and_colours_it_was_saved_with(tmp_path):
    points, _ = cloud(200)
    colors = np.random.default_rng(1).integers(0, 256, (200, 3)).astype(np.uint8)
    voxels = VoxelMap(0.1, window_seconds=10.0, max_voxels=1000)
    voxels.insert(Frame(points, 1, "odom", colors=colors), np.zeros(3))
    snapshot = voxels.snapshot()
    count = len(snapshot)
    own = LabelSet.of_names("own", ["shelf", "pallet"])
    prediction = Prediction(
        points=snapshot.points,
        label=np.arange(count).astype(np.uint8) % 2,
        confidence=np.ones(count, np.float32),
        entropy=np.zeros(count, np.float32),
        pca_rgb=np.zeros((count, 3), np.uint8),
        classes=own.classes,
        model="own",
        stamp=1,
        stage_ms={},
    )
    write_map(tmp_path / "map.safetensors", stored_map(snapshot, prediction, "odom"))

    _, out = save(tmp_path, tmp_path / "map.safetensors")

    file = ViewerFile(out)
    assert file.newest("labels", CLASS_IDS).tolist() == prediction.label.tolist()
    assert file.classes() == {0: "shelf", 1: "pallet", 255: "unlabelled"}
    assert (rgb_of(file, "inputs/cloud") == snapshot.colors.round()).all()


def test_a_cloud_without_labels_is_labelled_first_and_compared_with_a_point(tmp_path):
    points, _ = cloud(300)
    np.savez(tmp_path / "scan.npz", points=points)
    where = [f"{value:.3f}" for value in points[5]]

    status, out = save(tmp_path, tmp_path / "scan.npz", "--query", *where)

    file = ViewerFile(out)
    assert status == 0
    assert file.entities >= {"labels", "pca", "similarity", "inputs/cloud", "classes"}
    assert len(file.newest("pca", POSITIONS)) == 300
    # Yellow, the colour of a cosine of 1, is at the point itself.
    shown = file.newest("similarity", POSITIONS)
    nearest = np.linalg.norm(shown - points[5], axis=1).argmin()
    assert rgb_of(file, "similarity")[nearest].tolist() == [252, 240, 130]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.ply"], "missing.ply does not exist"),
        (["scan.npz", "--query", "nan", "0", "0"], "--query"),
        (["scan.npz", "--query", "90", "0", "0", "--relabel"], "no point at (90.00"),
        (["scan.npz", "--rate", "0"], "--rate"),
        (["scan.npz", "--label-set", "no_such"], "no_such"),
        (["notes.txt"], "notes.txt"),
        (["broken.safetensors"], "broken.safetensors"),
        (["folder"], "folder"),
    ],
)
def test_bad_input_is_named_and_what_was_there_stays(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    points, label = cloud()
    np.savez("scan.npz", points=points, label=label)
    (tmp_path / "notes.txt").write_text("no numbers here\n")
    (tmp_path / "broken.safetensors").write_bytes(b"\x07")
    (tmp_path / "folder").mkdir()
    (tmp_path / "out.rrd").write_bytes(b"before")

    assert main(["view", *arguments, "--save", "out.rrd"]) == 1

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert (tmp_path / "out.rrd").read_bytes() == b"before"
    assert not list(tmp_path.glob(".*partial"))


def test_a_file_to_save_has_the_suffix_that_rerun_opens(tmp_path, capsys):
    np.savez(tmp_path / "scan.npz", points=cloud()[0], label=cloud()[1])
    assert main(["view", str(tmp_path / "scan.npz"), "--save", str(tmp_path / "scan.npz")]) == 1
    assert "expected a name that ends in .rrd" in capsys.readouterr().err


def test_without_a_screen_the_command_says_what_to_use_instead(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    np.savez(tmp_path / "scan.npz", points=cloud()[0], label=cloud()[1])
    assert main(["view", str(tmp_path / "scan.npz")]) == 1
    assert "--web" in capsys.readouterr().err


def test_without_the_extra_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    rerun_library.cache_clear()
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert save(tmp_path, "scan.npz")[0] == 1
    assert "pip install 'concerto_ros[view]'" in capsys.readouterr().err


def test_the_browser_gets_a_page_of_this_machine_and_a_port_in_use_is_named():
    import socket
    import urllib.request

    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    with outlets.to_browser(port) as recording:
        recording.log("x", rerun_library().Scalars(1.0), static=True)
        page = urllib.request.urlopen(f"http://localhost:{port}/", timeout=10).read()
        assert b"re_viewer" in page
        with pytest.raises(ValueError, match=f"port {port} cannot be used"):
            outlets.to_browser(port).__enter__()
