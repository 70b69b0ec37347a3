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

from concerto_ros.ptv3.cuda_graphs.padding import PaddedShape, pad_hierarchy, pad_rows
from concerto_ros.ptv3.encoder import Encoder, Pyramid, PyramidLevel
from concerto_ros.ptv3.hierarchy import Hierarchy, Level
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory

#: Graphs that are kept; before one more is captured, all of them are given up.
MAX_GRAPHS = 8

#: A cloud with more voxels keeps a GPU busy while the next kernels are launched.
MAX_VOXELS = 131_072

_log = logging.getLogger(__name__)


class GraphedFeatures:
    """:meth:`Encoder.forward_features` for inference, replayed from CUDA graphs where it can be.

    A padded shape is captured when it comes twice in a row. Until then, and where capturing
    fails, the same padded cloud is computed without a graph: what a cloud gives never depends on
    the clouds before it. Batches, large clouds, and everything that is not on CUDA are computed
    as they are. Where memory runs out, :meth:`release` what the graphs hold and call again.
    """

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self._graphs: dict[PaddedShape, _Graph] = {}
        self._recorder: GraphRecorder | None = None
        self._newest: PaddedShape | None = None
        self._works = True
        # Memory was not enough to capture these, though no other graph held any.
        self._too_large: set[PaddedShape] = set()

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
        if again and self._works and shape not in self._graphs.keys() | self._too_large:
            self._capture(rows, padded, shape)
        compute = self._graphs.get(shape, self._encoder.forward_features)
        pyramid = compute(rows, padded)
        levels = zip(
            pyramid.levels, hierarchy.levels, strict=False
        )  # one where there is a decoder
        return Pyramid(
            # Copies: the next replay writes to the same memory.
            tuple(PyramidLevel(own.feat[: len(level)].clone(), level) for own, level in levels)
        )

    def release(self) -> bool:
        """Give up all graphs and their memory; whether there were any."""
        if not self._graphs:
            return False
        self._recorder.retire(self._graphs)
        return True

    def _capture(self, feat: torch.Tensor, hierarchy: Hierarchy, shape: PaddedShape) -> None:
        if self._recorder is None:
            self._recorder = GraphRecorder(feat.device)
        if len(self._graphs) >= MAX_GRAPHS:
            self.release()
        try:
            self._graphs[shape] = _Graph(self._encoder, feat, hierarchy, self._recorder)
            return
        except RuntimeError as error:
            if not _began_with_memory(error):
                self._works = False
                _log.warning("CUDA graphs are not used: capturing one failed (%s)", error)
            elif not self._graphs:
                self._too_large.add(shape)
        # Only here has the exception let go of what the capture held.
        self._recorder.retire(self._graphs)


class _Graph:
    """The features of padded clouds of one shape; keeps the tensors it is made with."""

    def __init__(
        self, encoder: Encoder, feat: torch.Tensor, hierarchy: Hierarchy, recorder: GraphRecorder
    ):
        self._inputs = [feat, *_tensors(hierarchy)]
        self._pyramid: Pyramid | None = None

        def compute() -> None:
            self._pyramid = encoder.forward_features(feat, hierarchy)

        self._replay = recorder.record(compute)

    def __call__(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """Features in memory that the next call writes to."""
        for own, given in zip(self._inputs, [feat, *_tensors(hierarchy)], strict=True):
            own.copy_(given)
        self._replay()
        return self._pyramid


class GraphRecorder:
    """Records computations on a device as CUDA graphs, which live and end together.

    PyTorch keeps a workspace of cuBLAS for each stream. When a graph ends, it frees those of the
    stream that the graph was captured on, though the other graphs from there still write to them
    (PyTorch issue 193402). So no other graphs are captured on this stream, and none ends alone.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._warming, self._capturing = torch.cuda.Stream(device), torch.cuda.Stream(device)
        # One memory for all graphs: they run one after the other, and what they give is copied.
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, compute: Callable[[], None]) -> Callable[[], None]:
        """Run ``compute`` once, capture it, and give what replays it.

        Raises RuntimeError where that cannot be done; :meth:`retire` all graphs then.
        """
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            graph = torch.cuda.CUDAGraph()
            try:
                self._warming.wait_stream(current)
                with torch.cuda.stream(self._warming):
                    compute()  # compiles kernels and lets libraries set themselves up
                current.wait_stream(self._warming)
                # Another thread may use the device meanwhile.
                with torch.cuda.graph(
                    graph,
                    pool=self._pool,
                    stream=self._capturing,
                    capture_error_mode="thread_local",
                ):
                    compute()
            finally:
                # A capture that cannot be ended leaves its own stream behind as the current one.
                torch.cuda.set_stream(current)
        return graph.replay

    def retire(self, graphs: dict) -> None:
        """End ``graphs``, all that were recorded so far, and hand their memory back."""
        torch.cuda.synchronize(self._device)  # one may be running
        graphs.clear()
        torch.cuda.empty_cache()
        self._pool = torch.cuda.graph_pool_handle()


def can_be_padded(hierarchy: Hierarchy) -> bool:
    """Whether a hierarchy is one cloud, not too large, with tables of neighbours."""
    finest = hierarchy.levels[0]
    table = isinstance(finest.neighbours, NeighbourTable)
    return table and len(finest.offset) == 1 and len(finest) <= MAX_VOXELS


def _began_with_memory(error: BaseException | None) -> bool:
    """Whether memory ran out; ending the capture may then have raised an error of its own."""
    while error is not None and not is_out_of_memory(error):
        error = error.__context__
    return error is not None


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
