# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Targets of online clustering: an optimal assignment of points to prototypes.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments",
NeurIPS 2020; Cuturi, "Sinkhorn Distances", NeurIPS 2013.
"""

from __future__ import annotations

import torch

from concerto_ros.learning.training.distributed import sum_over_processes

#: Rounds of normalisation, as published.
ROUNDS = 3


@torch.no_grad()
def assignments(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Assign points to prototypes so that all prototypes get equally much.

    The points of all training processes share one assignment; every process has to call this,
    also with no point.

    Args:
        logits: (N, K) cosines of points and prototypes.
        temperature: Divides the logits; the colder, the nearer to one prototype for each point.

    Returns:
        (N, K) float32, each row sums to 1.
    """
    # Cosines over 0.04 stay below 25: the exponential needs no maximum subtracted.
    shares = torch.exp(logits.float() / temperature)
    rows, prototypes = shares.shape
    count = _total(torch.tensor(float(rows), dtype=torch.float64)).to(shares)
    shares = shares / _total(shares.sum())
    for _ in range(ROUNDS):
        shares = shares / _total(shares.sum(dim=0)) / prototypes
        shares = shares / shares.sum(dim=1, keepdim=True) / count
    return shares * count


def _total(values: torch.Tensor) -> torch.Tensor:
    """The sum over all training processes."""
    shared = values.detach().cpu().contiguous()
    sum_over_processes(shared)
    return shared.to(values.device)
