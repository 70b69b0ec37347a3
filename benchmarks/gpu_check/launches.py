# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many operators a computation launches on a device, and how often it waits for the device.

Counted by PyTorch's dispatch, so without a GPU as well: the program waits wherever it reads a
value, wherever a result is as long as values say, and for decompositions of matrices. Reads with
nothing launched in between count as one wait, as the device has finished by then. What is computed
from tensors that were brought to the CPU launches nothing, until it is sent to the device again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

#: Methods that read whole tensors; on the CPU no operator shows it.
READERS = ("tolist", "numpy", "cpu")

#: Operators that read one value, whose result is as long as the values say, or which cuSOLVER
#: computes.
WAITING = (
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::unique",
    "aten::_unique",
    "aten::masked_select",
    "aten::bincount",
    "aten::repeat_interleave",
    "aten::linalg_qr",
    "aten::_linalg_svd",
    "aten::_linalg_eigh",
)

#: Operators that launch nothing: they make tensors without values, or other views of the same.
_NOTHING = (
    "aten::empty",
    "aten::new_empty",
    "aten::detach",
    "aten::lift_fresh",
    "aten::alias",
    "aten::_unsafe_view",
    "aten::resize_",
    "prim::",
)


@dataclass
class Counts:
    """What a computation asks of a device.

    Attributes:
        launches: operators that compute something there, each at least one kernel.
        waits: what the program waits with, by name.
    """

    launches: int = 0
    waits: list[str] = field(default_factory=list)
    _launches_at_wait: int = -1
    _brought: WeakTensorKeyDictionary = field(default_factory=WeakTensorKeyDictionary)

    def launch(self) -> None:
        """Count an operator."""
        self.launches += 1

    def wait(self, name: str) -> None:
        """Count a wait, unless nothing was launched since the last one."""
        if self.launches != self._launches_at_wait:
            self.waits.append(name)
        self._launches_at_wait = self.launches

    def bring(self, values: Any) -> None:
        """Take note that tensors are on the CPU."""
        for value in tree_leaves(values):
            if isinstance(value, torch.Tensor):
                self._brought[value] = True

    def brought(self, arguments: Any) -> bool:
        """Return whether there are tensors among the arguments, and all are on the CPU."""
        tensors = [value for value in tree_leaves(arguments) if isinstance(value, torch.Tensor)]
        return bool(tensors) and all(tensor in self._brought for tensor in tensors)


class _Readers(TorchFunctionMode):
    def __init__(self, counts: Counts):
        super().__init__()
        self.counts = counts

    def __torch_function__(self, function, types, arguments=(), options=None):
        name = getattr(function, "__name__", "")
        brought = name in ("cpu", "to", *READERS) and self.counts.brought(arguments[0])
        if name in READERS and not brought and _has_values(arguments[0]):
            self.counts.wait(name)
        if name == "cpu" or (name == "to" and brought and _names_device(arguments, options)):
            with _disable_current_modes():  # another tensor, as it would be with a GPU
                result = function(*arguments, **(options or {})).clone()
            if name == "cpu":
                self.counts.bring(result)
            return result
        return function(*arguments, **(options or {}))


class _Operators(TorchDispatchMode):
    def __init__(self, counts: Counts):
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        name = operator._schema.name
        if torch.is_inference_mode_enabled():  # where compound operators arrive whole
            with self:
                result = operator.decompose(*arguments, **(options or {}))
            if result is not NotImplemented:
                return result
        if self.counts.brought((arguments, options)):
            result = operator(*arguments, **(options or {}))
            self.counts.bring(result)
            return result
        waits = name.startswith(WAITING) or (name.startswith("aten::index") and _masked(arguments))
        if name != "aten::_local_scalar_dense" and not (
            operator.is_view or name.startswith(_NOTHING)
        ):
            self.counts.launch()
        if waits:
            self.counts.wait(name)
        return operator(*arguments, **(options or {}))


@contextmanager
def counting() -> Iterator[Counts]:
    """Count what is launched and waited for inside the ``with``."""
    counts = Counts()
    with _Readers(counts), _Operators(counts):
        yield counts


def counted(work: Callable[[], Any]) -> Counts:
    """Count what a computation launches and waits for."""
    with counting() as counts:
        work()
    return counts


def _names_device(arguments: tuple, options: dict | None) -> bool:
    named = (*arguments[1:], *(options or {}).values())
    return any(isinstance(value, (torch.device, str)) for value in named)


def _has_values(tensor: Any) -> bool:
    return isinstance(tensor, torch.Tensor) and tensor.numel() > 0


def _masked(arguments: tuple) -> bool:
    """Whether an index is a mask."""
    index = arguments[1] if isinstance(arguments[1], (list, tuple)) else arguments[2:3]
    return any(isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in index)
