# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Copies to and from a GPU wait once for what is fetched together; on a CPU nothing is copied."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros.ptv3.kernels.host_copies import fetched, sent

CPU = torch.device("cpu")

VALUES = (
    torch.arange(6).view(2, 3),
    torch.rand(4, 2).t(),
    torch.tensor([True, False]),
    torch.zeros(0, 3),
)


def test_on_a_cpu_the_same_memory_is_handed_on():
    for value, array in zip(VALUES, fetched(*VALUES), strict=True):
        assert sent(value, "cpu") is value
        np.testing.assert_array_equal(array, value.numpy())
        assert array.shape == value.shape
        assert not array.size or np.shares_memory(array, value.numpy())


class OnGpu(torch.Tensor):
    """Says that it is on a GPU; its values are on the CPU."""

    device = torch.device("cuda", 0)
    __torch_function__ = torch._C._disabled_torch_function_impl


def test_what_is_fetched_together_costs_one_wait(monkeypatch):
    done: list[str] = []

    class Stream:
        def record_event(self):
            done.append("recorded")
            return self

        def synchronize(self):
            done.append("waited")

    class Pinned(torch.Tensor):
        def copy_(self, value, non_blocking):
            assert non_blocking
            done.append("copied")
            return self.as_subclass(torch.Tensor).copy_(torch.Tensor(value))

    def empty(shape, *, dtype, pin_memory):
        assert pin_memory
        return torch.zeros(shape, dtype=dtype).as_subclass(Pinned)

    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    there = [torch.rand(3).as_subclass(OnGpu), torch.rand(2, 2).as_subclass(OnGpu)]
    one, here, other = fetched(there[0], VALUES[0], there[1])
    assert done == ["copied", "copied", "recorded", "waited"]
    for array, value in ((one, there[0]), (other, there[1]), (here, VALUES[0])):
        np.testing.assert_array_equal(array, value.as_subclass(torch.Tensor).numpy())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_values_go_to_a_gpu_and_come_back():
    there = [sent(value, "cuda") for value in VALUES]
    assert all(value.is_cuda for value in there)
    for array, value in zip(fetched(*there), VALUES, strict=True):
        np.testing.assert_array_equal(array, value.numpy())
