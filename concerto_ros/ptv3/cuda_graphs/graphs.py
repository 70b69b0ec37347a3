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
from typing import NamedTuple

import torch

from concerto_ros.ptv3.cuda_graphs.padding import (
    PaddedShape,
    neighbour_table_of,
    pad_hierarchy,
)
from concerto_ros.ptv3.encoder import Encoder, Pyramid, PyramidLevel
from concerto_ros.ptv3.hierarchy import Hierarchy, Level
from concerto_ros.ptv3.kernels.level_padding import pad_rows
from concerto_ros.ptv3.kernels.neighbour_table import NeighbourTable
from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory
from concerto_ros.ptv3.kernels.pooling import PaddedPooling

#: Graphs that are kept; before one more is captured, the least recently used one is destroyed.
MAX_GRAPHS = 12

#: A larger cloud is computed as it is: it keeps a GPU busy while the next kernels are launched. It
#: is above what ``max_voxels`` lets into a map by default.
MAX_VOXELS = 262_144

#: The shapes that came last, among which one that comes again is worth a graph.
_RECENT = 64

_log = logging.getLogger(__name__)


class _Wanted(NamedTuple):
    """The padded input of a cloud whose shape is worth a graph."""

    feat: torch.Tensor
    hierarchy: Hierarchy
    shape: PaddedShape


class GraphedFeatures:
    """:meth:`Encoder.forward_features` for inference, replayed from CUDA graphs where possible.

    A padded shape that comes again is worth a graph, which :meth:`capture` records between two
    clouds: that takes as long as several of them. Until then, and where capturing fails, the same
    padded cloud is computed without a graph: the result for a cloud never depends on the clouds
    before it. Batches, large clouds, and everything that is not on CUDA are computed unpadded.
    Where memory runs out, :meth:`release` the graphs and call again.
    """

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        # Both: the least recently used first.
        self._graphs: dict[PaddedShape, _Graph] = {}
        self._recent: dict[PaddedShape, None] = {}
        self._wanted: _Wanted | None = None
        self._recorder: GraphRecorder | None = None
        self._works = True
        # Memory was not enough to capture these, even without any other graph.
        self._too_large: set[PaddedShape] = set()

    @property
    def graphs(self) -> int:
        """Number of graphs that are kept."""
        return len(self._graphs)

    @property
    def works(self) -> bool:
        """Whether graphs are used at all; False after a capture failed for good."""
        return self._works

    @torch.inference_mode()
    def __call__(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """Compute ``encoder.forward_features(feat, hierarchy)``, equal within rounding."""
        if not (feat.is_cuda and can_be_padded(hierarchy)) or len(feat) != len(
            hierarchy.levels[0]
        ):
            return self._encoder.forward_features(feat, hierarchy)
        shape = PaddedShape.above(hierarchy)
        padded = pad_hierarchy(hierarchy, shape, self._encoder.config.stride)
        rows = pad_rows(feat, shape.rows[0])
        graph = self._graphs.pop(shape, None)
        if graph is not None:
            self._graphs[shape] = graph  # now the most recently used
        elif self._works and shape in self._recent and shape not in self._too_large:
            self._wanted = _Wanted(rows, padded, shape)
        self._remember(shape)
        pyramid = (graph or self._encoder.forward_features)(rows, padded)
        # With a decoder the pyramid has one level, the finest.
        levels = list(zip(pyramid.feats, hierarchy.levels, strict=False))
        real = [feat[: len(level)] for feat, level in levels]
        # Copies, by one launch: the next replay writes to the same memory.
        feats = [torch.empty_like(feat) for feat in real]
        if feats:
            torch._foreach_copy_(feats, real)
        return Pyramid(
            tuple(
                PyramidLevel(feat, level) for feat, (_, level) in zip(feats, levels, strict=True)
            )
        )

    @torch.inference_mode()
    def capture(self) -> bool:
        """Capture a graph of the newest shape that came again, if there is one without.

        To be called between clouds, by the thread that computes them, when nobody waits for it.

        Returns:
            Whether a graph was captured.
        """
        wanted, self._wanted = self._wanted, None
        if wanted is None or wanted.shape in self._graphs:
            return False
        self._capture(*wanted)
        return wanted.shape in self._graphs

    def release(self) -> bool:
        """Release all graphs and their memory; returns whether there were any."""
        self._wanted = None
        if not self._graphs:
            return False
        if self._recorder is not None:
            self._recorder.retire_all(self._graphs)
        return True

    def _remember(self, shape: PaddedShape) -> None:
        self._recent.pop(shape, None)
        self._recent[shape] = None
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]

    def _capture(self, feat: torch.Tensor, hierarchy: Hierarchy, shape: PaddedShape) -> None:
        recorder = self._recorder or GraphRecorder(feat.device)
        self._recorder = recorder
        if len(self._graphs) >= MAX_GRAPHS:
            recorder.retire(self._graphs, next(iter(self._graphs)))
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
        recorder.retire_all(self._graphs)


