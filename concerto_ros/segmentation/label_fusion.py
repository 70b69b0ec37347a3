# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label fusion: what a voxel was said to be lately, so that noise does not flip its class."""

from __future__ import annotations

import math

import numpy as np
import torch

from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import find_keys


class LabelFusion:
    """Running log-odds of the classes of every voxel in the map, forgetting with time.

    A voxel keeps the weighted mean of the log-probabilities it was given: a logarithmic opinion
    pool (Genest and Zidek, "Combining Probability Distributions", 1986). A prediction t seconds
    old weighs exp(-t / ``seconds``). The mean and not the sum, because predictions of one place
    share most of their input: as independent evidence, which Bayes' rule would add up, they would
    make a wrong label certain within a second.

    Memory is that of the newest snapshot: voxels that are not in it are forgotten, and those that
    left the map meanwhile and came back start afresh.
    """

    def __init__(self, seconds: float):
        """``seconds``: after this time a prediction weighs 1/e of what it did."""
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds is {seconds}; expected: seconds > 0")
        self._seconds = seconds
        self._keys = np.zeros(0, np.int64)
        self._mean: torch.Tensor | None = None
        self._weight = torch.zeros(0)
        self._stamp = 0

    def __call__(self, snapshot: MapSnapshot, scores: torch.Tensor) -> torch.Tensor:
        """Log-probabilities after fusion, (V, K) float32 on the device of ``scores``.

        ``scores`` (V, K) are logits, a row for each voxel of ``snapshot``. A snapshot no newer
        than the last one changes nothing in voxels that are known; one that is older by its stamp
        begins anew.
        """
        latest = log_probabilities(scores).contiguous()  # its rows are gathered below
        weight = latest.new_ones(len(latest))
        if self._mean is not None and snapshot.stamp >= self._stamp:
            before = find_keys(self._keys, snapshot.keys)
            # What came into the map later is not what was there then, if the place is the same.
            known = np.flatnonzero((before >= 0) & (snapshot.since <= self._stamp))
            self._blend(latest, weight, before[known], known, snapshot.stamp)
        self._keys, self._stamp = snapshot.keys, snapshot.stamp
        self._mean, self._weight = latest, weight
        return log_probabilities(latest)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything :meth:`restore` needs to go on from here; empty before the first call."""
        if self._mean is None:
            return {}
        return {
            "keys": torch.from_numpy(self._keys.copy()),
            "mean": self._mean.cpu(),
            "weight": self._weight.cpu(),
            "stamp": torch.tensor(self._stamp),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from a :meth:`state`."""
        if state:
            self._keys = state["keys"].numpy().copy()
            self._mean, self._weight = state["mean"].clone(), state["weight"].clone()
            self._stamp = int(state["stamp"])

    def _blend(
        self,
        latest: torch.Tensor,
        weight: torch.Tensor,
        before: np.ndarray,
        known: np.ndarray,
        stamp: int,
    ) -> None:
        """Turn rows ``known`` of ``latest`` into the mean with rows ``before`` of the last one."""
        device = latest.device
        before, known = (torch.from_numpy(rows).to(device) for rows in (before, known))
        elapsed = (stamp - self._stamp) * 1e-9
        old = self._weight.to(device).index_select(0, before)
        old *= math.exp(-elapsed / self._seconds)
        new = 1.0 if elapsed > 0 else 0.0
        total = old + new
        mean = self._mean.to(device).index_select(0, before)
        mean += (latest.index_select(0, known) - mean) * (new / total)[:, None]
        latest.index_copy_(0, known, mean)
        weight.index_copy_(0, known, total)


def log_probabilities(scores: torch.Tensor) -> torch.Tensor:
    """``scores.float().log_softmax(dim=1)`` of (V, K) logits, class after class in memory.

    Along rows of a dozen numbers PyTorch takes ten times as long on a CPU.
    """
    return scores.float().t().log_softmax(dim=0).t()


def normalised_entropy(log_probability: torch.Tensor) -> torch.Tensor:
    """(V,) in [0, 1] of (V, K) log-probabilities: 0 where one class is certain, 1 where all are
    alike."""
    classes = log_probability.shape[1]
    if classes == 1:
        return log_probability.new_zeros(len(log_probability))
    # exp underflows to zero before its logarithm becomes infinite.
    terms = log_probability.exp() * log_probability.clamp(min=-1e3)
    return (-terms.sum(dim=1) / math.log(classes)).clamp(0.0, 1.0)
