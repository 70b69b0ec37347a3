# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several processes train as one does: same weights, same files, and all end when one fails."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from quick_processes import quick_processes
from training_data import SCANS, small_model, trainer_of

from concerto_ros.files.torch_file import read_tensors
from concerto_ros.learning.training.distributed import (
    own_share,
    rank,
    sum_over_processes,
    world_size,
)
from concerto_ros.learning.training.processes import run_in_processes


def every_matrix(name, parameter):
    return parameter.ndim > 1


def train(processes, folder=None, **options):
    model = small_model()
    given = {"accumulate": 2, "steps": 5, "use_muon": every_matrix}
    trainer = trainer_of(model, folder, **(given | options))
    with quick_processes():
        return run_in_processes(trainer, processes), model.state_dict(), trainer


def test_two_processes_give_the_weights_of_one_bit_for_bit(tmp_path):
    options = {"validation": SCANS, "validate_every": 3, "average": 0.9}
    before = {name: value.clone() for name, value in small_model().state_dict().items()}
    alone, lone_weights, _ = train(1, **options)
    both, weights, trainer = train(2, tmp_path, **options)
    assert both.steps == alone.steps == 5 and both.stopped == alone.stopped
    assert (both.best_step, both.best_miou) == (alone.best_step, alone.best_miou)
    assert both.best_step in (3, 5)
    assert all(torch.equal(value, lone_weights[name]) for name, value in weights.items())
    assert any(not torch.equal(value, before[name]) for name, value in weights.items())
    state = read_tensors(tmp_path / "training.pt")
    assert state["step"] == 5 and len(state["optimizers"]) == 2
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".pt"] == ["training.pt"]

    assert all(torch.equal(state["best"]["weights"][name], weights[name]) for name in weights)
    assert any(not torch.equal(state["weights"][name], weights[name]) for name in weights)

    longer, more, _ = train(2, tmp_path, **options)  # nothing is left to do
    assert longer.steps == 5 and all(torch.equal(more[name], weights[name]) for name in more)


def test_steps_in_processes_are_those_of_the_plain_loop():
    # By AdamW alone: Muon's bfloat16 makes much of the rounding of a gradient.
    model = small_model()
    trainer_of(model, accumulate=2, steps=3).run()
    _, weights, _ = train(2, steps=3, use_muon=None)
    for name, value in model.state_dict().items():
        if name.endswith("qkv.bias"):
            continue  # a key's bias changes no output; AdamW follows the rounding of its gradient
        assert torch.allclose(value, weights[name], rtol=1e-3, atol=1e-4), name


def test_batches_that_cannot_be_shared_equally_are_refused():
    for processes in (0, 3):
        with pytest.raises(ValueError, match=f"processes is {processes}.*the 2 batches"):
            run_in_processes(trainer_of(small_model(), accumulate=2), processes)


def test_what_one_process_raises_ends_all():
    broken = [type(SCANS[0])("broken", np.zeros((0, 3), np.float32), np.zeros(0, np.uint8))]
    trainer = trainer_of(small_model(), accumulate=2, data=broken * 3)
    with pytest.raises(
        torch.multiprocessing.ProcessRaisedException, match="broken: has no points"
    ):
        run_in_processes(trainer, 2)


def test_three_processes_give_the_same_weights_every_time(tmp_path):
    options = {"accumulate": 3, "steps": 3}
    _, first, _ = train(3, **options)
    _, second, _ = train(3, tmp_path, **options)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


class Deadly(list):
    """Scans of which reading one, on one chosen process, does something terrible."""

    def __init__(self, scans, on_rank, step, note=None):
        super().__init__(scans)
        self.on_rank, self.left, self.note = on_rank, step, note

    def __getitem__(self, place):
        if rank() == self.on_rank and world_size() > 1:
            self.left -= 1
            if self.left < 0:
                self.fail()
        if self.note and world_size() > 1:
            (self.note / str(os.getpid())).touch()
        return super().__getitem__(place)


