# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Muon: orthogonal steps for matrices and kernels, the same after a restart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from concerto_ros.learning.training.muon import COEFFICIENTS, ITERATIONS, Muon, orthogonalised


def reference(matrix):
    """The same polynomial on the singular values, in float64."""
    left, values, right = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
    values = values / np.linalg.norm(values)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        values = a * values + b * values**3 + c * values**5
    return left @ np.diag(values) @ right


@pytest.mark.parametrize("shape", [(8, 8), (5, 60), (60, 5), (1, 7), (7, 1), (1, 1)])
def test_the_polynomial_acts_on_the_singular_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 37
    assert np.allclose(orthogonalised(matrix).numpy(), reference(matrix), atol=2e-4)


def test_singular_values_come_near_one_whatever_the_scale():
    matrix = torch.randn(20, 90, generator=torch.Generator().manual_seed(2))
    for scale in (1e-12, 1.0, 1e12):
        values = torch.linalg.svdvals(orthogonalised(matrix * scale))
        assert values.min() > 0.6 and values.max() < 1.3


def test_zero_stays_zero():
    assert not orthogonalised(torch.zeros(3, 4)).any()


def test_a_kernel_is_the_matrix_of_its_flattened_columns():
    flat = torch.nn.Parameter(torch.arange(24.0).reshape(2, 12) / 24)
    kernel = torch.nn.Parameter(flat.detach().clone().reshape(2, 2, 2, 3))
    for parameter in (flat, kernel):
        optimizer = Muon([parameter], lr=0.1, weight_decay=0.1)
        (parameter.flatten(1) ** 2).cumsum(1).sum().backward()
        optimizer.step()
    assert torch.equal(flat.flatten(), kernel.flatten())


def test_it_finds_the_solution_of_least_squares():
    generator = torch.Generator().manual_seed(3)
    given, wanted = (torch.randn(6, n, generator=generator) for n in (4, 3))
    weight = torch.nn.Parameter(torch.zeros(3, 4))
    optimizer = Muon([weight], lr=1.0)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 1 - step / 300
        optimizer.zero_grad()
        loss = ((given @ weight.T - wanted) ** 2).sum()
        loss.backward()
        optimizer.step()
    best = torch.linalg.lstsq(given, wanted).solution
    assert torch.allclose(weight.T, best, atol=0.02)


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\), wanted two dimensions"):
        Muon([torch.nn.Parameter(torch.zeros(3))], lr=1.0)
