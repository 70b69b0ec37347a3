# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""3D-to-any virtual projection of Any2Point: where tokens lie in the space of the source model.

Nothing here is learned. Token centres are viewed from six sides and projected on the line of text
positions, or in perspective on the plane of image patches. There they get the position vectors of
the source, and there they fall into the cells within which they are aggregated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from concerto_ros.objects.encoders.any2point.variants import Source, Variant

#: Quarter turns about x, y and z of the six views; the turn about z comes first.
QUARTER_TURNS = ((0, 0, 1), (1, 0, 1), (2, 0, 1), (3, 0, 1), (0, -1, 1), (0, 1, 1))
VIEWS = len(QUARTER_TURNS)


@dataclass(frozen=True, eq=False)
class Cells:
    """A partition of the tokens of each cloud.

    Attributes:
        same: (B, T, T) bool, whether two tokens share a cell.
        first: (B, T) int64, the lowest token of each token's cell.
        count: How many cells there are in each cloud, empty ones included; None where only cells
            with tokens count.
    """

    same: torch.Tensor
    first: torch.Tensor
    count: int | None

    @classmethod
    def of(cls, cell: torch.Tensor, count: int | None = None) -> Cells:
        """Partition by cell numbers (B, T), or by rows of numbers (B, T, D)."""
        cell = cell.unsqueeze(-1) if cell.ndim == 2 else cell
        same = (cell.unsqueeze(1) == cell.unsqueeze(2)).all(-1)
        return cls(same, same.to(torch.uint8).argmax(-1), count)

    def mean(self, tokens: torch.Tensor) -> torch.Tensor:
        """Average tokens (B, T, C) over each token's cell, by a matmul with a fixed order."""
        share = self.same.to(tokens.dtype)
        return (share / share.sum(-1, keepdim=True)) @ tokens

    def maximum(self, tokens: torch.Tensor) -> torch.Tensor:
        """Take the maximum of each channel over each token's cell, (B, T, C)."""
        row = self.first.unsqueeze(-1).expand_as(tokens)
        top = tokens.scatter_reduce(1, row, tokens, "amax", include_self=False)
        return top.gather(1, row)

    def is_first(self) -> torch.Tensor:
        """Mark one token of each cell that has tokens, (B, T) bool."""
        return self.first == torch.arange(self.first.shape[1], device=self.first.device)


@dataclass(frozen=True, eq=False)
class Projected:
    """Tokens in the space of the source.

    Attributes:
        coordinates: Each (B, 6, T): along the line, or across and down the plane, in positions or
            pixels of the source.
        position: (B, T, C) position vectors, the mean over the views.
        source_cells: The partition by the cells of the source, one for each view.
        voxels: The partition by cells in 3D.
    """

    coordinates: tuple[torch.Tensor, ...]
    position: torch.Tensor
    source_cells: list[Cells]
    voxels: Cells