class Killed(Deadly):
    def fail(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Broken(Deadly):
    def fail(self):
        raise KeyError("the scan is gone")


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("on_rank", [0, 1])
@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        (Killed, ChildProcessError, "process {} terminated with signal SIGKILL.*resumes"),
        (Broken, torch.multiprocessing.ProcessRaisedException, "the scan is gone"),
    ],
)
def test_one_process_that_ends_ends_all_with_its_reason(tmp_path, kind, error, message, on_rank):
    data = kind(SCANS, on_rank, 5, tmp_path)
    options = {"accumulate": 2, "steps": 1000, "use_muon": every_matrix}
    trainer = trainer_of(small_model(), data=data, **options)
    begun = time.monotonic()
    with quick_processes(), pytest.raises(error, match=message.format(on_rank)):
        run_in_processes(trainer, 2)
    assert time.monotonic() - begun < 60
    processes = [int(path.name) for path in tmp_path.iterdir()]
    assert len(processes) == 2 and not any(map(is_running, processes))


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Endless(Deadly):
    def __init__(self, note):
        super().__init__(SCANS, 0, 1 << 60)
        self.note = note

    def __getitem__(self, place):
        (self.note / str(os.getpid())).touch()
        return super().__getitem__(place)


def train_in_the_background(note):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for `command &` in a script
    run_in_processes(trainer_of(small_model(), data=Endless(note), steps=1 << 20), 1)


def test_a_training_in_the_background_ends_with_the_process_that_started_it(tmp_path):
    starter = torch.multiprocessing.get_context("spawn").Process(
        target=train_in_the_background, args=(tmp_path,)
    )
    starter.start()
    wait_until(lambda: any(tmp_path.iterdir()), 60)
    starter.kill()
    starter.join()
    (process,) = (int(path.name) for path in tmp_path.iterdir())
    wait_until(lambda: not is_running(process), 30)


def test_a_killed_run_of_two_processes_resumes_bit_for_bit(tmp_path):
    given = {"steps": 6, "average": 0.9}
    _, whole, _ = train(2, **given)
    options = {"accumulate": 2, "use_muon": every_matrix, "checkpoint_every": 2} | given
    killed = Killed(SCANS, 1, 8)  # two scans a step: in its fifth
    trainer = trainer_of(small_model(), tmp_path, data=killed, **options)
    with quick_processes(), pytest.raises(ChildProcessError):
        run_in_processes(trainer, 2)
    # The state of the fourth step may still be being written when the other process dies.
    assert read_tensors(tmp_path / "training.pt")["step"] in (2, 4)
    # Either number of processes can resume what the other has saved.
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "training.pt").write_bytes((tmp_path / "training.pt").read_bytes())
    for folder, processes in ((tmp_path, 2), (copy, 1)):
        outcome, weights, _ = train(processes, folder, **given)
        assert outcome.steps == 6
        assert all(torch.equal(value, whole[name]) for name, value in weights.items())


def test_processes_listen_on_the_loopback_interface_alone(tmp_path):
    data = Listening(SCANS, tmp_path)
    trainer = trainer_of(small_model(), accumulate=2, steps=2, data=data)
    run_in_processes(trainer, 2)
    found = {path.read_text() for path in tmp_path.iterdir()}
    assert found == {"0100007F"} or found == {"00000000000000000000000001000000"}


class Listening(list):
    """Scans that note, when one is read, the addresses at which their process listens."""

    def __init__(self, scans, folder: Path):
        super().__init__(scans)
        self.folder = folder

    def __getitem__(self, place):
        if world_size() > 1:
            sockets = {
                os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()
            }
            for table in ("tcp", "tcp6"):
                rows = Path("/proc/self/net", table).read_text().splitlines()[1:]
                for row in map(str.split, rows):
                    if row[3] == "0A" and f"socket:[{row[9]}]" in sockets:
                        (self.folder / f"{os.getpid()}{table}").write_text(row[1].split(":")[0])
        return super().__getitem__(place)


def test_alone_there_is_nothing_to_share():
    values = torch.ones(2)
    assert (rank(), world_size(), list(own_share(3))) == (0, 1, [0, 1, 2])
    sum_over_processes(values)
    assert values.tolist() == [1, 1]
