# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features as colours by a principal component analysis that does not flicker."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from concerto_ros.heads.finite_rows import finite_rows
from concerto_ros.ptv3.encoder import Pyramid
from concerto_ros.ptv3.kernels.host_copies import fetched

#: The colours show features of this many joined levels, as in the Sonata and Concerto papers.
CONCAT_LEVELS = 2
#: How far mean, axes and ranges move towards those of the newest features at each call.
_FOLLOW = 0.1
#: How far the colour of a voxel moves towards that of its newest features at each call.
_FOLLOW_VOXEL = 0.2
#: Tracked directions: some more than are shown, because orthogonal iteration converges with the
#: ratio of the last one's variance to that of the first one that is not tracked.
_TRACKED = 8
_FIRST_ITERATIONS = 12
_BASIS_ROWS = 4096
_RANGE_ROWS = 32768
#: Tensors that are kept from call to call.
_KEPT = ("tracked", "axes", "mean", "range")
#: Share of the points beyond either end of the colour range.
_CLIPPED = 0.01


class CoarseFeatures:
    """Coarse features of a cloud or its parts, stored once for all voxels that share them."""

    def __init__(self) -> None:
        self._parts: list[torch.Tensor] = []

    def of(self, pyramid: Pyramid) -> torch.Tensor:
        """Add the features of a cloud or part.

        Returns:
            (N,) int64, the row of :meth:`joined` for each of its voxels.
        """
        feat, row = pyramid.shared(CONCAT_LEVELS)
        if row is None:
            row = torch.arange(len(feat), device=feat.device)
        start = sum(len(part) for part in self._parts)
        self._parts.append(feat)
        return row + start

    def joined(self) -> torch.Tensor:
        """Return all features, (M, C); those of several parts are on the CPU, as their rows."""
        if len(self._parts) == 1:
            return self._parts[0]
        return torch.cat([part.cpu() for part in self._parts])


