# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag comes back with labels in it: the same every time, whole, and every message accounted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bag_recordings import (
    CLOUD,
    DEADLINE,
    SECOND,
    START,
    STEP,
    added,
    cloud,
    config_file,
    drive,
    label,
    messages,
    note,
    read,
    received,
    stamp_of,
    transform,
    write,
)
from not_finite import overflowing_head
from paths import DATA
from rosbags.rosbag2 import StoragePlugin
from strange_head import strange_head
from word_space import word_parameters

from concerto_ros.bags.reader import BagError, open_bag
from concerto_ros.bags.writer import TYPES
from concerto_ros.cli import main
from concerto_ros.files.digest import weights_digest
from concerto_ros.heads import LinearHead
from concerto_ros.heads.linear import save_head
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.learning.data.label_map import write_label_set
from concerto_ros.objects.finding.tracking import Tracker
from concerto_ros.offline.bag_labeller import BagLabeller
from concerto_ros.offline.job import Job, run_job
from concerto_ros.offline.many_jobs import run_in_processes
from concerto_ros.offline.unfinished_bag import Work
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.checkpoint import randomise, save_encoder
from concerto_ros.segmentation.regions import selection
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.settings.field import SettingsError
from concerto_ros.settings.settings import Settings


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """A bag, and what comes of it in one go and in three parts."""
    folder = tmp_path_factory.mktemp("driven")
    source = write(folder / "source", drive())
    label(source, folder / "parts", part_seconds=0.4)
    return source, folder / "parts"


def test_voxels_whose_output_is_not_finite_are_unlabelled_and_counted(tmp_path, capsys):
    source = write(tmp_path / "source", drive())
    head = overflowing_head(tmp_path / "head.pth", 3e38, preset="outdoor")  # as of a LiDAR
    out = tmp_path / "out"
    assert main(["bag", str(source), str(out), "--head", str(head)]) == 0
    assert "voxels of all maps together stayed unlabelled: " in capsys.readouterr().out
    labels = [point_cloud_fields(message) for message in messages(out, "/concerto/labels")]
    assert all((fields["label"] == 255).all() for fields in labels)
    assert all((fields["confidence"] == 0).all() for fields in labels)


@pytest.mark.parametrize(("every", "clouds"), [(0.0, 3), (10.0, 2)])
def test_at_the_end_no_voxel_waits_for_its_first_label(tmp_path, monkeypatch, every, clouds):
    monkeypatch.setattr(selection, "LEAST", 0)
    floor = np.stack(np.meshgrid(np.arange(1, 6, 0.1), np.arange(0, 2, 0.1), [0.0]), axis=-1)
    single = np.array([[4.0, 1.0, 0.5]])
    bag = [(0.0, "/tf", transform(time)) for time in (0, STEP)]
    for seconds, points in ((0.01, floor.reshape(-1, 3)), (0.06, single)):
        size = len(points)
        empty = cloud(round(seconds * SECOND), size=size)
        data = points.astype(np.float32).view(np.uint8).ravel()
        bag.append((seconds, "/points", replace(empty, data=data)))
    source = write(tmp_path / "source", bag)
    summary = label(source, tmp_path / "out", every=every, overrides={"voxel_size": 0.1})
    sent = messages(tmp_path / "out", "/concerto/labels")
    labels = [point_cloud_fields(message)["label"].ravel() for message in sent]
    assert summary["labelled"] == len(labels) == clouds
    waiting = [np.count_nonzero(each == 255) for each in labels]
    assert waiting == [0, 1, 0][: clouds - 1] + [0] and len(labels[-1]) == len(labels[0]) + 1


def test_maps_unlike_the_training_are_counted_and_said(tmp_path, capsys):
    source = write(tmp_path / "source", drive())
    head = strange_head(tmp_path / "head.pth", preset="outdoor")  # as of a LiDAR
    assert main(["bag", str(source), str(tmp_path / "out"), "--head", str(head)]) == 0
    said = capsys.readouterr().out
    labelled = json.loads((tmp_path / "out.json").read_text())["labelled"]
    assert f"  {labelled} of these maps: this does not look like what the model was" in said


