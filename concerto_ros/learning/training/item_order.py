# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The order in which a training sees its items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ShuffledItems:
    """Batches of items: every item once per epoch, in another order each time.

    Attributes:
        data: The items.
        batch_size: Items in a batch; one may hold the end of an epoch and the start of the next.
        seed: Determines the orders.
    """

    data: Sequence[Any]
    batch_size: int
    seed: int

    def batch(self, number: int) -> list[Any]:
        """The items of batch ``number``; any batch can be asked for at any time."""
        items: list[Any] = []
        orders: dict[int, np.ndarray] = {}
        for position in range(number * self.batch_size, (number + 1) * self.batch_size):
            epoch, index = divmod(position, len(self.data))
            if epoch not in orders:
                shuffler = np.random.default_rng((self.seed, 0, epoch))
                orders[epoch] = shuffler.permutation(len(self.data))
            items.append(self.data[int(orders[epoch][index])])
        return items