def project(
    centres: torch.Tensor, table: torch.Tensor, variant: Variant, per_object: bool
) -> Projected:
    """Project token centres into the space of the source model.

    Args:
        centres: (B, T, 3).
        table: (rows, C), the position table of the source.
        variant: Constants of the projection.
        per_object: Positions on a line are stretched cloud by cloud, as the published code does
            with a batch of one, instead of over the batch.
    """
    source = variant.source
    with torch.autocast(centres.device.type, enabled=False):  # places, not features
        views = torch.einsum("vij,btj->bvti", _view_matrices(centres), centres)
    coordinates: tuple[torch.Tensor, ...]
    if source.columns is None:
        assert variant.direction is not None, f"{variant.name} has no direction of its line"
        along = line_coordinates(views, variant.direction, source.size[0])
        coordinates = (along,)
        position = line_positions(along, table, per_object)
    else:
        across, down = plane_coordinates(views, variant.shift, source.size)
        coordinates = (across, down)
        position = plane_positions(across, down, table, source)
    columns, rows = (-(-size // variant.cell) for size in source.size)
    cell = torch.zeros_like(coordinates[0], dtype=torch.int64)
    for axis, step in zip(coordinates, (1, columns), strict=False):
        cell += torch.div(axis, variant.cell, rounding_mode="floor").long() * step
    voxel = (centres - centres.amin(1, keepdim=True)) / variant.voxel
    return Projected(
        coordinates=coordinates,
        position=position,
        source_cells=[Cells.of(view, columns * rows) for view in cell.unbind(1)],
        voxels=Cells.of(voxel.floor().long()),
    )


def line_coordinates(
    views: torch.Tensor, direction: tuple[int, int, int], length: int
) -> torch.Tensor:
    """Project the views (B, 6, T, 3) on a line: (B, 6, T) positions in [0, length).

    Both ends of a cloud come to lie on length - 0.5. Coincident tokens count as one end.
    """
    axis = nn.functional.normalize(views.new_tensor(direction), dim=0)
    with torch.autocast(views.device.type, enabled=False):
        along = views @ axis
    along = along - along.amin(2, keepdim=True)
    extent = along.amax(2, keepdim=True)
    along = along / torch.where(extent > 0, extent, 1.0)
    return torch.remainder(length * along - 0.5, length)


def line_positions(along: torch.Tensor, table: torch.Tensor, per_object: bool) -> torch.Tensor:
    """Interpolate position vectors (B, T, C) between the table's rows; the mean over the views.

    Coordinates are stretched once more, over all views and all clouds (over those of one cloud
    with ``per_object``). At a whole number both weights are zero, as in the published code.
    """
    last = len(table) - 1
    group = along.flatten(1) if per_object else along.reshape(1, -1)
    extent = (group.amax(1) - group.amin(1)).reshape(-1, 1, 1)
    row = along * (last / torch.where(extent > 0, extent, float(last)))
    below = row.floor().clamp_max(last)
    above = row.ceil().clamp_max(last)
    position = (above - row).unsqueeze(-1) * table[below.long()]
    position = position + (row - below).unsqueeze(-1) * table[above.long()]
    return position.mean(1)


def plane_coordinates(
    views: torch.Tensor, shift: float, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Project the views (B, 6, T, 3) in perspective: pixels across and down, each (B, 6, T).

    The camera is ``-shift`` behind the middle of the cloud. What leaves the image on one side
    enters it on the other. A point in the camera itself counts as a millionth in front of it.
    """
    width, height = size
    depth = views[..., 2] - shift
    depth = torch.where(depth.abs() < 1e-6, 1e-6, depth)
    x, y = views[..., 0] / depth, views[..., 1] / depth * (height / width)
    return (
        torch.remainder((x + 1) * width / 2 - 0.5, width),
        torch.remainder((y + 1) * height / 2 - 0.5, height),
    )


def plane_positions(
    across: torch.Tensor, down: torch.Tensor, table: torch.Tensor, source: Source
) -> torch.Tensor:
    """Sample position vectors (B, T, C) from the patches' table, bilinear; the mean over views.

    The published code reads the sampled array of C rows and T columns as if it had T rows and C
    columns, without transposing it; weights were trained with that, so it is kept.
    """
    width, height = source.size
    channels = table.shape[1]
    assert source.columns is not None, f"positions of {source.name} lie on a line, not in a plane"
    image = table[1:].T.reshape(1, channels, -1, source.columns)
    grid = torch.stack([2 * across / (width - 1) - 1, 2 * down / (height - 1) - 1], -1)
    batch, views, tokens = across.shape
    sampled = nn.functional.grid_sample(
        image, grid.reshape(1, batch * views, tokens, 2), align_corners=True
    )
    sampled = sampled[0].transpose(0, 1).reshape(batch, views, tokens, channels)
    return sampled.mean(1)


def _view_matrices(like: torch.Tensor) -> torch.Tensor:
    """Build (6, 3, 3) rotations; by quarter turns every entry is -1, 0 or 1."""
    sine, cosine = (0, 1, 0, -1), (1, 0, -1, 0)
    matrices = []
    for turns in QUARTER_TURNS:
        matrix = torch.eye(3)
        for axis, turn in enumerate(turns):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            rotation = torch.eye(3)
            rotation[first, first] = rotation[second, second] = cosine[turn % 4]
            rotation[second, first] = sine[turn % 4]
            rotation[first, second] = -sine[turn % 4]
            matrix = matrix @ rotation
        matrices.append(matrix)
    return torch.stack(matrices).to(like)