class PcaColors:
    """Red, green and blue from the three leading principal components of point features.

    A PCA computed from scratch for each cloud flips signs, swaps axes of similar variance and
    stretches with every outlier. Here the subspace is tracked from call to call by orthogonal
    iteration (Golub and Van Loan, Matrix Computations, 8.2.4); the axes shown follow it slowly and
    turn no more than it does (orthogonal Procrustes), and so do mean and range; after a change of
    scene they have adapted by two thirds in ten calls. The flicker that remains is that of the
    encoder: patches of points change their borders whenever a voxel comes or goes. Where voxels
    have keys, the colour of each is therefore smoothed over some calls as well.

    What is kept from call to call is on the CPU, and so is the algebra of its small matrices: a
    GPU would take milliseconds for each decomposition. Products with the features are computed
    where these are.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget axes, mean, range and voxel colours; the next features set them."""
        # Empty before the first features.
        self._tracked = torch.zeros(0)  # (C, K) orthonormal
        self._axes = torch.zeros(0)  # (C, 3) orthonormal
        self._mean = torch.zeros(0)  # (C,)
        self._range = torch.zeros(0)  # (2, 3) low and high ends
        self._voxels = np.zeros(0, dtype=np.int64)  # sorted, those of the last call
        self._shade = np.zeros((0, 3), dtype=np.float32)  # their colours in [0, 1]

    def state(self) -> dict[str, torch.Tensor]:
        """Return what is kept from call to call, for :meth:`restore`; empty before the first."""
        if not len(self._axes):
            return {}
        kept = {name: getattr(self, f"_{name}").cpu().clone() for name in _KEPT}
        voxels, shade = self._voxels.copy(), self._shade.copy()
        return kept | {"voxels": torch.from_numpy(voxels), "shade": torch.from_numpy(shade)}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from a :meth:`state`."""
        self.reset()
        if state:
            for name in _KEPT:
                setattr(self, f"_{name}", state[name].clone())
            self._voxels = state["voxels"].numpy().copy()
            self._shade = state["shade"].numpy().copy()

    @torch.no_grad()
    def colors(
        self,
        feat: torch.Tensor,
        voxels: np.ndarray | None = None,
        rows: torch.Tensor | None = None,
        part: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return (N, 3) uint8 RGB colours.

        Points with a feature that is not finite, and axes along which the features do not vary,
        are mid grey; the former change nothing of what is kept from call to call. Features of
        another width C restart the tracking.

        Args:
            feat: (N, C) features of any float type on any device; (M, C) with ``rows``.
            voxels: (N,) or (V,) int64 ascending keys that name the same voxel at every call
                (``MapSnapshot.keys``); None: points have no relation to those of earlier calls.
            rows: (N,) int64, the row of ``feat`` that each point has; None: each has its own.
            part: (N,) int64, the row of ``voxels`` (V,) that each point is, where the points are
                a part of the map. The colours of its other voxels are kept, and mean, axes and
                ranges move by the share of the part, so that every part counts. None: the points
                are all voxels.

        Raises:
            ValueError: ``feat`` does not have the shape (N, C) with C >= 1.
        """
        if not feat.ndim == 2 or not feat.shape[1]:
            raise ValueError(f"feat has shape {tuple(feat.shape)}, expected (N, C) with C >= 1")
        if feat.shape[1] < 3:
            feat = torch.nn.functional.pad(feat, (0, 3 - feat.shape[1]))
        if len(self._axes) not in (0, feat.shape[1]):
            self.reset()
        sample = _Sample.of(feat, rows)
        if not len(sample.rows):
            size = len(feat if rows is None else rows)
            return np.full((size, 3), 128, dtype=np.uint8)
        share = 1.0 if part is None or voxels is None else len(part) / len(voxels)
        if not len(self._axes):
            self._start(sample)
        else:
            self._follow(sample, _FOLLOW * share)
        device = feat.device
        axes, centre = self._axes.to(device), (self._mean @ self._axes).to(device)
        position = _project(feat.float(), axes) - centre
        if rows is not None:
            position = position.index_select(0, rows)
        finite = finite_rows(position)
        (known,) = fetched(finite)
        if not known.any():
            return np.full((len(position), 3), 128, dtype=np.uint8)
        in_range = position if known.all() else position[finite]
        self._follow_range(in_range, _FOLLOW * share)
        low, high = self._range
        span = high - low
        # Compared with the widest axis, or the size of the features, this is rounding noise.
        flat = span <= 1e-5 * torch.maximum(span.max(), self._mean.abs().max())
        divisor = torch.where(flat, 1.0, span).to(device)
        scaled = torch.where(flat.to(device), 0.5, (position - low.to(device)) / divisor)
        (shade,) = fetched(scaled.nan_to_num(0.5, 0.5, 0.5).clamp(0, 1))
        if flat.all():
            self.reset()  # nothing to track yet
        elif voxels is not None:
            self._follow_voxels(shade, known, voxels, part)
        return np.rint(shade * 255).astype(np.uint8)

    def _start(self, sample: _Sample) -> None:
        channels = sample.rows.shape[1]
        self._mean = sample.mean.cpu()
        generator = torch.Generator().manual_seed(0)
        begin = torch.randn(channels, min(_TRACKED, channels), generator=generator)
        self._tracked = torch.linalg.qr(begin).Q
        for _ in range(_FIRST_ITERATIONS):
            leading = self._track(sample)
        largest = leading.abs().argmax(dim=0, keepdim=True)
        self._axes = leading * leading.gather(0, largest).sign()

    def _follow(self, sample: _Sample, follow: float) -> None:
        leading = self._track(sample)
        self._mean = torch.lerp(self._mean, sample.mean.cpu(), follow)
        # Of all bases of the leading subspace the one nearest to the axes shown so far.
        left, _, right = torch.linalg.svd(leading.T @ self._axes)
        nearest = leading @ (left @ right)
        left, _, right = torch.linalg.svd(
            torch.lerp(self._axes, nearest, follow), full_matrices=False
        )
        self._axes = left @ right

    def _track(self, sample: _Sample) -> torch.Tensor:
        """Do one step of orthogonal iteration; returns the leading directions (C, 3)."""
        centred = sample.centred
        device = centred.device
        product = centred.T @ _project(centred, self._tracked.to(device))
        self._tracked = torch.linalg.qr(product.cpu()).Q
        within = _project(centred, self._tracked.to(device))
        _, turn = torch.linalg.eigh((within.T @ within).cpu())
        return self._tracked @ turn.flip(1)[:, :3]

    def _follow_range(self, position: torch.Tensor, follow: float) -> None:
        known = _every(position, _RANGE_ROWS).T.contiguous()
        outer, size = int(_CLIPPED * known.shape[1]), known.shape[1]
        ends = torch.stack([known.kthvalue(k, dim=1).values for k in (outer + 1, size - outer)])
        ends = ends.cpu()
        self._range = ends if not len(self._range) else torch.lerp(self._range, ends, follow)

    def _follow_voxels(
        self, shade: np.ndarray, finite: np.ndarray, voxels: np.ndarray, part: np.ndarray | None
    ) -> None:
        """Smooth the colours ``shade`` (N, 3) of points in place where they are ``finite`` (N,).

        Those of the voxels that are not among the points are kept.
        """
        kept = np.zeros((len(voxels), 3), dtype=np.float32)
        known = np.zeros(len(voxels), dtype=bool)
        if len(self._voxels):
            row = np.searchsorted(self._voxels, voxels).clip(max=len(self._voxels) - 1)
            known = self._voxels[row] == voxels
            kept[known] = self._shade[row[known]]
        rows = np.arange(len(voxels)) if part is None else part
        if part is None:
            known &= finite
        blended = np.flatnonzero(finite & known[rows])
        before = kept[rows[blended]]
        shade[blended] = before + _FOLLOW_VOXEL * (shade[blended] - before)
        kept[rows[finite]] = shade[finite]
        known[rows[finite]] = True
        self._voxels, self._shade = voxels[known], kept[known]


