# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label fusion over time, so that noise does not flip the class of a voxel."""

from __future__ import annotations

import math

import numpy as np
import torch

from concerto_ros.heads.finite_rows import finite_rows
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_grid import find_keys
from concerto_ros.ptv3.kernels.host_copies import sent


class LabelFusion:
    """Exponentially forgetting mean of the log-probabilities of every voxel in the map.

    This is a logarithmic opinion pool (Genest and Zidek, "Combining Probability Distributions",
    1986). A prediction that is t seconds old weighs exp(-t / ``seconds``). The mean is taken and
    not the sum, because predictions of the same voxel share most of their input: added up as
    independent evidence by Bayes' rule, they would make a wrong label certain within a second.

    Only the voxels of the newest snapshot are kept: a voxel that leaves the map and comes back
    later starts from scratch. Scores that are not finite are no prediction: the mean of such a
    voxel stays as it was.

    Raises:
        ValueError: ``seconds`` is not a finite number above zero.
    """

    def __init__(self, seconds: float):
        """Start without predictions; after ``seconds`` one weighs 1/e of its initial weight."""
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds is {seconds}; expected a finite number above 0")
        self._seconds = seconds
        self._keys = np.zeros(0, np.int64)
        self._first_seen = np.zeros(0, np.int64)
        #: Whether the map was filled again since: :meth:`restore`.
        self._refilled = False
        self._mean: torch.Tensor | None = None
        self._weight = torch.zeros(0)
        self._stamp = 0

    def __call__(
        self, snapshot: MapSnapshot, scores: torch.Tensor, rows: np.ndarray | None = None
    ) -> torch.Tensor:
        """Fuse the scores of a snapshot with those of the snapshots before.

        A snapshot that is no newer than the last one changes nothing in voxels that are known. One
        that is older by its stamp restarts the fusion.

        Args:
            snapshot: the V voxels.
            scores: (n, K) logits, one row for each of ``rows``.
            rows: (n,) int64, the voxels that were predicted; the means of all others stay as they
                are. None: all V.

        Returns:
            (n, K) float32 log-probabilities on the device of ``scores``; NaN in the rows whose
                scores are not finite.
        """
        latest = log_probabilities(scores).contiguous()
        finite = finite_rows(latest)
        latest.masked_fill_(~finite[:, None], 0.0)
        elapsed = (snapshot.stamp - self._stamp) * 1e-9
        mean, weight = self._aged(snapshot, elapsed, latest)
        old_mean, old_weight = mean, weight
        if rows is not None:
            predicted = sent(torch.from_numpy(rows), latest.device)
            old_mean = mean.index_select(0, predicted)
            old_weight = weight.index_select(0, predicted)
        # A voxel without a prediction takes one even where no time has passed.
        new = finite.float() * ((old_weight == 0) | (elapsed > 0))
        total = old_weight + new
        share = new / total.clamp_min(torch.finfo(total.dtype).tiny)
        fused = old_mean + (latest - old_mean) * share[:, None]
        if rows is None:
            mean, weight = fused, total
        else:
            mean.index_copy_(0, predicted, fused)
            weight.index_copy_(0, predicted, total)
        self._keys, self._stamp = snapshot.keys, snapshot.stamp
        self._first_seen, self._refilled = snapshot.first_seen, False
        self._mean, self._weight = mean, weight
        return log_probabilities(fused).masked_fill_(~finite[:, None], math.nan)

    def state(self) -> dict[str, torch.Tensor]:
        """Return everything :meth:`restore` needs; empty before the first call."""
        if self._mean is None:
            return {}
        return {
            "keys": torch.from_numpy(self._keys.copy()),
            "first_seen": torch.from_numpy(self._first_seen.copy()),
            "mean": self._mean.cpu(),
            "weight": self._weight.cpu(),
            "stamp": torch.tensor(self._stamp),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from a :meth:`state`, also with a map that was filled again.

        Such a map knows how long a voxel has been in it only if that is since it was filled.
        """
        if state:
            self._keys = state["keys"].numpy().copy()
            # Those of earlier versions do not say it: the voxels may always have been there.
            always = torch.full_like(state["keys"], np.iinfo(np.int64).min)
            self._first_seen = state.get("first_seen", always).numpy().copy()
            self._refilled = True
            finite = finite_rows(state["mean"])  # those of earlier versions may not be
            self._mean = state["mean"].masked_fill(~finite[:, None], 0.0)
            self._weight = state["weight"].masked_fill(~finite, 0.0)
            self._stamp = int(state["stamp"])

    def _known_since(self, snapshot: MapSnapshot) -> np.ndarray:
        """Return when ``snapshot`` has first seen each voxel if it never left the map since."""
        if not self._refilled or not len(snapshot):
            return self._first_seen
        row, now = find_keys(self._keys, snapshot.keys), snapshot.first_seen
        filled_since = now.min()
        older = (row >= 0) & (self._first_seen[row] < filled_since) & (now <= self._stamp)
        since = self._first_seen.copy()
        since[row[older]] = now[older]
        return since

    def _aged(
        self, snapshot: MapSnapshot, elapsed: float, like: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean (V, K) and weight (V,) of the predictions so far, ``elapsed`` s later.

        Both are zero where there was none; on the device of ``like``, (n, K).
        """
        if self._mean is None or not len(self._keys) or elapsed < 0:
            return like.new_zeros(len(snapshot), like.shape[1]), like.new_zeros(len(snapshot))
        before = snapshot.rows_in(self._keys, self._known_since(snapshot))
        unknown = np.flatnonzero(before < 0)
        rows = sent(torch.from_numpy(np.maximum(before, 0)), like.device)
        mean = self._mean.to(like.device).index_select(0, rows)
        weight = self._weight.to(like.device).index_select(0, rows)
        weight *= math.exp(-elapsed / self._seconds)
        nothing = sent(torch.from_numpy(unknown), like.device)
        return mean.index_fill_(0, nothing, 0.0), weight.index_fill_(0, nothing, 0.0)


def log_probabilities(scores: torch.Tensor) -> torch.Tensor:
    """Return ``scores.float().log_softmax(dim=1)`` of (V, K) logits, stored class by class.

    Along rows of a dozen numbers PyTorch takes ten times as long on a CPU.
    """
    return scores.float().t().log_softmax(dim=0).t()


def normalised_entropy(log_probability: torch.Tensor) -> torch.Tensor:
    """Return the entropy of (V, K) log-probabilities as a share of the largest possible one.

    (V,) float32: 0 where one class is certain, 1 where all classes are equally likely.
    """
    classes = log_probability.shape[1]
    if classes == 1:
        return log_probability.new_zeros(len(log_probability))
    # exp underflows to zero before its logarithm becomes infinite.
    terms = log_probability.exp() * log_probability.clamp(min=-1e3)
    return (-terms.sum(dim=1) / math.log(classes)).clamp(0.0, 1.0)
