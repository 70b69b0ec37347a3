# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What version 0.1 wrote: it still loads, or is refused by name with what to do.

``test/golden/files_0_1/write.py`` wrote the files.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import plain_inputs
import pytest
import torch
from bag_recordings import added
from paths import GOLDEN

from concerto_ros import SemanticPipeline
from concerto_ros.bags.reader import BagError
from concerto_ros.files.torch_file import read_tensors
from concerto_ros.heads import LinearHead
from concerto_ros.learning.data import augment
from concerto_ros.learning.data.collate import ScanCollate
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.rooms import DemoRooms
from concerto_ros.learning.methods.train import TrainingConfig, train
from concerto_ros.learning.objects.data.object_set import ObjectSet
from concerto_ros.learning.objects.training.fine_tune import fine_tune
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.learning.objects.training.training_run import RunOptions
from concerto_ros.learning.training.processes import run_in_processes
from concerto_ros.learning.training.trainer import Trainer
from concerto_ros.mapping.map_file import read_map
from concerto_ros.objects import load_object_encoder
from concerto_ros.objects.encoders.recon.encoder import ReCon
from concerto_ros.objects.encoders.recon.transformer import ReConShape
from concerto_ros.offline.job import Job, run_job
from concerto_ros.ptv3 import Encoder, PTv3Config, load_encoder
from concerto_ros.segmentation.convention import convention_for
from concerto_ros.settings.settings import Settings
from concerto_ros.words.vocabulary import read_vocabulary

FILES = GOLDEN / "files_0_1"


def tiny_encoder() -> Encoder:
    encoder = Encoder(PTv3Config(**plain_inputs.ENCODER), name="tiny", grid_size=0.1)
    return plain_inputs.fill(encoder)


def same_weights(model: torch.nn.Module, wanted: torch.nn.Module) -> bool:
    ours, theirs = model.state_dict(), wanted.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in theirs)


# --- models --------------------------------------------------------------------------------------


def test_an_encoder_loads_with_what_it_knows():
    encoder = load_encoder(FILES / "encoder.pth")
    assert same_weights(encoder, tiny_encoder())
    assert encoder.config == PTv3Config(**plain_inputs.ENCODER)
    assert (encoder.grid_size, encoder.preset) == (0.1, "indoor")


@pytest.mark.parametrize(
    ("name", "classes"),
    [("head", ["class_0", "class_1"]), ("taught_head", ["class_0", "class_1", "plant"])],
)
def test_a_head_loads_with_its_classes(name, classes):
    head = LinearHead.load(FILES / f"{name}.pth")
    assert [entry.name for entry in head.labels.classes] == classes
    assert head.preset == "indoor"
    plain = plain_inputs.fill(LinearHead(head.in_channels, 2, name="tiny"))
    assert torch.equal(head.seg_head.weight[:2], plain.seg_head.weight)


def test_an_object_encoder_loads_with_its_classes():
    encoder = load_object_encoder(FILES / "objects.pth", **OBJECT_SIZES)
    wanted = plain_inputs.fill(tiny_recon())
    assert same_weights(encoder, wanted) and encoder.class_names == ("chair", "table")


def test_vectors_of_words_load():
    words = read_vocabulary(FILES / "words.npz")
    assert words.names == ("chair", "table")
    np.testing.assert_array_equal(words.vectors, plain_inputs.pattern(2, 16))


# --- maps and rooms ------------------------------------------------------------------------------


def test_a_map_loads_into_a_pipeline():
    stored = read_map(FILES / "map.safetensors", 1000)
    points = plain_inputs.scan_arrays(0)["points"][::4]
    index = np.unique(np.floor(points.astype(np.float64) / 0.1), axis=0)
    np.testing.assert_array_equal(sorted(map(tuple, stored.snapshot.index)), index)
    assert (stored.fixed_frame, stored.classes) == ("odom", ("class_0", "class_1"))
    assert (stored.snapshot.stamp, stored.snapshot.voxel_size) == (2_000_000_000, 0.1)
    pipeline = SemanticPipeline.from_settings(
        Settings(
            checkpoint=str(FILES / "encoder.pth"),
            head=str(FILES / "head.pth"),
            voxel_size=0.1,
            device="cpu",
        )
    )
    pipeline.replace_map(stored)
    assert len(pipeline.infer(pipeline.snapshot(), ()).label) == len(index)


def test_rooms_are_not_made_again(tmp_path):
    shutil.copy(FILES / "room00001.npz", tmp_path)
    scan = DemoRooms(tmp_path, [1])[4]
    arrays = {name: value[:20] for name, value in plain_inputs.scan_arrays(0).items()}
    np.testing.assert_allclose(scan.points, arrays["points"], atol=6e-4)
    np.testing.assert_array_equal(scan.labels, arrays["labels"])
    np.testing.assert_allclose(scan.normals, arrays["normals"], atol=1e-6)


