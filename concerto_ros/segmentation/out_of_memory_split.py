# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Splitting a cloud in halves until the device's memory is enough for each part."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory

#: A cloud of this many rows or fewer is not split.
MIN_ROWS = 1024

#: What a computation returns for a cloud: tensors by name, one row for each row of the cloud.
Values = dict[str, torch.Tensor]

_log = logging.getLogger(__name__)


class ChunkedInference:
    """Computes clouds whole, or in parts where the device runs out of memory.

    The size at which memory ran out is remembered and no later part is that large, so memory runs
    out once and not with every cloud. Where not even ``MIN_ROWS`` rows fit, something else
    occupies the memory; that size is not remembered, and the next cloud is tried as before.
    Features near a cut differ from those of the whole cloud, because a part does not see beyond
    it.

    Attributes:
        max_rows: rows of the largest part; None: clouds are computed whole.
    """

    def __init__(self) -> None:
        self.max_rows: int | None = None
        self._logged_max_rows: int | None = None

    def __call__(
        self, compute: Callable[[torch.Tensor | None], Values], coord: torch.Tensor
    ) -> Values:
        """Compute the values of a cloud.

        Args:
            compute: takes the (n,) int64 rows of a part, None for all rows, and returns their
                values.
            coord: (N, 3) positions of the cloud.

        Returns:
            The values of all rows, on the CPU where they were computed in parts.

        Raises:
            RuntimeError: the error of the device, of which :func:`is_out_of_memory` is true, where
                not even ``MIN_ROWS`` rows fit.
        """
        before = self.max_rows
        try:
            return self._whole_or_parts(compute, coord)
        except Exception as error:
            if is_out_of_memory(error):
                self.max_rows = before
            raise

    def _whole_or_parts(
        self, compute: Callable[[torch.Tensor | None], Values], coord: torch.Tensor
    ) -> Values:
        waiting: list[torch.Tensor | None] = [None]
        done: list[tuple[torch.Tensor, Values]] = []
        while waiting:
            rows = waiting.pop()
            size = len(coord) if rows is None else len(rows)
            if self.max_rows is None or size <= self.max_rows:
                values = self._attempt(compute, rows, size)
                if values is not None:
                    if rows is None:
                        return values
                    done.append((rows, {name: value.cpu() for name, value in values.items()}))
                    continue
            waiting += _halves(coord, rows)
        return _joined(done, len(coord))

    def _attempt(
        self,
        compute: Callable[[torch.Tensor | None], Values],
        rows: torch.Tensor | None,
        size: int,
    ) -> Values | None:
        """Return the values, or None where memory is not enough but may be for half the rows."""
        try:
            return compute(rows)
        except Exception as error:
            if size <= MIN_ROWS or not is_out_of_memory(error):
                raise
        # Only here has the exception released what the computation held.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.max_rows = max(MIN_ROWS, (size + 1) // 2)
        if self._logged_max_rows is not None and self._logged_max_rows <= self.max_rows:
            return None
        self._logged_max_rows = self.max_rows
        _log.warning(
            "the device ran out of memory at %d voxels; maps are now divided into chunks of at"
            " most %d, which reduces accuracy at the cuts; a smaller window or max_voxels, or"
            " larger voxels, avoid this",
            size,
            self.max_rows,
        )
        return None


def _halves(coord: torch.Tensor, rows: torch.Tensor | None) -> list[torch.Tensor]:
    """Return two halves of equal size, cut across the longest axis."""
    rows = torch.arange(len(coord)) if rows is None else rows
    position = coord.cpu().index_select(0, rows)
    low, high = torch.aminmax(position, dim=0)
    along = position[:, int((high - low).argmax())]
    order = torch.sort(along, stable=True).indices
    # Rows stay in their order: a part is then the cloud with the other rows left out.
    return [rows.index_select(0, half.sort().values) for half in order.tensor_split(2)]


def _joined(parts: list[tuple[torch.Tensor, Values]], size: int) -> Values:
    joined: Values = {}
    for rows, values in parts:
        for name, value in values.items():
            if name not in joined:
                joined[name] = value.new_empty(size, *value.shape[1:])
            joined[name].index_copy_(0, rows, value)
    return joined
