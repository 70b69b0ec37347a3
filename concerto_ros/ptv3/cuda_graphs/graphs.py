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

from concerto_ros.ptv3.cuda_graphs.padding import (
    PaddedPooling,
    PaddedShape,
    neighbour_table_of,
    pad_hierarchy,
    pad_rows,
)
from concerto_ros.ptv3.encoder import Encoder, Pyramid, PyramidLevel
from concerto_ros.ptv3.hierarchy import Hierarchy, Level
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory

#: Graphs that are kept; before one more is captured, all of them are released.
MAX_GRAPHS = 8

#: A cloud with more voxels keeps a GPU busy while the next kernels are launched.
MAX_VOXELS = 131_072

_log = logging.getLogger(__name__)


class GraphedFeatures:
    """:meth:`Encoder.forward_features` for inference, replayed from CUDA graphs where possible.

    A padded shape is captured when it occurs twice in a row. Until then, and where capturing
    fails, the same padded cloud is computed without a graph: the result for a cloud never depends
    on the clouds before it. Batches, large clouds, and everything that is not on CUDA are computed
    unpadded. Where memory runs out, :meth:`release` the graphs and call again.
    """

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self._graphs: dict[PaddedShape, _Graph] = {}
        self._recorder: GraphRecorder | None = None
        self._newest: PaddedShape | None = None
        self._works = True
        # Memory was not enough to capture these, even without any other graph.
        self._too_large: set[PaddedShape] = set()

    @torch.inference_mode()
    def __call__(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """Compute ``encoder.forward_features(feat, hierarchy)``, equal within rounding."""
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
        # With a decoder the pyramid has one level, the finest.
        levels = zip(pyramid.levels, hierarchy.levels, strict=False)
        return Pyramid(
            # Copies: the next replay writes to the same memory.
            tuple(
                PyramidLevel(padded_level.feat[: len(level)].clone(), level)
                for padded_level, level in levels
            )
        )

    def release(self) -> bool:
        """Release all graphs and their memory; returns whether there were any."""
        if not self._graphs:
            return False
        if self._recorder is not None:
            self._recorder.retire(self._graphs)
        return True

    def _capture(self, feat: torch.Tensor, hierarchy: Hierarchy, shape: PaddedShape) -> None:
        recorder = self._recorder or GraphRecorder(feat.device)
        self._recorder = recorder
        if len(self._graphs) >= MAX_GRAPHS:
            self.release()
        try:
            self._graphs[shape] = _Graph(self._encoder, feat, hierarchy, recorder)
            return
        except RuntimeError as error:
            if not _began_with_memory(error):
                self._works = False
                _log.warning("CUDA graphs are not used: capturing one failed (%s)", error)
            elif not self._graphs:
                self._too_large.add(shape)
        # Only here has the exception released what the capture held.
        recorder.retire(self._graphs)


class _Graph:
    """The features of padded clouds of one shape; holds the tensors it was captured with."""

    def __init__(
        self, encoder: Encoder, feat: torch.Tensor, hierarchy: Hierarchy, recorder: GraphRecorder
    ):
        self._inputs = [feat, *_tensors(hierarchy)]
        self._pyramid = Pyramid(())

        def compute() -> None:
            self._pyramid = encoder.forward_features(feat, hierarchy)

        self._replay = recorder.record(compute)

    def __call__(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """Return features in memory that the next call overwrites."""
        for captured, value in zip(self._inputs, [feat, *_tensors(hierarchy)], strict=True):
            captured.copy_(value)
        self._replay()
        return self._pyramid


class GraphRecorder:
    """Records computations on a device as CUDA graphs that are destroyed together.

    PyTorch keeps a workspace of cuBLAS for each stream. When a graph is destroyed, it frees those
    of the stream that the graph was captured on, though the other graphs captured there still
    write to them (PyTorch issue 193402). So no other graphs are captured on this stream, and none
    is destroyed alone.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._warming, self._capturing = torch.cuda.Stream(device), torch.cuda.Stream(device)
        # One memory for all graphs: they run one after the other, and their results are copied.
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, compute: Callable[[], None]) -> Callable[[], None]:
        """Run ``compute`` once, capture it, and return a function that replays it.

        Raises:
            RuntimeError: it cannot be captured; :meth:`retire` all graphs then.
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

    def retire(self, graphs: dict[PaddedShape, _Graph]) -> None:
        """Destroy ``graphs``, all that were recorded so far, and free their memory."""
        torch.cuda.synchronize(self._device)  # one may be running
        graphs.clear()
        torch.cuda.empty_cache()
        self._pool = torch.cuda.graph_pool_handle()


def can_be_padded(hierarchy: Hierarchy) -> bool:
    """Return whether a hierarchy is one cloud, not too large, with tables of neighbours."""
    finest = hierarchy.levels[0]
    table = isinstance(finest.neighbours, NeighbourTable)
    return table and len(finest.offset) == 1 and len(finest) <= MAX_VOXELS


def _began_with_memory(error: BaseException | None) -> bool:
    """Return whether memory ran out; ending the capture may then have raised another error."""
    while error is not None and not is_out_of_memory(error):
        error = error.__context__
    return error is not None


def _tensors(hierarchy: Hierarchy) -> list[torch.Tensor]:
    """Return all tensors of a padded hierarchy that features depend on, in a fixed order."""
    return [tensor for level in hierarchy.levels for tensor in _tensors_of_level(level)]


def _tensors_of_level(level: Level) -> list[torch.Tensor]:
    table = neighbour_table_of(level)
    tensors = [level.coord, table.order, table.rows]
    for patches in level.patches.values():
        (group,) = patches.groups
        tensors += [patches.order, patches.restore]
        tensors += [part for part in (group.keys, group.mask) if isinstance(part, torch.Tensor)]
    if isinstance(level.pooling, PaddedPooling):
        tensors += [level.pooling.cluster, level.pooling.members]
    return tensors