# --- trainings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["head", "lora"])
def test_a_killed_training_resumes(tmp_path, method):
    def trained(folder: Path):
        scans = [Scan(f"scan{i}", **plain_inputs.scan_arrays(i)) for i in range(2)]
        collate = ScanCollate(convention_for("indoor", False), 0.1, augment.indoor(0.1))
        config = TrainingConfig(
            folder, steps=4, views=2, rank=1, checkpoint_every=1, progress=False, drop_path=0.0
        )  # 0.1 had no stochastic depth with LoRA unless asked for
        return train(method, tiny_encoder(), scans, scans[:1], 2, collate, config)

    killed = tmp_path / "killed"
    (killed / "features").mkdir(parents=True)
    shutil.copy(FILES / f"training_{method}.pt", killed / "training.pt")
    assert read_tensors(killed / "training.pt")["step"] == 3
    (cached,) = FILES.glob("features_*.pt")
    kept = shutil.copy(cached, killed / "features" / cached.name.removeprefix("features_"))
    before = kept.stat()
    encoder, head, outcome = trained(killed)
    whole_encoder, whole_head, _ = trained(tmp_path / "whole")
    assert outcome.steps == 4
    # Another machine rounds otherwise than the one that took the first three steps.
    for ours, theirs in ((head, whole_head), (encoder, whole_encoder)):
        for name, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[name], rtol=1e-3, atol=1e-3)
    if method == "head":
        names = {file.name for file in (tmp_path / "whole" / "features").iterdir()}
        assert {file.name for file in kept.parent.iterdir()} == names and kept.name in names
        assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_a_killed_training_by_the_muon_of_0_1_is_refused(tmp_path, processes):
    shutil.copy(FILES / "training_muon.pt", tmp_path / "training.pt")
    trainer = Trainer(
        plain_inputs.fill(plain_inputs.RowModel()),
        plain_inputs.ROWS,
        plain_inputs.joined_rows,
        num_classes=2,
        steps=2 + processes,
        accumulate=max(processes, 1),
        folder=tmp_path,
        use_muon=_is_matrix,
        progress=False,
    )
    with pytest.raises(ValueError, match=r"training\.pt was written by .* 0\.1.*remove"):
        run_in_processes(trainer, processes) if processes else trainer.run()


def _is_matrix(_name: str, value: torch.nn.Parameter) -> bool:
    return value.ndim > 1


def tiny_recon() -> ReCon:
    recon = ReCon(ReConShape(**plain_inputs.RECON), 16)
    recon.add_head(2, linear=True)
    return recon


#: What the names and shapes in a file of :func:`tiny_recon` do not tell.
OBJECT_SIZES = {"points": 16, "heads": 2, "groups": 4, "group_size": 4}


def test_a_killed_training_of_an_object_encoder_resumes(tmp_path):
    def trained(folder: Path):
        recon = plain_inputs.fill(tiny_recon())
        clouds = plain_inputs.object_clouds(8, 16)
        objects = ObjectSet("plain", clouds, np.arange(8) % 2, ("chair", "table"))
        recipe = ObjectTrainingConfig(1e-3, "turn", batch_size=4, epochs=3, warm_up=1)
        outcome = fine_tune(recon, objects, recipe, RunOptions(folder=folder), method="linear")
        return recon, outcome

    (tmp_path / "killed").mkdir()
    shutil.copy(FILES / "training_objects.pt", tmp_path / "killed" / "training.pt")
    assert read_tensors(tmp_path / "killed" / "training.pt")["epoch"] == 2
    resumed, outcome = trained(tmp_path / "killed")
    whole, _ = trained(tmp_path / "whole")
    assert outcome.epochs == 4
    for name, value in resumed.state_dict().items():
        torch.testing.assert_close(value, whole.state_dict()[name], rtol=1e-3, atol=1e-3)


# --- bags ----------------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path, monkeypatch) -> Job:
    """A job that 0.1 had begun when it was killed, in the folder where it was begun."""
    with zipfile.ZipFile(FILES / "bag_job.zip") as archive:
        archive.extractall(tmp_path)
    for name in ("encoder", "head"):
        shutil.copy(FILES / f"{name}.pth", tmp_path)
    monkeypatch.chdir(tmp_path)
    overrides = {"checkpoint": "encoder.pth", "head": "head.pth", "voxel_size": 0.1}
    return Job(Path("source"), Path("out"), overrides=overrides, part_seconds=0.2)


def test_a_killed_bag_job_is_refused_as_its_parameters_had_other_names(job, tmp_path):
    begun = [folder.name for folder in tmp_path.glob(".out.parts/part_*")]
    assert sorted(begun) == ["part_00000", "part_00001"]
    unshared = r"another version .*settings\.camera_names, settings\.cameras, .*; finish it with"
    with pytest.raises(BagError, match=unshared):
        run_job(job)
    shutil.rmtree(tmp_path / ".out.parts")  # as the text says
    assert run_job(job)["labelled"] == 4
    assert len(added(tmp_path / "out")) == 9
    assert not list(tmp_path.glob(".*.parts"))