@dataclass(frozen=True, eq=False)
class _Sample:
    """Representative features: (n, C) float32 ``rows`` and their (n,) float32 ``weight``."""

    rows: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, feat: torch.Tensor, rows: torch.Tensor | None) -> _Sample:
        """Take every feature with the number of points that have it, or evenly spaced rows."""
        if rows is not None and len(feat) <= _BASIS_ROWS:
            # Not bincount, for whose result the program waits: it may be longer. Sums of whole
            # numbers are the same in any order.
            count = rows.new_zeros(len(feat))
            weight = count.scatter_add_(0, rows, torch.ones_like(rows)).float()
        else:
            feat = _every(feat, _BASIS_ROWS) if rows is None else feat[_every(rows, _BASIS_ROWS)]
            weight = torch.ones(len(feat), device=feat.device)
        feat = feat.float()
        finite = finite_rows(feat)
        kept = finite & (weight > 0)
        return cls(feat, weight) if kept.all() else cls(feat[kept], weight[kept])

    @cached_property
    def mean(self) -> torch.Tensor:
        """The weighted mean, (C,)."""
        return (self.weight / self.weight.sum()) @ self.rows

    @cached_property
    def centred(self) -> torch.Tensor:
        """Rows minus the mean, times the root of their weight, at most about one, (n, C)."""
        centred = (self.rows - self.mean) * self.weight.sqrt()[:, None]
        return centred / centred.abs().max().clamp_min(1e-30)  # squares would overflow


def _project(rows: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """Compute ``rows @ axes`` for few axes; stored as rows, these take a third of the time."""
    return torch.nn.functional.linear(rows, axes.T.contiguous())


def _every(rows: torch.Tensor, limit: int) -> torch.Tensor:
    """Return at most ``limit`` rows, evenly spaced."""
    return rows[:: max(1, math.ceil(len(rows) / limit))]
