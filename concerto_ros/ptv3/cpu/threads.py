# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Threads for independent products: each computes whole products.

PyTorch cuts every single operation into parts for its threads and waits for the last one. Where
another process occupies one of the cores, each of thousands of small products then waits for it;
threads that each take the next product do not.
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
    """Compute ``[work(item) for item in items]`` without gradients, in parallel.

    There are as many threads as PyTorch uses, of the priority of the calling one.
    """
    count = min(torch.get_num_threads(), len(items))
    if count < 2:
        return [work(item) for item in items]
    left = deque(enumerate(items))
    results: dict[int, Result] = {}
    inference = torch.is_inference_mode_enabled()  # a thread-local setting

    def share() -> None:
        # In this order: leaving inference mode turns gradients on.
        with torch.inference_mode(inference), torch.no_grad():
            while left:
                try:
                    index, item = left.popleft()
                except IndexError:  # another thread took the last one
                    return
                results[index] = work(item)

    pool = _pool(torch.get_num_threads(), os.getpid(), os.nice(0))
    for done in [pool.submit(share) for _ in range(count)]:
        done.result()
    return [results[index] for index in range(len(items))]


def keep_to_this_thread() -> None:
    """Let PyTorch compute in the calling thread alone from now on; other threads keep theirs."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    # Threads started later take over the value of the last call.
    last = threading.Thread(target=torch.set_num_threads, args=(count,))
    last.start()
    last.join()


@cache
def _pool(count: int, process: int, nice: int) -> ThreadPoolExecutor:
    """Return threads in which PyTorch computes single-threaded.

    There is one pool for each process and niceness, which on Linux a thread takes over from the
    one that starts it.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="concerto_ros product")
    begun = threading.Barrier(count)

    def take_one() -> None:
        torch.set_num_threads(1)
        begun.wait()

    for done in [pool.submit(take_one) for _ in range(count)]:
        done.result()
    torch.set_num_threads(count)  # threads started later take over the value of the last call
    return pool
