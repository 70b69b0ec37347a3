# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The floating-point half of a forward pass as a CUDA graph.

On a fast GPU a small cloud is computed in less time than the program needs to launch its thousand
kernels one by one. A graph launches all of them at once, but only for the shapes it was captured
with; clouds are therefore padded to a few sizes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from concerto_ros.ptv3.encoder import Encoder, Pyramid, PyramidLevel
from concerto_ros.ptv3.hierarchy import Hierarchy, Level
from concerto_ros.ptv3.neighbour_table import NeighbourTable
from concerto_ros.ptv3.padding import PaddedShape, pad_hierarchy, pad_rows

#: Graphs that are kept; the one that was not used for longest leaves first.
MOST_GRAPHS = 8

#: A cloud with more voxels keeps a GPU busy while the next kernels are launched.
MOST_VOXELS = 131_072

_log = logging.getLogger(__name__)


class GraphedFeatures:
    """:meth:`Encoder.forward_features` for inference, replayed from CUDA graphs where it can be.

    A padded shape is captured when it comes twice in a row. Until then, and where capturing
    fails, the same padded cloud is computed without a graph: what a cloud gives never depends on
    the clouds before it. Batches, large clouds, and everything that is not on CUDA are computed
    as they are.
    """

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self._graphs: dict[PaddedShape, _Graph] = {}  # the one used last is the last
        self._newest: PaddedShape | None = None
        self._works = True
        # One memory for all graphs: they run one after the other, and what they give is copied.
        self._pool = torch.cuda.graph_pool_handle() if torch.cuda.is_available() else None

    @torch.inference_mode()
    def __call__(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """The same as ``encoder.forward_features(feat, hierarchy)``, within rounding."""
        if not (feat.is_cuda and can_be_padded(hierarchy)) or len(feat) != len(
            hierarchy.levels[0]
        ):
            return self._encoder.forward_features(feat, hierarchy)
        shape = PaddedShape.above(hierarchy)
        again, self._newest = shape == self._newest, shape
        padded = pad_hierarchy(hierarchy, shape, self._encoder.config.stride)
        rows = pad_rows(feat, shape.rows[0])
        if shape not in self._graphs and again and self._works:
            self._capture(rows, padded, shape)
        if shape in self._graphs:
            self._graphs[shape] = graph = self._graphs.pop(shape)
            pyramid = graph(rows, padded)
        else:
            pyramid = self._directly(rows, padded)
        levels = zip(
            pyramid.levels, hierarchy.levels, strict=False
        )  # one where there is a decoder
        return Pyramid(
            # Copies: the next replay writes to the same memory.
            tuple(PyramidLevel(own.feat[: len(level)].clone(), level) for own, level in levels)
        )

    def _directly(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        try:
            return self._encoder.forward_features(feat, hierarchy)
        except torch.cuda.OutOfMemoryError:
            if not self._graphs:
                raise
        self._graphs.clear()  # their memory may be what is missing
        torch.cuda.empty_cache()
        return self._encoder.forward_features(feat, hierarchy)

    def _capture(self, feat: torch.Tensor, hierarchy: Hierarchy, shape: PaddedShape) -> None:
        while len(self._graphs) >= MOST_GRAPHS:
            del self._graphs[next(iter(self._graphs))]
        try:
            self._graphs[shape] = _Graph(self._encoder, feat, hierarchy, self._pool)
        except RuntimeError as error:
            self._works = False
            self._graphs.clear()
            _log.warning("CUDA graphs are not used: capturing one failed (%s)", error)


class _Graph:
    """The features of padded clouds of one shape; keeps the tensors it is made with."""

    def __init__(self, encoder: Encoder, feat: torch.Tensor, hierarchy: Hierarchy, pool):
        self._inputs = [feat, *_tensors(hierarchy)]
        self._pyramid: Pyramid | None = None

        def compute() -> None:
            self._pyramid = encoder.forward_features(feat, hierarchy)

        self._replay = capture(compute, feat.device, pool)

    def __call__(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """Features in memory that the next call writes to."""
        for own, given in zip(self._inputs, [feat, *_tensors(hierarchy)], strict=True):
            own.copy_(given)
        self._replay()
        return self._pyramid


def can_be_padded(hierarchy: Hierarchy) -> bool:
    """Whether a hierarchy is one cloud, not too large, with tables of neighbours."""
    finest = hierarchy.levels[0]
    table = isinstance(finest.neighbours, NeighbourTable)
    return table and len(finest.offset) == 1 and len(finest) <= MOST_VOXELS


def capture(compute: Callable[[], None], device: torch.device, pool) -> Callable[[], None]:
    """Run ``compute`` once, capture it with memory of ``pool``, and give what replays it."""
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            compute()  # compiles kernels and lets libraries set themselves up
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Another thread may use the device meanwhile.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            compute()
    return graph.replay


def _tensors(hierarchy: Hierarchy) -> list[torch.Tensor]:
    """Everything of a padded hierarchy that features are computed from, in a fixed order."""
    return [tensor for level in hierarchy.levels for tensor in _tensors_of_level(level)]


def _tensors_of_level(level: Level) -> list[torch.Tensor]:
    tensors = [level.coord, level.neighbours.order, level.neighbours.rows]
    for patches in level.patches.values():
        (group,) = patches.groups
        tensors += [patches.order, patches.restore]
        tensors += [part for part in (group.keys, group.mask) if isinstance(part, torch.Tensor)]
    if level.pooling is not None:
        tensors += [level.pooling.cluster, level.pooling.members]
    return tensors
