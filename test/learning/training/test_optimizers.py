# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's Muon for matrices and kernels, with the steps that this package has always taken."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from training_data import small_model, trainer_of

from concerto_ros.learning.training.optimizers import build_muon

#: Those of the published polynomial, and how often it is applied.
COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5


def muon(parameters, lr, **options):
    return build_muon([{"params": parameters}], lr=lr, **({"weight_decay": 0.0} | options))


def reference(matrix):
    """The polynomial on the singular values, in float64."""
    left, values, right = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
    values = values / np.linalg.norm(values)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        values = a * values + b * values**3 + c * values**5
    return left @ np.diag(values) @ right


@pytest.mark.parametrize("shape", [(8, 8), (5, 60), (60, 5), (1, 7), (7, 1), (1, 1)])
def test_a_step_is_that_of_version_0_1(shape):
    # Nesterov momentum, orthogonalised, 0.2 of AdamW's root mean square, decoupled weight decay.
    generator = torch.Generator().manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(shape, generator=generator))
    expected, average = weight.detach().double().numpy(), torch.zeros(shape)
    optimizer = muon([weight], lr=0.1, weight_decay=0.3)
    for _ in range(2):
        weight.grad = torch.randn(shape, generator=generator) * 37
        average = average * 0.95 + weight.grad * 0.05
        step = reference(weight.grad * 0.05 + average * 0.95) * 0.2 * math.sqrt(max(shape))
        expected = expected * (1 - 0.1 * 0.3) - 0.1 * step
        optimizer.step()
    # PyTorch works the polynomial out in bfloat16, of 8 bits.
    error = np.linalg.norm(weight.detach().numpy() - expected)
    assert error < 0.05 * np.linalg.norm(0.1 * step)


def test_nothing_to_learn_moves_nothing():
    weight = torch.nn.Parameter(torch.ones(3, 4))
    optimizer = muon([weight], lr=1.0)
    weight.grad = torch.zeros(3, 4)
    optimizer.step()
    weight.grad = None
    optimizer.step()
    assert torch.equal(weight, torch.ones(3, 4))


def test_a_kernel_is_the_matrix_of_its_flattened_columns():
    flat = torch.nn.Parameter(torch.arange(24.0).reshape(2, 12) / 24)
    kernel = torch.nn.Parameter(flat.detach().clone().reshape(2, 2, 2, 3))
    for parameter in (flat, kernel):
        optimizer = muon([parameter], lr=0.1, weight_decay=0.1)
        (parameter.flatten(1) ** 2).cumsum(1).sum().backward()
        optimizer.step()
    assert torch.equal(flat.flatten(), kernel.flatten())


def test_a_kernel_whose_first_dimension_is_the_last_in_memory_moves_as_well():
    kernels = [
        torch.nn.Parameter(value)
        for value in (
            torch.arange(24.0).reshape(2, 3, 4) / 24,
            (torch.arange(24.0).reshape(2, 3, 4) / 24).movedim(0, -1).contiguous().movedim(-1, 0),
        )
    ]
    assert not kernels[1].is_contiguous()
    before = kernels[0].detach().clone()
    for kernel in kernels:
        optimizer = muon([kernel], lr=0.1)
        kernel.grad = torch.arange(24.0).reshape(2, 3, 4).cos()  # laid out as the first
        optimizer.step()
    moved = (kernels[0] - before).norm()
    assert moved > 0 and (kernels[0] - kernels[1]).norm() < 0.02 * moved


def test_it_finds_the_solution_of_least_squares():
    generator = torch.Generator().manual_seed(3)
    given, wanted = (torch.randn(6, n, generator=generator) for n in (4, 3))
    weight = torch.nn.Parameter(torch.zeros(3, 4))
    optimizer = muon([weight], lr=1.0)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 1 - step / 300
        weight.grad = None
        loss = ((given @ weight.T - wanted) ** 2).sum()
        loss.backward()
        optimizer.step()
    best = torch.linalg.lstsq(given, wanted).solution
    assert torch.allclose(weight.T, best, atol=0.02)


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\), expected two dimensions"):
        muon([torch.nn.Parameter(torch.zeros(3))], lr=1.0)


def test_a_pytorch_without_muon_is_named_before_anything_starts(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ImportError, match=r"PyTorch 2\.9 or newer, found PyTorch 2"):
        trainer_of(small_model(), use_muon=lambda name, parameter: parameter.ndim > 1)
    trainer_of(small_model(), steps=1).run()  # AdamW alone asks for nothing


def test_a_run_of_version_0_1_is_refused_by_name(tmp_path):
    options = {"steps": 2, "use_muon": lambda name, parameter: parameter.ndim > 1}
    trainer_of(small_model(), tmp_path, **options).run()
    path = tmp_path / "training.pt"
    state = torch.load(path, weights_only=True)
    for kept in state["optimizers"][1]["state"].values():
        kept["momentum"] = kept.pop("momentum_buffer")
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"training\.pt was written by .* 0\.1.*from scratch"):
        trainer_of(small_model(), tmp_path, **options).run()
