# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label fusion over time, so that noise does not flip the class of a voxel."""

from __future__ import annotations

import math

import numpy as np
import torch

from concerto_ros.heads.finite_rows import finite_rows
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.members import Members
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
        self._members = Members.alone(np.zeros(0, np.int64), np.zeros(0, np.int64))
        #: Whether the map was filled again since: :meth:`restore`.
        self._refilled = False
        # By slot of the members.
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
        mean, weight = self._of(snapshot, elapsed, latest)
        slots = snapshot.members.slots
        slots = slots.copy() if rows is None else slots[rows]  # PyTorch takes what is writable
        predicted = sent(torch.from_numpy(slots), latest.device)
        ageing = math.exp(-max(elapsed, 0.0) / self._seconds)
        old_mean = mean.index_select(0, predicted)
        old_weight = weight.index_select(0, predicted) * ageing
        # A voxel without a prediction takes one even where no time has passed.
        new = finite.float() * ((old_weight == 0) | (elapsed > 0))
        total = old_weight + new
        share = new / total.clamp_min(torch.finfo(total.dtype).tiny)
        fused = old_mean + (latest - old_mean) * share[:, None]
        labelled = log_probabilities(fused).masked_fill_(~finite[:, None], math.nan)
        # Last, so that a call that fails changes nothing.
        weight *= ageing
        mean.index_copy_(0, predicted, fused)
        weight.index_copy_(0, predicted, total)
        self._stamp = snapshot.stamp
        return labelled

    def state(self) -> dict[str, torch.Tensor]:
        """Return everything :meth:`restore` needs; empty before the first call."""
        if self._mean is None:
            return {}
        members = self._members
        slots = torch.from_numpy(members.slots.copy()).to(self._mean.device)
        return {
            "keys": torch.from_numpy(members.keys.copy()),
            "first_seen": torch.from_numpy(members.first_seen.copy()),
            "mean": self._mean.index_select(0, slots).cpu(),
            "weight": self._weight.index_select(0, slots).cpu(),
            "stamp": torch.tensor(self._stamp),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from a :meth:`state`, also with a map that was filled again.

        Such a map knows how long a voxel has been in it only if that is since it was filled.
        """
        if state:
            keys = state["keys"].numpy().copy()
            # Those of earlier versions do not say it: the voxels may always have been there.
            always = torch.full_like(state["keys"], np.iinfo(np.int64).min)
            first_seen = state.get("first_seen", always).numpy().copy()
            self._members, self._refilled = Members.alone(keys, first_seen), True
            finite = finite_rows(state["mean"])  # those of earlier versions may not be
            self._mean = state["mean"].masked_fill(~finite[:, None], 0.0)
            self._weight = state["weight"].masked_fill(~finite, 0.0)
            self._stamp = int(state["stamp"])

    def _known_since(self, snapshot: MapSnapshot) -> np.ndarray:
        """Return when ``snapshot`` has first seen each voxel if it never left the map since."""
        first_seen = self._members.first_seen
        if not self._refilled or not len(snapshot):
            return first_seen
        row, now = find_keys(self._members.keys, snapshot.keys), snapshot.first_seen
        filled_since = now.min()
        older = (row >= 0) & (first_seen[row] < filled_since) & (now <= self._stamp)
        since = first_seen.copy()
        since[row[older]] = now[older]
        return since

    def _of(
        self, snapshot: MapSnapshot, elapsed: float, like: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean (S, K) and weight (S,) of the predictions before, by slot of ``snapshot``.

        Both are zero where there was none; on the device of ``like``, (n, K). They are kept: what
        is written to them stays.
        """
        members, before = snapshot.members, self._members
        known, weight = self._mean, self._weight.to(like.device)
        changes = members.since(before)
        if known is None or not len(before) or elapsed < 0:
            mean, weight = _grown(like[:0], members.room), _grown(like[:0, 0], members.room)
        else:
            mean = known.to(like.device)
            if changes is None:  # snapshots that have no map in common
                row = snapshot.rows_in(before.keys, self._known_since(snapshot))
                found = np.flatnonzero(row >= 0)
                former = sent(torch.from_numpy(before.slots[row[found]]), like.device)
                slots = sent(torch.from_numpy(members.slots[found]), like.device)
                mean, weight = (
                    _grown(value[:0], members.room).index_copy_(
                        0, slots, value.index_select(0, former)
                    )
                    for value in (mean, weight)
                )
            else:
                entered = sent(torch.from_numpy(members.slots[changes.entered]), like.device)
                mean, weight = (
                    _grown(value, members.room).index_fill_(0, entered, 0.0)
                    for value in (mean, weight)
                )
        self._members, self._refilled = members, False
        self._mean, self._weight = mean, weight
        return mean, weight


def _grown(values: torch.Tensor, room: int) -> torch.Tensor:
    """Return (S, ...) values with zeros behind them if there are fewer than ``room``."""
    if len(values) >= room:
        return values
    larger = values.new_zeros(room + room // 4, *values.shape[1:])
    larger[: len(values)] = values
    return larger


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
