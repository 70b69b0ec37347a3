# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every program in examples/ runs as its own text says, and says something true."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bag_recordings import START as BAG_START
from bag_recordings import drive, write
from paths import REPOSITORY

from concerto_ros.mapping.map_file import stored_map, write_map
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.sensors.array_frame import single_frame
from concerto_ros.settings.settings import Settings

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))

#: What people may import, and what therefore does not move: README.md and docs/architecture.md.
FACES = {
    "concerto_ros",
    "concerto_ros.cli",
    "concerto_ros.heads",
    "concerto_ros.msg",
    "concerto_ros.objects",
    "concerto_ros.ptv3",
    "concerto_ros.settings",
    "concerto_ros.sim",
    "concerto_ros.srv",
}

#: Lines of code, imports apart, that fit beside their explanation.
MOST_LINES = 40


def run(name: str | Path, *arguments: object, folder: Path) -> str:
    """What the example of this name, or in this file, prints; it ends well."""
    command = [sys.executable, REPOSITORY / "examples" / name, *map(str, arguments)]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two labelled rooms in ``scans`` and another in ``unseen``."""
    folder = tmp_path_factory.mktemp("place")
    assert run("simulate_scans.py", "scans", 0, 1, 2, folder=folder).count(".ply: ") == 3
    (folder / "unseen").mkdir()
    (folder / "scans" / "room_2.ply").rename(folder / "unseen" / "room_2.ply")
    return folder


def true_labels(path: Path) -> np.ndarray:
    import open3d as o3d

    return o3d.t.io.read_point_cloud(str(path)).point.label.numpy()[:, 0]


def test_label_cloud_is_right_about_most_points_of_a_simulated_room(place: Path):
    said = run("label_cloud.py", "scans/room_0.ply", "labels.npz", folder=place)
    saved, truth = np.load(place / "labels.npz"), true_labels(place / "scans" / "room_0.ply")
    assert len(saved["points"]) == len(saved["label"]) == len(saved["confidence"]) == len(truth)
    known = truth != 255
    assert np.mean(saved["label"][known] == truth[known]) > 0.9
    share = np.mean(saved["label"] == list(saved["names"]).index("floor"))
    assert "labelled by demo" in said and re.search(rf"floor +{share:.1%} ", said)


def test_cloud_features_finds_more_floor_for_a_place_on_the_floor(place: Path):
    said = run("cloud_features.py", "scans/room_0.ply", "0", "0", "0", folder=place)
    saved = np.load(place / "features.npz")
    assert f"{len(saved['points'])} voxels, each with {saved['features'].shape[1]}" in said
    assert np.linalg.norm(saved["features"], axis=1) == pytest.approx(1, abs=1e-4)
    (low, high) = re.findall(r"\[ *\S+ +\S+ +(\S+?)\]", said)
    assert float(low) > -0.1 and float(high) < 0.1


def test_train_head_learns_classes_that_hold_in_another_room(place: Path):
    text = (REPOSITORY / "examples" / "train_head.py").read_text(encoding="utf-8")
    assert '"--steps", "300"' in text
    short = place / "train_head.py"  # as it is, but for steps that take half a minute
    short.write_text(text.replace('"300"', '"60"'), encoding="utf-8")
    said = run(short, "scans", "unseen/room_2.ply", folder=place)
    shares = dict(re.findall(r"unseen/room_2.ply: (\S+)% (\w+)$", said, re.MULTILINE))
    shares = {name: float(share) for share, name in shares.items()}
    truth = true_labels(place / "unseen" / "room_2.ply")
    assert list(shares) == ["ground", "structure", "seat", "thing"]
    assert shares["ground"] == pytest.approx(100 * np.mean(truth == 0), abs=5)
    assert (place / "my_head" / "head.pth").is_file()


def test_name_objects_agrees_with_the_labels_about_a_sofa(place: Path):
    said = run("name_objects.py", "scans/room_0.ply", folder=place)
    assert re.search(r"^sofa +at \( *-?\d+\.\d, .*\): sofa, \d+%$", said, re.MULTILINE)


def test_read_map_counts_what_is_in_the_file(tmp_path: Path):
    rng = np.random.default_rng(0)
    points = rng.uniform((-2, -2, 0), (2, 2, 0.001), (4000, 3))
    pipeline = SemanticPipeline.from_settings(Settings(device="cpu"))
    pipeline.insert(single_frame(points, None, None, np.zeros(3))[0])
    snapshot = pipeline.snapshot()
    prediction = pipeline.infer(snapshot)
    write_map(tmp_path / "floor.safetensors", stored_map(snapshot, prediction, "odom"))
    said = run("read_map.py", "floor.safetensors", folder=tmp_path)
    assert said.startswith(f"{len(snapshot)} voxels of 0.04 m in frame odom\n")
    rows = re.findall(r"^(\w+) +(\d+) +\d\.\d\d +\d+\.\d m2 ", said, re.MULTILINE)
    ids = {entry.name: entry.id for entry in prediction.classes}
    assert {name: int(count) for name, count in rows} == {
        name: np.count_nonzero(prediction.label == ids[name]) for name, _ in rows
    }
    assert sum(int(count) for _, count in rows) == len(snapshot)


def test_label_bag_reads_the_labels_of_every_prediction(tmp_path: Path):
    write(tmp_path / "drive", drive(5))
    said = run("label_bag.py", "drive", "labelled", folder=tmp_path)
    rows = re.findall(r"^(\d+)\.\d{9}: (\w+ \d+(?:, \w+ \d+)*)$", said, re.MULTILINE)
    assert rows and {int(second) for second, _ in rows} == {BAG_START // 1_000_000_000}
    assert f"map labelled {len(rows)} times" in said


def test_planner_node_stops_for_what_is_near_and_only_for_that(harness):
    from node_harness import ONE_CLOUD, SECOND, START, cloud_message
    from not_finite import spoil_rows
    from std_msgs.msg import Bool

    from concerto_ros.ros.outputs.messages import make_header

    wanted = {"filters.obstacles.exclude": ["floor|ground"], "filters.obstacles.unlabelled": True}
    one = harness(**ONE_CLOUD, filter_names=["obstacles"], **wanted)
    one.start()
    one.listen("/stop", Bool, 100)
    command = [sys.executable, REPOSITORY / "examples" / "planner_node.py"]
    planner = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )
    try:
        topic = "/concerto/filtered/obstacles"
        one.wait(lambda: one.robot.count_subscribers(topic), "the planner")
        time = iter(range(START, START + 10_000 * SECOND, SECOND // 10))
        rng = np.random.default_rng(0)

        def send_wall(x: float) -> None:
            points = rng.uniform((x, -1, 0), (x + 0.1, 1, 2), (400, 3)).astype(np.float32)
            one.send(cloud_message(make_header("odom", next(time)), points))

        def says(stop: bool) -> bool:
            heard = one.received["/stop"]
            return bool(heard) and heard[-1].data is stop

        one.wait(lambda: says(True), "a stop while nothing is known")
        one.wait(lambda: send_wall(4.0) or says(False), "a free way")
        one.wait(lambda: send_wall(1.0) or says(True), "a stop")
        one.wait(lambda: send_wall(4.0) or says(False), "a free way again")
        spoil_rows(one.node._configured.pipeline.encoder, slice(None), float("nan"))
        one.wait(lambda: send_wall(1.0) or says(True), "a stop for what the model cannot tell")
    finally:
        planner.send_signal(signal.SIGINT)
        said, _ = planner.communicate(timeout=20)
    assert planner.returncode == 0 and re.search(r"\w+, 1\.0\d m ahead", said), said
    assert re.search(r"something, 1\.0\d m ahead", said), said
    assert "Traceback" not in said


def test_decode_labels_names_what_is_near(harness):
    from node_harness import ONE_CLOUD, START, cloud_message

    from concerto_ros.ros.outputs.messages import make_header

    one = harness(**ONE_CLOUD)
    one.start()
    command = [sys.executable, REPOSITORY / "examples" / "decode_labels.py"]
    listener = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )
    try:
        for topic in ("/concerto/labels", "/concerto/classes"):
            one.wait(lambda topic=topic: one.robot.count_subscribers(topic), "the listener")
        points = np.random.default_rng(0).uniform((3, -1, 0), (3.1, 1, 2), (400, 3))
        one.send(cloud_message(make_header("odom", START), points.astype(np.float32)))
        line = listener.stdout.readline()
    finally:
        listener.send_signal(signal.SIGINT)
        rest, _ = listener.communicate(timeout=20)
    assert listener.returncode == 0 and re.fullmatch(r"[a-z]\w*( \d+)?: 3\.\d\d m\n", line), (
        line + rest
    )
    assert "Traceback" not in rest


# What all of them keep to ------------------------------------------------------------------------


def test_every_example_has_a_test_and_a_line_in_the_list():
    listed = (REPOSITORY / "examples" / "README.md").read_text(encoding="utf-8")
    tested = Path(__file__).read_text(encoding="utf-8")
    names = [path.name for path in EXAMPLES]
    assert [name for name in names if f"({name})" not in listed] == []
    assert [name for name in names if f'"{name}"' not in tested] == []
    assert set(re.findall(r"\((\w+\.py)\)", listed)) == set(names)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_imports_faces_alone(path: Path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    code = text.splitlines()[tree.body[0].end_lineno :]
    code = [line for line in code if line and not line.startswith(("import ", "from "))]
    assert len(code) <= MOST_LINES
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module)
        elif isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
    own = {name for name in imported if name.split(".")[0] == "concerto_ros"}
    assert own <= FACES
    ros = {name.split(".")[0] for name in imported} & {"rclpy", "sensor_msgs", "std_msgs"}
    assert not ros or path.name in ("decode_labels.py", "planner_node.py")
