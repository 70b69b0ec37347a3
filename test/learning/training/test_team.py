# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several processes train as one does: same weights, same files, and all end when one fails."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from training_data import SCANS, small_model, trainer_of

from concerto_ros.files.torch_file import read_tensors
from concerto_ros.learning.training import processes as spawning
from concerto_ros.learning.training.processes import run_in_processes
from concerto_ros.learning.training.team import Team
from concerto_ros.learning.training.trainer import Trainer


def every_matrix(name, parameter):
    return parameter.ndim > 1


def train(processes, folder=None, **options):
    model = small_model()
    given = {"accumulate": 2, "steps": 5, "orthogonal": every_matrix}
    trainer = trainer_of(model, folder, **(given | options))
    return run_in_processes(trainer, processes), model.state_dict(), trainer


def test_two_processes_give_the_weights_of_one_bit_for_bit(tmp_path):
    options = {"validation": SCANS, "validate_every": 3}
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

    longer, more, _ = train(2, tmp_path, **options)  # nothing is left to do
    assert longer.steps == 5 and all(torch.equal(more[name], weights[name]) for name in more)


def test_steps_in_processes_are_those_of_the_plain_loop():
    model = small_model()
    trainer_of(model, accumulate=2, steps=3, orthogonal=every_matrix).run()
    _, weights, _ = train(2, steps=3)
    for name, value in model.state_dict().items():
        if name.endswith("qkv.bias"):
            continue  # a key's bias changes no output; AdamW follows the rounding of its gradient
        assert torch.allclose(value, weights[name], rtol=1e-3, atol=1e-4), name


def test_batches_that_cannot_be_shared_equally_are_refused():
    for processes in (0, 3):
        with pytest.raises(ValueError, match=f"processes is {processes}.*the 2 batches"):
            run_in_processes(trainer_of(small_model(), accumulate=2), processes)
    with pytest.raises(ValueError, match="team has 3 processes.*the 2 batches"):
        trainer_of(small_model(), accumulate=2).join(Team(0, 3))


def test_what_one_process_raises_ends_all():
    broken = [type(SCANS[0])("broken", np.zeros((0, 3), np.float32), np.zeros(0, np.uint8))]
    trainer = trainer_of(small_model(), accumulate=2)
    trainer.data = broken * 3
    with pytest.raises(
        torch.multiprocessing.ProcessRaisedException, match="broken: has no points"
    ):
        run_in_processes(trainer, 2)


def test_too_little_shared_memory_is_said_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(spawning.shutil, "disk_usage", lambda path: SimpleNamespace(free=3 << 20))
    trainer = trainer_of(small_model(), tmp_path, accumulate=2)
    monkeypatch.setattr(Trainer, "shared_bytes", 5 << 20)
    with pytest.raises(OSError, match=r"has 3 MB free, wanted 25 MB .* --shm-size"):
        run_in_processes(trainer, 2)
    assert not list(tmp_path.iterdir())


def test_alone_there_is_nothing_to_share():
    values = [torch.ones(2), torch.zeros(3)]
    alone = Team()
    assert list(alone.share(3)) == [0, 1, 2]
    assert alone.add_up(values) == values
    assert [v.tolist() for v in alone.map(torch.neg, values)] == [[-1, -1], [0, 0, 0]]
