# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of a cloud along three axes, and image features brought back to its points.

As in I2P-MAE (Zhang et al., CVPR 2023). A view takes two of the coordinates as row and column of
a pixel and adds up the third of all points that paint it.
"""

from __future__ import annotations

import torch
from torch import nn

from concerto_ros.learning.images.image_models import DEVIATION, MEAN

#: Width and height of an image, pixels.
SIDE = 224

#: The coordinates that are row, column and depth in each view.
VIEWS = ((0, 1, 2), (2, 0, 1), (1, 2, 0))

#: Cells along the longer side of a cloud; the rest of an image is margin.
CELLS = 221

#: A point paints the pixels up to this far from its own, each way.
REACH = 2


def pixels_of(points: torch.Tensor, whole: torch.Tensor | None = None) -> torch.Tensor:
    """Find the pixel of each point in each view.

    The longer side of a cloud fills the image, the shorter is in its middle.

    Args:
        points: (B, N, 3).
        whole: (B, M, 3) the clouds that the images show; None for ``points`` themselves, which
            are otherwise a part of them.

    Returns:
        (V, B, N, 2) int64 rows and columns.
    """
    whole = points if whole is None else whole
    return torch.stack(
        [_pixels_in_view(points[..., view[:2]], whole[..., view[:2]]) for view in VIEWS]
    )


def _pixels_in_view(flat: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    flat, whole = flat.float(), whole.float()
    low, high = whole.amin(1, keepdim=True), whole.amax(1, keepdim=True)
    tiny = torch.finfo(torch.float32).tiny  # all points in one place: all in the first cell
    size = ((high - low).amax(-1, keepdim=True) / CELLS).clamp_min(tiny)
    cell = ((flat - low) / size).floor().long()
    last = ((high - low) / size).floor().long()
    # The middle of what the outermost points paint comes to the middle of the image.
    shift = (SIDE // 2 - 1) - (last + 1 + REACH + (1 - REACH)) // 2
    return cell + 1 + shift


def depth_images(points: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Paint the depth images of clouds (B, N, 3) as image models take them.

    Args:
        points: (B, N, 3).
        pixels: (V, B, N, 2) as :func:`pixels_of` returns them.

    Returns:
        (V, B, 3, SIDE, SIDE) float32; an empty pixel is the sigmoid of 0, normalised.
    """
    around = torch.arange(-REACH, REACH + 1, device=points.device)
    offsets = torch.cartesian_prod(around, around)
    # Never more than one pixel outside, which counts for the border.
    painted = (pixels.unsqueeze(3) + offsets).clamp(0, SIDE - 1)
    place = (painted[..., 0] * SIDE + painted[..., 1]).flatten(2)
    depth = torch.stack([points[..., view[2]] for view in VIEWS]).float()
    depth = depth.unsqueeze(3).expand(*painted.shape[:-1]).flatten(2)
    images = depth.new_zeros(*place.shape[:2], SIDE * SIDE).scatter_add(2, place, depth)
    grey = images.sigmoid().unflatten(2, (1, SIDE, SIDE))
    mean, deviation = (grey.new_tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    return (grey - mean) / deviation


def read_maps(maps: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Read feature maps at pixels of the images that they belong to, by bicubic interpolation.

    Args:
        maps: (..., C, h, w), for example h = w = 14.
        pixels: (..., P, 2) int64, the same leading sizes.

    Returns:
        (..., P, C).
    """
    weights = _taps(maps.shape[-2], maps)[pixels[..., 0]].unsqueeze(-1)
    weights = weights * _taps(maps.shape[-1], maps)[pixels[..., 1]].unsqueeze(-2)
    # What the network learns to predict stays as precise as it is.
    with torch.autocast(maps.device.type, enabled=False):
        return weights.flatten(-2) @ maps.flatten(-2).transpose(-1, -2)


def _taps(size: int, like: torch.Tensor) -> torch.Tensor:
    """Return (SIDE, size): how much each cell of a map counts for each pixel along an axis."""
    cells = torch.eye(size, dtype=like.dtype, device=like.device)[None, None]
    # Along the columns nothing changes its size, which makes their interpolation exact.
    return nn.functional.interpolate(cells, size=(SIDE, size), mode="bicubic")[0, 0]
