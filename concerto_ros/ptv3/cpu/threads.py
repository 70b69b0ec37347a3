# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Threads that each compute a share of independent products by themselves.

PyTorch cuts every single operation into parts for its threads and waits for the last one. Where
another process holds one of the cores, each of thousands of small products then waits for it; a
thread that goes on to the next product by itself does not.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def for_each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``[work(item) for item in items]`` without gradients, by as many threads as PyTorch has."""
    count = min(torch.get_num_threads(), len(items))
    if count < 2:
        return [work(item) for item in items]
    left = deque(enumerate(items))
    results: list = [None] * len(items)
    inference = torch.is_inference_mode_enabled()  # known to this thread alone

    def share() -> None:
        # In this order: leaving inference mode turns gradients on.
        with torch.inference_mode(inference), torch.no_grad():
            while left:
                try:
                    place, item = left.popleft()
                except IndexError:  # another thread took the last one
                    return
                results[place] = work(item)

    pool = _pool(torch.get_num_threads(), os.getpid())
    for done in [pool.submit(share) for _ in range(count)]:
        done.result()
    return results


@cache
def _pool(count: int, process: int) -> ThreadPoolExecutor:
    """Threads in which an operation of PyTorch takes one thread; a forked process has none."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="concerto_ros product")
    begun = threading.Barrier(count)

    def take_one() -> None:
        torch.set_num_threads(1)
        begun.wait()

    for done in [pool.submit(take_one) for _ in range(count)]:
        done.result()
    torch.set_num_threads(count)  # the last call is what threads to come begin with
    return pool
