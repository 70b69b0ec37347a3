# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of fewer channels: the directions along which a model's features are strongest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from concerto_ros.files.atomic_write import replacing
from concerto_ros.files.error_text import in_words
from concerto_ros.files.safetensors_file import read_tensors, write_tensors
from concerto_ros.heads.finite_rows import finite_rows

_log = logging.getLogger(__name__)

#: Directions that are kept in a file; more are never asked for.
MOST_COMPONENTS = 256


@dataclass(frozen=True, eq=False)
class FeatureProjection:
    """An orthonormal basis of a part of a model's feature space, the strongest direction first.

    It is one matrix for each model, whatever cloud is looked at, so that components of two clouds,
    or of two runs, can be compared. The directions are those of largest second moment of unit
    features, without a mean taken off: angles between features are kept as well as K directions
    can.

    Attributes:
        axes: (C, K) float32, orthonormal columns; ``features @ axes`` are the components.
    """

    axes: torch.Tensor

    @classmethod
    def fit(cls, features: torch.Tensor) -> FeatureProjection:
        """Find the directions of features.

        Args:
            features: (N, C) of any float type; rows that are not finite are left out.

        Raises:
            ValueError: no row is finite and not zero.
        """
        rows = features[finite_rows(features)].double().cpu()
        rows = rows[rows.norm(dim=1) > 0]
        if not len(rows):
            raise ValueError("features: got no finite row other than zero, expected at least one")
        rows = torch.nn.functional.normalize(rows, dim=1)
        _, directions = torch.linalg.eigh(rows.T @ rows)
        axes = directions.flip(1)[:, :MOST_COMPONENTS]
        largest = axes.abs().argmax(dim=0, keepdim=True)
        return cls((axes * axes.gather(0, largest).sign()).float().contiguous())

    def first(self, components: int) -> FeatureProjection:
        """Return the strongest directions.

        Raises:
            ValueError: ``components`` is below 1 or above their number.
        """
        most = self.axes.shape[1]
        if not 1 <= components <= most:
            raise ValueError(f"components: got {components}, expected 1 to {most} for this model")
        return FeatureProjection(self.axes[:, :components].contiguous())

    @classmethod
    def stored(cls, path: Path | None, fit: Callable[[], FeatureProjection]) -> FeatureProjection:
        """Read the projection of a file, or fit it and write the file.

        Args:
            path: the file; None: it is not stored.
            fit: makes it where there is no such file, or a damaged one. Where the file cannot be
                written, which is logged, every run makes it anew.
        """
        if path is not None and path.is_file():
            try:
                return cls(read_tensors(path)[0]["axes"])
            except (KeyError, ValueError):
                pass  # written again below
        projection = fit()
        if path is not None:
            try:
                with replacing(path) as partial:
                    write_tensors(partial, {"axes": projection.axes}, {})
            except OSError as error:
                _log.warning("the projection of features is not kept: %s", in_words(error))
        return projection
