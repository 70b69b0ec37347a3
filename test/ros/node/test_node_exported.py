# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node with ``exported``: the labels of the checkpoint, or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paths
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import ONE_CLOUD, SECOND, START
from rclpy.parameter import Parameter

from concerto_ros.ptv3 import load_encoder
from concerto_ros.ptv3.checkpoint import randomise
from concerto_ros.ptv3.export.exported import ExportError, write_export

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TINY = paths.GOLDEN / "ptv3" / "single_room"

#: The reference encoder of one room with its head, at most as many voxels as the file takes.
NODE = ONE_CLOUD | {
    "checkpoint": str(TINY / "encoder.pth"),
    "head": str(TINY / "head.pth"),
    "device": "cpu",
    "precision": "float32",
    "max_voxels": 2000,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    write_export(load_encoder(TINY / "encoder.pth"), path, max_voxels=2000)
    return path


def columns_of(one) -> dict[str, np.ndarray]:
    """The columns of the first labels, by a program if there is one, in order of the points."""
    one.listen_to_labels()
    assert one.configure()
    encoder, runs = one.node._configured.pipeline.encoder, []
    if program := encoder.program:
        encoder.program = lambda *given: runs.append(given) or program(*given)
    one.activate()
    columns = one.labels_of_room(START)[1]
    assert bool(runs) == bool(program)
    one.deactivate()  # another node would answer to the same topics
    order = np.lexsort([columns[name] for name in "xyz"])
    return {name: column[order] for name, column in columns.items()}


def test_the_labels_of_an_exported_file_are_those_of_its_checkpoint(harness, written):
    plain, exported = (columns_of(harness(**NODE, exported=path)) for path in ("", str(written)))
    assert len(plain["x"]) > 200 and len(np.unique(plain["label"])) > 2
    for name in ("x", "y", "z", "label"):
        np.testing.assert_array_equal(exported[name], plain[name])
    np.testing.assert_allclose(exported["confidence"], plain["confidence"], atol=1e-3)


def missing(folder: Path, written: Path) -> str:
    return str(folder / "missing.onnx")


def a_folder(folder: Path, written: Path) -> str:
    (folder / "folder.onnx").mkdir()
    return str(folder / "folder.onnx")


def empty(folder: Path, written: Path) -> str:
    (folder / "empty.onnx").write_bytes(b"")
    return str(folder / "empty.onnx")


def truncated(folder: Path, written: Path) -> str:
    (folder / "truncated.onnx").write_bytes(written.read_bytes()[:-5000])
    return str(folder / "truncated.onnx")


def a_checkpoint(folder: Path, written: Path) -> str:
    return str(TINY / "encoder.pth")


def of_other_weights(folder: Path, written: Path) -> str:
    encoder = load_encoder(TINY / "encoder.pth")
    randomise(encoder, 9)
    write_export(encoder, folder / "other.onnx")
    return str(folder / "other.onnx")


@pytest.mark.parametrize(
    ("make", "changes", "said"),
    [
        (missing, {}, "missing.onnx is not there, expected a file"),
        (a_folder, {}, "folder.onnx is not there, expected a file"),
        (empty, {}, "empty.onnx cannot be loaded by ONNX Runtime"),
        (truncated, {}, "truncated.onnx cannot be loaded by ONNX Runtime"),
        (a_checkpoint, {}, "ends with '.pth', expected .onnx or .pt2"),
        (of_other_weights, {}, "computes other features than the checkpoint"),
        (None, {"checkpoint": "demo", "head": ""}, "as in the checkpoint 'demo'"),
        (None, {"max_voxels": 2001}, "takes at most 2000 voxels, expected at least the 2001"),
        (None, {"precision": "bfloat16"}, "expected auto or float32, as in the file"),
        (None, {"device": "cuda"}, "expected auto or cpu with exported"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_and_the_node_outlives_it(
    harness, written, tmp_path, make, changes, said
):
    path = make(tmp_path, written) if make else str(written)
    one = harness(**(NODE | changes), exported=path)
    assert not one.configure()
    state = one.diagnosis("state")
    refusal = one.wait(lambda: (d := state()) and said in d.message and d, "the reason")
    assert refusal.level == DiagnosticStatus.ERROR and "exported" in refusal.message
    given = NODE | {"exported": str(written)}
    mended = [Parameter(name, value=given[name]) for name in ("exported", *changes)]
    assert all(result.successful for result in one.node.set_parameters(mended))
    one.start()


def test_a_file_that_is_deleted_while_the_node_runs_is_not_missed(harness, written, tmp_path):
    path = tmp_path / "gone.onnx"
    path.write_bytes(written.read_bytes())
    one = harness(**NODE, exported=str(path))
    assert one.configure()
    path.unlink()
    one.activate()
    one.listen_to_labels()
    one.labels_of_room(START)
    model = one.wait(one.diagnosis("model"), "the model")
    assert {entry.key: entry.value for entry in model.values}["exported"] == str(path)


def test_a_program_that_fails_once_costs_one_prediction(harness, written, monkeypatch):
    one = harness(**NODE, exported=str(written))
    one.listen_to_labels()
    one.start()
    encoder = one.node._configured.pipeline.encoder
    whole = encoder.program

    def broken(feat, hierarchy):
        raise ExportError("ONNX Runtime cannot run the exported file: a fault")

    encoder.program = broken
    one.send_room(START)
    state = one.diagnosis("inference")
    one.wait(lambda: (d := state()) and "cannot run the exported file" in d.message, "the fault")
    encoder.program = whole
    one.labels_of_room(START + SECOND)