class _Graph:
    """The features of padded clouds of one shape; holds the tensors it was captured with."""

    def __init__(
        self, encoder: Encoder, feat: torch.Tensor, hierarchy: Hierarchy, recorder: GraphRecorder
    ):
        self._inputs = [feat, *_tensors(hierarchy)]
        self._pyramid = Pyramid(())

        def compute() -> None:
            self._pyramid = encoder.forward_features(feat, hierarchy)

        self._replay, self.stream = recorder.record(compute)

    def __call__(self, feat: torch.Tensor, hierarchy: Hierarchy) -> Pyramid:
        """Return features in memory that the next call overwrites."""
        given = [feat, *_tensors(hierarchy)]
        for dtype in dict.fromkeys(tensor.dtype for tensor in given):  # one launch for each type
            captured = [tensor for tensor in self._inputs if tensor.dtype == dtype]
            torch._foreach_copy_(captured, [tensor for tensor in given if tensor.dtype == dtype])
        self._replay()
        return self._pyramid


class Recording(NamedTuple):
    """A computation that was captured: what replays it, and the stream it was captured on."""

    replay: Callable[[], None]
    stream: torch.cuda.Stream


class GraphRecorder:
    """Records computations on a device as CUDA graphs.

    PyTorch keeps a workspace of cuBLAS for each stream. When a graph is destroyed, it frees those
    of the stream that the graph was captured on, though other graphs captured there still write to
    them (PyTorch issue 193402). So every graph that is kept has a stream of its own.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._warming = torch.cuda.Stream(device)
        # Made together: PyTorch hands out its 32 streams in turn, and then the same ones again.
        self._free = [torch.cuda.Stream(device) for _ in range(MAX_GRAPHS)]
        self._start_over()

    def _start_over(self) -> None:
        # One memory for all graphs: they run one after the other, and their results are copied.
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, compute: Callable[[], None]) -> Recording:
        """Run ``compute`` once, and capture it.

        Raises:
            RuntimeError: it cannot be captured; :meth:`retire_all` graphs then.
        """
        stream = self._free[-1]
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
                    stream=stream,
                    capture_error_mode="thread_local",
                ):
                    compute()
            finally:
                # A capture that cannot be ended leaves its own stream behind as the current one.
                torch.cuda.set_stream(current)
        self._free.pop()
        return Recording(graph.replay, stream)

    def retire(self, graphs: dict[PaddedShape, _Graph], shape: PaddedShape) -> None:
        """Destroy one of ``graphs``; its memory is used again by the next one."""
        torch.cuda.synchronize(self._device)  # it may be running
        self._free.append(graphs.pop(shape).stream)

    def retire_all(self, graphs: dict[PaddedShape, _Graph]) -> None:
        """Destroy ``graphs``, all that are left, and free their memory."""
        torch.cuda.synchronize(self._device)
        self._free += [graph.stream for graph in graphs.values()]
        graphs.clear()
        torch.cuda.empty_cache()
        self._start_over()


def can_be_padded(hierarchy: Hierarchy) -> bool:
    """Return whether a hierarchy is one cloud, not too large, with tables of neighbours.

    The window of a stem is not padded.
    """
    finest = hierarchy.levels[0]
    table = isinstance(finest.neighbours, NeighbourTable) and finest.window is None
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
        tensors += [] if group.mask is None else [group.mask]
    if isinstance(level.pooling, PaddedPooling):
        tensors += [level.pooling.cluster, level.pooling.members]
    return tensors
