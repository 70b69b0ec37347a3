# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node and people who mean harm, or mistype: files, paths and values are refused."""

from __future__ import annotations

import math

import pytest
from hostile_files import hostile_files
from node_harness import ONE_CLOUD, SECOND, START
from rclpy.parameter import Parameter

from concerto_ros.mapping import map_file
from concerto_ros.settings.settings import DEFAULTS
from concerto_ros.srv import LoadMap, SaveHead, SaveMap

#: NaN turns those off whose default it is.
FLOATS = sorted(
    name for name, value in DEFAULTS.items() if type(value) is float and value == value
)
NO_NUMBERS = (math.nan, math.inf, -math.inf)

PATHS = [
    "",
    "a",
    "/etc/passwd",
    "/tmp/a.safetensors",
    "../a.safetensors",
    "b/../../a.safetensors",
    "....//a.safetensors/../../a.safetensors",
    ".hidden.safetensors",
    "~/a.safetensors",
    "$HOME/a.safetensors",
    "a;touch b.safetensors",
    "a\n.safetensors",
    "out/a.safetensors",
    "link.safetensors",
    "a" * 300 + ".safetensors",
    "/dev/full",
]


# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["checkpoint", "head", "objects.encoder"])
def test_a_hostile_checkpoint_is_refused(harness, tmp_path, parameter, nightly, fault):
    one = harness(**ONE_CLOUD)
    touched = tmp_path / "touched"
    files = hostile_files(touched)
    # Heads and object encoders are read by the same function, after a model is loaded each time.
    tried = list(files) if nightly or parameter == "checkpoint" else list(files)[::5]
    for name in tried:
        path = tmp_path / "model.pth"
        files[name](path)
        assert one.node.set_parameters([Parameter(parameter, value=str(path))])[0].successful
        assert not one.configure(), name
        assert not touched.exists(), name
        assert parameter in one.node._state, f"{name}: {one.node._state}"
        path.rmdir() if path.is_dir() else path.unlink()
    one.node.set_parameters([Parameter(parameter, value=DEFAULTS[parameter])])
    one.listen_to_labels()
    one.start()
    one.send_room(START)
    one.labels(START)
    fault(
        "a hostile or damaged file as checkpoint, head or object encoder",
        cases=len(tried),
        did="configuring fails with an error that names the parameter; no code in a file is"
        " executed; with a valid file it succeeds",
        lost="nothing",
    )


# Paths -------------------------------------------------------------------------------------------


@pytest.fixture
def keeper(harness, tmp_path):
    """An active node with a map and a folder for maps, with links that lead out of it."""
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "out").symlink_to(tmp_path)
    for suffix in (".safetensors", ".pth"):
        (maps / f"link{suffix}").symlink_to(tmp_path / f"secret{suffix}")
    one = harness(**ONE_CLOUD, map_directory=str(maps), head_directory=str(maps))
    one.start()
    one.send_room(START)
    one.wait_for_fused(1)
    return one


@pytest.mark.parametrize(
    ("kind", "name", "suffix"),
    [
        (SaveMap, "save_map", ".safetensors"),
        (LoadMap, "load_map", ".safetensors"),
        (SaveHead, "save_head", ".pth"),
    ],
)
def test_hostile_paths_are_refused(keeper, tmp_path, kind, name, suffix, fault):
    client = keeper.robot.create_client(kind, f"/concerto/{name}")
    keeper.wait(client.service_is_ready, name)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    for path in PATHS:
        path = path.replace(".safetensors", suffix)
        future = client.call_async(kind.Request(path=path))
        keeper.wait(future.done, f"an answer to {path!r}")
        answer = future.result()
        assert not answer.success, path
        assert "path: got" in answer.message, path
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    keeper.send_room(START + SECOND)
    keeper.wait_for_fused(2)
    fault(
        "hostile paths in a service call",
        cases=len(PATHS),
        did="refused with the reason; nothing outside the configured directory is read or written",
        lost="nothing",
    )


def test_a_disk_that_fails_is_an_answer(keeper, monkeypatch, fault):
    client = keeper.robot.create_client(SaveMap, "/concerto/save_map")
    keeper.wait(client.service_is_ready, "the service")

    def answer():
        future = client.call_async(SaveMap.Request(path="a.safetensors"))
        keeper.wait(future.done, "an answer")
        return future.result()

    errors = [OSError(28, "No space left on device"), OSError(5, "Input/output error")]
    for error in errors:

        def fail(*_, error=error):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(map_file, "write_tensors", fail)
            said = answer()
        assert not said.success and error.strerror in said.message
    assert answer().success
    fault(
        "the disk fails while the node saves a map",
        cases=len(errors),
        did="the response contains the system's error; the next call succeeds",
        lost="the map that was to be saved",
    )


# Parameters --------------------------------------------------------------------------------------


def test_values_that_are_no_numbers_are_refused(harness, fault):
    one = harness(**ONE_CLOUD)
    values = {name: one.node.get_parameter(name).value for name in FLOATS}
    cases = 0
    for configured in (False, True):
        if configured:
            one.start()
        for name in FLOATS:
            for value in NO_NUMBERS:
                answer = one.node.set_parameters([Parameter(name, value=value)])[0]
                assert not answer.successful and name in answer.reason, (name, value)
                cases += 1
    assert {name: one.node.get_parameter(name).value for name in FLOATS} == values
    fault(
        "NaN or infinite parameters, set while the node runs",
        cases=cases,
        did="refused with an error that names the parameter, the value and the accepted"
        " range; the old value stays",
        lost="nothing",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    zip(["rate", "voxel_size", "fusion.seconds"], NO_NUMBERS, strict=True),
)
def test_values_that_are_no_numbers_refuse_to_configure(harness, name, value, fault):
    one = harness(**(ONE_CLOUD | {name: value}))
    assert not one.configure()
    assert name in one.node._state
    assert one.node.set_parameters([Parameter(name, value=1.0)])[0].successful
    assert one.configure()
    fault(
        "NaN or infinite parameters, given at the start",
        cases=1,
        did="configuring fails with an error that names the parameter; with a valid value it"
        " succeeds",
        lost="nothing",
    )