def test_words_label_a_bag(driven, tmp_path):
    parameters, out = word_parameters(tmp_path), tmp_path / "out"
    options = [
        *("--words", "ground, wall|brick wall, something to sit on"),
        *("--language-head", parameters["words.head"]),
        *("--word-table", parameters["words.table"]),
        *("--preset", "indoor"),  # whose encoder the language head is for
    ]
    assert main(["bag", str(driven[0]), str(out), *options]) == 1
    assert not out.exists()  # nothing knows the vector of "brick wall"
    options[1] = "ground, wall, something to sit on"
    assert main(["bag", str(driven[0]), str(out), *options]) == 0
    (classes,) = messages(out, "/concerto/classes")
    assert [entry.name for entry in classes.classes] == options[1].split(", ")
    assert classes.model.endswith(f"words of {parameters['words.head']}")
    for message in messages(out, "/concerto/labels"):
        assert set(np.unique(point_cloud_fields(message)["label"])) <= {0, 1, 2, 255}


# --- what comes out -----------------------------------------------------------------------------


@pytest.mark.parametrize("storage", StoragePlugin)
def test_the_bag_comes_back_with_labels_in_it(tmp_path, storage):
    source, out = write(tmp_path / "in", drive(4), storage), tmp_path / "out"
    summary = label(source, out)
    with open_bag(source) as before, open_bag(out) as after:
        assert after.storage == before.storage == storage.name.lower()
        kept = [entry for entry in after.messages() if not entry[0].startswith("/concerto")]
        assert kept == list(before.messages())
        assert after.topics["/concerto/labels"] == (CLOUD, 3)
        assert after.topics["/concerto/pca"] == (CLOUD, 3)
        assert after.topics["/concerto/classes"] == ("concerto_ros/msg/SemanticClasses", 1)
        qos = {each.topic: each.ext.offered_qos_profiles for each in after.connections}
        assert qos["/concerto/classes"][0].durability.name == "TRANSIENT_LOCAL"
        assert qos["/concerto/labels"][0].durability.name == "VOLATILE"
    assert received(summary) == summary["used"] == 4
    assert json.loads((tmp_path / "out.json").read_text()) == summary
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out", "out.json"]


def test_the_clouds_are_those_of_the_node(driven):
    _, out = driven
    (classes,) = messages(out, "/concerto/classes")
    assert [entry.id for entry in classes.classes] == list(range(len(classes.classes)))
    assert classes.model == load_encoder("demo", preset="outdoor").name  # as of a LiDAR
    assert classes.classes[0].color.a == 1
    for cloud_message in messages(out, "/concerto/labels"):
        layout = [(field.name, field.offset, field.datatype) for field in cloud_message.fields]
        assert layout == [
            ("x", 0, 7),
            ("y", 4, 7),
            ("z", 8, 7),
            ("rgb", 12, 7),
            ("label", 16, 6),
            ("confidence", 20, 7),
        ]
        assert (cloud_message.point_step, cloud_message.height) == (24, 1)
        columns = point_cloud_fields(cloud_message)
        assert columns["label"].max() < len(classes.classes)
        assert columns["confidence"].min() > 0 and columns["confidence"].max() <= 1
        rgb = columns["rgb"].copy().view(np.uint32).ravel() & 0xFFFFFF
        for color, number in zip(rgb[:20], columns["label"].ravel()[:20], strict=True):
            wanted = classes.classes[number].color
            channels = [round(255 * value) for value in (wanted.r, wanted.g, wanted.b)]
            assert list(int(color).to_bytes(3, "big")) == channels
    for cloud_message in messages(out, "/concerto/pca"):
        assert [field.name for field in cloud_message.fields] == ["x", "y", "z", "rgb"]


