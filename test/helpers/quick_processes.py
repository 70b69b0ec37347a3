# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes of a training that start at once, where starting them is not what a test is about."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch


@contextmanager
def quick_processes() -> Iterator[None]:
    """Fork the processes of a training from one that has imported all they need.

    A spawned process imports PyTorch again, which takes longer than the tests' trainings.
    """
    multiprocessing.set_forkserver_preload(["pytest", "concerto_ros.learning.training.processes"])
    forked = partial(torch.multiprocessing.start_processes, start_method="forkserver")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.multiprocessing, "spawn", forked)
        yield
