# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When the compiled kernels compute, and when PyTorch does, whatever else is going on."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from native_inputs import numbers
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from concerto_ros.ptv3.cpu.onednn import Linear
from concerto_ros.ptv3.kernels.native import calls
from concerto_ros.ptv3.kernels.native import linear as native_linear
from concerto_ros.ptv3.kernels.native import norm as native_norm
from concerto_ros.ptv3.kernels.native.library import library, why_not


class Other(torch.Tensor):
    """A tensor of another kind."""


class OtherByFunctions(TorchFunctionMode):
    """Makes empty tensors of another kind."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        return result.as_subclass(Other) if function is torch.Tensor.new_empty else result


class OtherByOperators(TorchDispatchMode):
    """The same, deeper down."""

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        result = operator(*arguments, **(options or {}))
        return result.as_subclass(Other) if "new_empty" in str(operator) else result


class Watching(TorchDispatchMode):
    """Looks at operators and changes nothing."""

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        return operator(*arguments, **(options or {}))


@pytest.fixture
def called(monkeypatch) -> list[str]:
    """Names of the kernels that were called since."""
    if library() is None:
        pytest.skip(why_not())
    names: list[str] = []
    function = calls._function
    monkeypatch.setattr(
        calls, "_function", lambda name, types: names.append(name) or function(name, types)
    )
    return names


def computed(feat: torch.Tensor, layer: Linear | None = None) -> torch.Tensor:
    return native_linear.linear(Linear(18, 20) if layer is None else layer, feat)


@pytest.mark.parametrize("around", [nullcontext, Watching], ids=["nothing", "one that watches"])
@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_the_kernels_compute_without_gradients(called, around, without):
    with without(), around():
        computed(numbers(40, 18))
    assert called == ["concerto_linear"]


@pytest.mark.parametrize(
    "around",
    [
        torch.enable_grad,
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: FakeTensorMode(allow_non_fake_inputs=True),
        OtherByFunctions,
        OtherByOperators,
    ],
    ids=["gradients", "autocast", "tensors without values", "functions", "operators"],
)
@torch.no_grad()
def test_they_do_not_where_pytorch_makes_more_of_it(called, around):
    layer, feat = Linear(18, 20), numbers(40, 18)
    with around():
        computed(feat, layer)
    assert not called


@pytest.mark.filterwarnings("ignore:.torch.jit.trace. is deprecated")
@pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean")
@torch.no_grad()
def test_they_do_not_where_pytorch_records(called):
    norm, feat = torch.nn.LayerNorm(18).requires_grad_(False), numbers(40, 18)

    def add_norm(feat: torch.Tensor) -> torch.Tensor:
        return native_norm.add_norm(feat, feat, norm)[1]

    wanted = add_norm(feat)
    assert called.pop() == "concerto_add_norm"
    traced = torch.jit.trace(add_norm, feat, check_trace=False)
    compiled = torch.compile(add_norm, backend="eager", fullgraph=True)
    for recorded in (traced, compiled):
        torch.testing.assert_close(recorded(feat), wanted)
    assert not called


@pytest.mark.parametrize("kind", ["features", "weights"])
@torch.no_grad()
def test_tensors_of_another_kind_are_left_to_pytorch(called, kind):
    layer, feat = Linear(18, 20), numbers(40, 18)
    if kind == "features":
        feat = feat.as_subclass(Other)
    else:
        del layer.weight
        layer.weight = numbers(20, 18).as_subclass(Other)
    assert computed(feat, layer).shape == (40, 20)
    assert not called