def test_points_stand_in_the_fixed_frame_at_the_stamp_of_the_newest_frame(driven):
    _, out = driven
    clouds = messages(out, "/concerto/labels")
    assert {message.header.frame_id for message in clouds} == {"odom"}
    # every 0.2 s of the bag, and what is left at its end
    assert [stamp_of(message) / STEP for message in clouds] == [0, 2, 4, 6, 8, 9]
    times = [at - START for _, at, _ in read(out, ["/concerto/labels"])]
    assert times[:-1] == [number * STEP + SECOND // 100 for number in (0, 2, 4, 6, 8)]
    first, last = (point_cloud_fields(clouds[place])["z"] for place in (0, -1))
    assert first.min() == pytest.approx(1, abs=1e-5) and first.max() < 3.001
    assert last.min() > 0.999 and 3.001 < last.max() < 3.1


@pytest.mark.parametrize("every, labelled", [(0.0, 10), (0.5, 3), (10.0, 2)])
def test_every_says_how_often(driven, tmp_path, every, labelled):
    source, _ = driven
    assert label(source, tmp_path / "out", every=every)["labelled"] == labelled
    assert len(read(tmp_path / "out", ["/concerto/labels"])) == labelled


# --- the same every time ------------------------------------------------------------------------


def test_the_same_bag_gives_the_same_messages(driven, tmp_path):
    source, out = driven
    label(source, tmp_path / "again", part_seconds=0.4)
    assert len(added(out)) == 13
    assert added(tmp_path / "again") == added(out)


def test_a_cut_changes_neither_times_nor_counts(driven, tmp_path):
    source, out = driven
    whole = label(source, tmp_path / "whole")
    cut = json.loads(out.with_name("parts.json").read_text())
    assert [entry[:2] for entry in added(tmp_path / "whole")] == [e[:2] for e in added(out)]
    for key in ("received", "used", "dropped", "labelled", "seen"):
        assert whole[key] == cut[key]


def test_a_killed_run_resumes_to_the_same_end(driven, tmp_path):
    source, out = driven
    resumed = tmp_path / "resumed"
    command = [sys.executable, "-m", "concerto_ros.cli", "bag", str(source), str(resumed)]
    process = subprocess.Popen([*command, "--part-seconds", "0.4"])
    first = tmp_path / ".resumed.parts" / "part_00000"
    end = time.monotonic() + DEADLINE
    while not first.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(DEADLINE) == -signal.SIGKILL
    assert first.exists() and not resumed.exists()
    label(source, resumed, part_seconds=0.4)
    assert added(resumed) == added(out)
    assert read(resumed) == read(out)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["resumed", "resumed.json"]


class Killed(BaseException):
    """Nothing of ours catches it."""


def jumping(*clocks):
    """A short drive at each of ``clocks``, seconds to which the clock of the log was set."""
    for clock in clocks:
        for number in range(4):
            moment, stamp = clock + 0.05 + number / 10, clock * SECOND + number * STEP
            yield moment, "/tf", transform(stamp)
            yield moment + 0.01, "/points", cloud(stamp)


def test_a_log_whose_clock_was_set_has_no_parts_without_messages(tmp_path, monkeypatch):
    # at its beginning, in 1973, and at its end there is nothing to listen to
    early, late = -1_600_000_000, 1_600_000_000
    log = [(early - 5, "/notes", note("on")), *jumping(early, 0), (late, "/notes", note("off"))]
    source = write(tmp_path / "in", log)
    seen, labelled = [], BagLabeller.label

    def counted(self, part, *arguments):
        seen.append(part)
        assert len(seen) < 10
        return labelled(self, part, *arguments)

    monkeypatch.setattr(BagLabeller, "label", counted)
    summary = label(source, tmp_path / "out", part_seconds=0.2)
    assert received(summary) == summary["used"] == 8
    assert [part.number for part in seen] == list(range(5))
    assert [part.last for part in seen] == [False] * 4 + [True]
    assert all((part.begin - seen[0].begin) % (SECOND // 5) == 0 for part in seen)

    def killed(self, part, *arguments):
        if part.number == 3:
            raise Killed
        return labelled(self, part, *arguments)

    monkeypatch.setattr(BagLabeller, "label", killed)
    with pytest.raises(Killed):
        label(source, tmp_path / "resumed", part_seconds=0.2)
    monkeypatch.setattr(BagLabeller, "label", labelled)
    label(source, tmp_path / "resumed", part_seconds=0.2)
    assert added(tmp_path / "resumed") == added(tmp_path / "out")


@pytest.mark.parametrize("killed_in", [0, 1, 2])
def test_finished_parts_are_not_done_again(driven, tmp_path, monkeypatch, killed_in):
    source, out = driven
    whole, done = BagLabeller.label, []

    def until_killed(self, part, *arguments):
        if part.number == killed_in and killed_in not in done:
            done.append(killed_in)
            raise Killed
        done.append(part.number)
        return whole(self, part, *arguments)

    monkeypatch.setattr(BagLabeller, "label", until_killed)
    with pytest.raises(Killed):
        label(source, tmp_path / "out", part_seconds=0.4)
    assert not (tmp_path / "out").exists()
    label(source, tmp_path / "out", part_seconds=0.4)
    assert Counter(done) == Counter([0, 1, 2, killed_in])
    assert added(tmp_path / "out") == added(out)


def test_a_run_that_is_killed_while_it_copies_only_copies_again(driven, tmp_path, monkeypatch):
    source, out = driven

    def killed(bag, outputs, path, *_):
        path.mkdir()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("concerto_ros.offline.job.write_copy", killed)
        with pytest.raises(Killed):
            label(source, tmp_path / "out", part_seconds=0.4)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(BagLabeller, "label", None)
    label(source, tmp_path / "out", part_seconds=0.4)
    assert read(tmp_path / "out") == read(out)


def test_only_one_process_works_on_a_bag(driven, tmp_path):
    with Work(tmp_path / "out", {}).held(), pytest.raises(BagError, match="another process"):
        label(driven[0], tmp_path / "out")


def test_parts_of_another_run_are_refused_by_name(driven, tmp_path, monkeypatch):
    source, _ = driven
    monkeypatch.setattr(BagLabeller, "label", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        label(source, tmp_path / "out")
    with pytest.raises(BagError, match="segments of a run with different every, prefix"):
        label(source, tmp_path / "out", every=1.0, prefix="/other/")


def model_files(folder, seed):
    """Settings that name an encoder, a head and its classes, made anew in ``folder``."""
    encoder, head, labels = load_encoder("demo"), LinearHead.load("demo"), LabelSet.load("demo")
    for model in (encoder, head):
        randomise(model, seed)
    head.encoder = weights_digest(encoder, "")
    first, *others = labels.classes
    labels = replace(labels, classes=(replace(first, name=f"class {seed}"), *others))
    paths = [folder / name for name in ("encoder.pth", "head.pth", "classes.yaml")]
    save_encoder(paths[0], encoder)
    save_head(paths[1], head)
    write_label_set(labels, paths[2])
    return dict(zip(("checkpoint", "head", "label_set"), map(str, paths), strict=True))


def test_a_model_that_was_trained_again_is_another_run(driven, tmp_path, monkeypatch):
    source, _ = driven
    overrides = model_files(tmp_path, seed=1)
    finished, killed = (
        Job(source, tmp_path / name, overrides=overrides, every=10.0)
        for name in ("finished", "killed")
    )
    run_job(finished)
    with monkeypatch.context() as patch:
        patch.setattr(BagLabeller, "label", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run_job(killed)
    model_files(tmp_path, seed=2)  # under the same names
    outcomes = run_in_processes([finished, killed], 1)
    outcomes = {job.out.name: str(outcome) for job, outcome in outcomes}
    assert "exists already, and is not the result of this run" in outcomes["finished"]
    assert "segments of a run with different encoder, head, classes;" in outcomes["killed"]


def test_a_bag_that_is_there_is_left_alone(driven, tmp_path):
    source, out = driven
    before = read(out)
    assert label(source, out, part_seconds=0.4)["labelled"] == 6
    assert read(out) == before
    with pytest.raises(BagError, match="exists already"):
        label(source, out, part_seconds=0.5)
    (tmp_path / "mine").mkdir()
    with pytest.raises(BagError, match="exists already"):
        label(source, tmp_path / "mine")


def test_a_bag_without_an_output_of_this_version_is_not_finished(driven, tmp_path, monkeypatch):
    source, _ = driven
    label(source, tmp_path / "out", every=10.0)
    summary = tmp_path / "out.json"
    content = json.loads(summary.read_text())
    assert content["run"]["outputs"] == ["classes", "labels", "pca"]
    del content["run"]["outputs"]  # as 0.1 wrote it, with the same outputs
    summary.write_text(json.dumps(content))
    assert label(source, tmp_path / "out", every=10.0)["labelled"] == content["labelled"]
    more = {**TYPES, "objects": "vision_msgs/msg/Detection3DArray"}
    monkeypatch.setattr("concerto_ros.offline.job.TYPES", more)
    with pytest.raises(BagError, match="exists already, and is not the result of this run"):
        label(source, tmp_path / "out", every=10.0)


@pytest.mark.parametrize("storage", StoragePlugin)
def test_a_recording_that_was_cut_short_is_labelled_and_its_damage_reported(
    tmp_path, storage, capsys
):
    source = write(tmp_path / "in", drive(), storage)
    (file,) = (path for path in source.iterdir() if path.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * 0.6)])
    assert main(["bag", str(source), str(tmp_path / "out"), "--every", "10"]) == 0
    said = capsys.readouterr()
    assert (
        f"{file.name} {'was not closed' if file.suffix == '.mcap' else 'is damaged'}" in said.out
    )
    summary = json.loads((tmp_path / "out.json").read_text())
    lost = 30 - summary["run"]["bag"]["messages"]
    assert 0 < lost < 30 and sum(each["messages"] or 0 for each in summary["damage"]) == lost
    assert len(read(tmp_path / "out")) == 30 - lost + len(added(tmp_path / "out"))


def test_what_inference_remembers_is_enough_to_go_on():
    pipeline = SemanticPipeline.from_settings(Settings())
    random = np.random.default_rng(0)
    frames = [
        Frame(random.uniform(0, 1 + number, (400, 3)).astype(np.float32), number + 1, "map")
        for number in range(3)
    ]
    pipeline.insert(frames[0])
    assert pipeline.state_dict() == {}
    pipeline.infer(pipeline.snapshot())
    memory = pipeline.state_dict()
    pipeline.insert(frames[1])
    snapshot = pipeline.snapshot()
    wanted = pipeline.infer(snapshot)
    fresh = pipeline.__class__(pipeline.settings, pipeline.encoder, pipeline.head, pipeline.labels)
    fresh.load_state_dict(memory)
    got = fresh.infer(snapshot)
    assert (got.pca_rgb == wanted.pca_rgb).all() and (got.confidence == wanted.confidence).all()


# --- what a person asks for ---------------------------------------------------------------------


def test_a_parameter_file_must_fit_the_bag(driven, tmp_path):
    source, _ = driven
    wrong = config_file(tmp_path / "a.yaml", cloud_names=["a"], **{"clouds.a.topic": "/scan"})
    with pytest.raises(BagError, match="no topic /scan"):
        label(source, tmp_path / "out", config=wrong)
    none = config_file(tmp_path / "b.yaml", voxel_size=0.1)
    with pytest.raises(SettingsError, match="no cloud_names and no camera_names"):
        label(source, tmp_path / "out", config=none)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.yaml", "b.yaml"]


def test_the_layout_of_labels_is_that_of_the_parameters(driven, tmp_path):
    source, _ = driven
    inputs = {"cloud_names": ["a"], "clouds.a.topic": "/points"}
    config = config_file(tmp_path / "a.yaml", **inputs, **{"labels.layout": "autoware"})
    label(source, tmp_path / "out", config=config, every=10.0)
    for cloud_message in messages(tmp_path / "out", "/concerto/labels"):
        names = [field.name for field in cloud_message.fields]
        assert names == ["x", "y", "z", "class_id", "probability", "entropy"]
        assert cloud_message.point_step == 21
    config = config_file(tmp_path / "b.yaml", **inputs, **{"labels.points": "input"})
    with pytest.raises(SettingsError, match="labels.points"):
        label(source, tmp_path / "other", config=config)


def test_labels_have_the_ids_of_objects_which_go_on_from_part_to_part(
    driven, tmp_path, monkeypatch
):
    restored, restore = [], Tracker.restore

    def recorded(tracker, state):
        restored.append(sorted(state))
        restore(tracker, state)

    monkeypatch.setattr(Tracker, "restore", recorded)
    inputs = {"cloud_names": ["a"], "clouds.a.topic": "/points"}
    names = [entry.name for entry in LabelSet.load("demo").classes]
    asked = {"labels.instances": True, "objects.min_voxels": 1, "objects.classes": names}
    config = config_file(tmp_path / "a.yaml", **inputs, **asked)
    label(driven[0], tmp_path / "out", config=config, part_seconds=0.4)
    assert restored == [[], *[sorted(Tracker(1.0).state())] * 2]
    clouds = [point_cloud_fields(m) for m in messages(tmp_path / "out", "/concerto/labels")]
    for fields in clouds:
        assert list(fields)[-1] == "instance"
        assert ((fields["instance"] > 0) == (fields["label"] < 255)).all()


def test_topics_that_are_taken_are_refused(driven, tmp_path):
    _, out = driven
    with pytest.raises(BagError, match="/concerto/labels"):
        label(out, tmp_path / "twice")
    label(out, tmp_path / "twice", prefix="/second/", every=10.0)
    with open_bag(tmp_path / "twice") as bag:
        assert {"/concerto/labels", "/second/labels"} <= set(bag.topics)


# --- real recordings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, frames, frame", [("rgbd_desk_bag", 9, "map"), ("lidar_vlp16_bag", 4, "velodyne")]
)
def test_real_recordings(tmp_path, name, frames, frame):
    if not (DATA / name).exists():
        pytest.skip("real sensor data is not here")
    summary = label(DATA / name, tmp_path / "out", every=10.0)
    assert received(summary) == frames and summary["used"] >= frames - 1
    clouds = messages(tmp_path / "out", "/concerto/labels")
    assert len(clouds) == 2 and clouds[-1].width > 1500
    assert {message.header.frame_id for message in clouds} == {frame}


def test_the_bags_of_a_path_need_not_be_folders(tmp_path):
    source = write(tmp_path / "in", drive(2), StoragePlugin.MCAP)
    summary = label(Path(source) / "in.mcap", tmp_path / "out")
    assert received(summary) == 2
