# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ridge regression in closed form, from sums over one pass through the data.

The features of a pyramid are summed level by level, at each level's own rows: the feature of a
coarse voxel is the same for all fine voxels below it, so that it enters once, multiplied by their
number. This is exact, and takes a tenth of the products over the joined, wide features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

#: Rows that are converted to float64 at once.
ROWS = 65_536


class RidgeSums:
    """Sums of features, targets and their products, in float64, and the solution from them.

    The solution is that of ``min |X w + b - Y|^2 + strength * s * |w|^2`` where ``s`` is the mean
    variance of the features times the number of rows, so that ``strength`` has no unit and does
    not depend on the amount of data. The bias is not penalised.

    Args:
        in_channels: Width of the features, all joined levels together.
        width: Width of the targets.
        device: Where the sums are; it needs float64.

    Attributes:
        count: Rows so far.
    """

    def __init__(self, in_channels: int, width: int, device: torch.device | str = "cpu"):
        self.count = 0
        self._feat = torch.zeros(in_channels, dtype=torch.float64, device=device)
        self._target = self._feat.new_zeros(width)
        self._feat_feat = self._feat.new_zeros(in_channels, in_channels)
        self._feat_target = self._feat.new_zeros(in_channels, width)

    def add(self, feat: torch.Tensor, target: torch.Tensor) -> None:
        """Add rows: features (V, in_channels) and targets (V, width).

        Raises:
            ValueError: A shape does not fit, or a value is not finite.
        """
        self.add_levels([feat], [], target, torch.arange(len(target), device=feat.device))

    def add_levels(
        self,
        feats: Sequence[torch.Tensor],
        clusters: Sequence[torch.Tensor],
        target: torch.Tensor,
        rows: torch.Tensor,
    ) -> None:
        """Add some voxels of a pyramid with all its levels joined.

        Args:
            feats: Per level (V_l, C_l), finest level first; their widths add up to
                ``in_channels``.
            clusters: Per level but the last (V_l,) int64, the row in the next level.
            target: (R, width).
            rows: (R,) int64, the voxel of the finest level of each target.

        Raises:
            ValueError: A shape does not fit, or a value is not finite; nothing was added.
        """
        self._check(feats, target, rows)
        device = self._feat.device
        wide = self._feat_target
        # Per level: targeted fine voxels below each row, and the sum of their targets. Those of
        # the finest level, with most rows, are never held: its rows go straight to the next.
        numbers = wide.new_zeros(len(feats[0]))
        totals = wide.new_zeros(len(feats[1]) if clusters else 0, wide.shape[1])
        for part, values in zip(rows.split(ROWS), target.split(ROWS), strict=True):
            part, values = part.to(device), values.to(wide)
            numbers.index_add_(0, part, wide.new_ones(len(part)))
            wide[: feats[0].shape[1]] += feats[0].to(device)[part].to(wide).T @ values
            self._target += values.sum(0)
            if clusters:
                totals.index_add_(0, clusters[0].to(device)[part], values)
        start = 0
        finer: list[tuple[int, torch.Tensor]] = []
        for level, feat in enumerate(feats):
            if level:
                below = clusters[level - 1].to(device)
                numbers = _summed(below, len(feat), numbers)
                if level > 1:
                    totals = _summed(below, len(feat), totals)
                # The finer levels' features, each row as often as it has targets.
                finer = [(at, _summed(below, len(feat), sums)) for at, sums in finer]
            end = start + feat.shape[1]
            values = feat.to(wide)
            weighted = values * numbers[:, None]
            self._feat[start:end] += weighted.sum(0)
            self._feat_feat[start:end, start:end] += weighted.T @ values
            if level:
                wide[start:end] += values.T @ totals
            for at, sums in finer:
                block = sums.T @ values
                self._feat_feat[at : at + len(block), start:end] += block
                self._feat_feat[start:end, at : at + len(block)] += block.T
            finer.append((start, weighted))
            start = end
        self.count += len(rows)

    def solve(self, strength: float = 1e-3) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weight (width, in_channels) and the bias (width,), float32 on the CPU.

        Args:
            strength: Penalty of the weights as a fraction of the mean variance of the features; 0
                or more.

        Raises:
            ValueError: There is no row, or ``strength`` is out of range, or it is 0 and features
                depend on each other.
        """
        if not 0 <= strength < math.inf:
            raise ValueError(f"strength is {strength!r}, expected a finite number of 0 or more")
        if not self.count:
            raise ValueError("there is no row to learn from, expected at least one with a target")
        mean, mean_target = self._feat / self.count, self._target / self.count
        covariance = self._feat_feat - torch.outer(self._feat, mean)
        products = self._feat_target - torch.outer(self._feat, mean_target)
        variance = covariance.diagonal()
        variance += strength * variance.mean()
        factor, fault = torch.linalg.cholesky_ex(covariance)
        if fault:
            raise ValueError(
                f"strength is {strength:g}: {len(mean)} features of {self.count} rows depend on"
                " each other, expected a larger strength"
            )
        weight = torch.cholesky_solve(products, factor).T
        bias = mean_target - weight @ mean
        return weight.float().cpu().contiguous(), bias.float().cpu()

    def state(self) -> dict[str, torch.Tensor | int]:
        """The sums, by name, to write them to a file; see :meth:`restore`."""
        return {name.strip("_"): value for name, value in vars(self).items()}

    def restore(self, state: dict[str, torch.Tensor | int]) -> None:
        """Continue from the sums of :meth:`state`.

        Raises:
            ValueError: They are of other widths.
        """
        for name, value in vars(self).items():
            if name == "count":
                continue
            saved = state.get(name.strip("_"))
            shape = tuple(saved.shape) if isinstance(saved, torch.Tensor) else saved
            if not isinstance(saved, torch.Tensor) or saved.shape != value.shape:
                raise ValueError(
                    f"sums of the ridge regression: {name.strip('_')} has shape {shape},"
                    f" expected {tuple(value.shape)}"
                )
            value.copy_(saved)
        self.count = int(state["count"])

    def _check(
        self, feats: Sequence[torch.Tensor], target: torch.Tensor, rows: torch.Tensor
    ) -> None:
        widths = sum(feat.shape[1] for feat in feats)
        if widths != len(self._feat):
            raise ValueError(f"feats: got {widths} channels, expected {len(self._feat)}")
        if target.ndim != 2 or target.shape != (len(rows), len(self._target)):
            raise ValueError(
                f"target: got shape {tuple(target.shape)}, expected"
                f" ({len(rows)}, {len(self._target)})"
            )
        for name, values in (("feats", feats), ("target", [target])):
            if not all(bool(torch.isfinite(value).all()) for value in values):
                raise ValueError(f"{name}: got values that are not finite, expected none")


def _summed(below: torch.Tensor, size: int, values: torch.Tensor) -> torch.Tensor:
    """Sum values by row of the next level, which has ``size``; ``below`` (V_l,) are the rows."""
    return values.new_zeros(size, *values.shape[1:]).index_add_(0, below, values)
