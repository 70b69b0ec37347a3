# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The floating-point half of an encoder in plain operators of ONNX.

It is written module by module, as :meth:`~concerto_ros.ptv3.encoder.Encoder.forward_features` runs
them: the same products in the same precision. PyTorch's exporter would need its values traced, and
makes several hundred operators of one convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import nn

from concerto_ros.ptv3.attention import PatchAttention, RotaryEmbedding
from concerto_ros.ptv3.blocks import Block, GridPooling, GridUnpooling, LayerScale, Mlp
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.export.arrays import RUNS, level_input, patch_input
from concerto_ros.ptv3.export.head_matrix import HeadMatrix
from concerto_ros.ptv3.export.onnx_nodes import GraphWriter
from concerto_ros.ptv3.joined_levels import joined_levels
from concerto_ros.ptv3.kernels.neighbours import CENTRE, KERNEL_ORDER
from concerto_ros.ptv3.kernels.sparse_conv import SubmanifoldConv

#: What is added to the score of a row that only fills a patch up: its weight is then 0.
_NOT_A_KEY = -1e30


class EncoderGraph:
    """Writes the layers of an encoder into a graph.

    What several blocks of a level need of its arrays is written once.
    """

    def __init__(self, encoder: Encoder, graph: GraphWriter):
        self._encoder = encoder
        self._graph = graph
        self._kind = str(next(encoder.parameters()).dtype).removeprefix("torch.")
        self._names = {
            id(value): name for name, value in encoder.state_dict(keep_vars=True).items()
        }
        self._runs: dict[int, list[tuple[str, str]]] = {}
        self._shared: dict[tuple[Any, ...], str] = {}

    def features(self) -> list[str]:
        """Write the encoder, and the decoder if there is one.

        Returns:
            The features of each level that the pyramid has, finest first.
        """
        encoder, graph = self._encoder, self._graph
        stem = cast(nn.ModuleDict, encoder.embedding["stem"])
        graph.enter("stem")
        feat = self._gelu(self._norm(self._linear("feat", stem["linear"]), stem["norm"]))
        levels: list[str] = []
        for level, (name, stage) in enumerate(encoder.enc.items()):
            parts = cast(nn.ModuleDict, stage)
            if "down" in parts:
                graph.enter(f"{name}.down")
                feat = self._pool(feat, cast(GridPooling, parts["down"]), level)
            feat = self._blocks(feat, name, parts, level)
            levels.append(feat)
        if encoder.config.enc_mode:
            return levels
        for level, (name, stage) in zip(
            reversed(range(len(levels) - 1)), encoder.dec.items(), strict=True
        ):
            parts = cast(nn.ModuleDict, stage)
            graph.enter(f"{name}.up")
            feat = self._unpool(feat, levels[level], cast(GridUnpooling, parts["up"]), level + 1)
            feat = self._blocks(feat, name, parts, level)
        return [feat]

    def scores(self, levels: Sequence[str], head: HeadMatrix) -> str:
        """Write a linear head on the features of ``levels``; the width says which it joins.

        Args:
            levels: as :meth:`features` returns them.
            head: its weight (K, C) has the columns of the finest of the joined levels first.

        Returns:
            (N, K) scores of the finest level.
        """
        graph, encoder = self._graph, self._encoder
        graph.enter("head")
        joined = joined_levels(head.name, head.weight.shape[1], encoder)
        dtype = next(encoder.parameters()).dtype
        parts = head.weight.to(dtype).split(encoder.channels[-1 - joined :], dim=1)
        finest = len(levels) - len(parts)
        scores = ""
        for level in range(len(levels) - 1, -1, -1):
            if scores:
                cluster = level_input(level + 1, "cluster")
                scores = graph.node("Gather", scores, cluster)
            if level >= finest:
                matrix = graph.weight(f"head.weight{level}", parts[level - finest].t())
                own = graph.node("MatMul", graph.cast(levels[level], self._kind), matrix)
                scores = graph.node("Add", scores, own) if scores else own
        offset = graph.weight("head.bias", head.bias.to(dtype))
        return graph.node("Add", scores, offset)

    def _blocks(self, feat: str, name: str, stage: nn.ModuleDict, level: int) -> str:
        for part, module in stage.items():
            if isinstance(module, Block):
                self._graph.enter(f"{name}.{part}")
                feat = self._block(feat, module, level)
        return feat

    def _block(self, feat: str, block: Block, level: int) -> str:
        add = self._graph.add
        convolve, mix, norm = block.cpe
        convolved = self._convolve(feat, cast(SubmanifoldConv, convolve), level)
        feat = add(feat, self._norm(self._linear(convolved, mix), norm))
        norm1, norm2, mlp = block.norm1[0], block.norm2[0], cast(Mlp, block.mlp[0])

        def attended(rows: str) -> str:
            return self._scaled(self._attend(rows, block.attn, block.patching, level), block.ls1)

        def transformed(rows: str) -> str:
            hidden = self._gelu(self._linear(rows, mlp.fc1))
            return self._scaled(self._linear(hidden, mlp.fc2), block.ls2)

        if block.pre_norm:
            feat = add(feat, attended(self._norm(feat, norm1)))
            return add(feat, transformed(self._norm(feat, norm2)))
        feat = self._norm(add(feat, attended(feat)), norm1)
        return self._norm(add(feat, transformed(feat)), norm2)

    def _convolve(self, feat: str, convolution: SubmanifoldConv, level: int) -> str:
        """Write a convolution: a product for each kernel offset, added to the rows it is for."""
        graph = self._graph
        name = self._names[id(convolution.weight)]
        matrices = convolution.weight.permute(1, 2, 3, 4, 0).flatten(0, 2)
        feat = graph.cast(feat, self._kind)
        centre = graph.weight(f"{name}.{CENTRE}", matrices[CENTRE])
        bias = graph.weight(self._names[id(convolution.bias)], convolution.bias)
        # Sums are in float32; so are those of eager PyTorch where its products are halves.
        out = graph.cast(graph.node("Gemm", feat, centre, bias), "float32")
        for (sources, targets), k in zip(self._pairs(level), KERNEL_ORDER, strict=True):
            matrix = graph.weight(f"{name}.{k}", matrices[k])
            product = graph.node("MatMul", graph.node("Gather", feat, sources), matrix)
            # In a run of one offset each target is once, so the order of additions is fixed.
            product = graph.cast(product, "float32")
            out = graph.node("ScatterND", out, targets, product, reduction="add")
        return out

    def _pairs(self, level: int) -> list[tuple[str, str]]:
        """Return sources (n,) and targets (n, 1) of each kernel offset."""
        if level not in self._runs:
            graph = self._graph
            ends = graph.nodes("Split", RUNS, level_input(level, "ends"), num_outputs=RUNS)
            starts = [graph.integers(0), *ends[:-1]]
            axis = graph.integers(0)
            columns = graph.node("Unsqueeze", level_input(level, "targets"), graph.integers(1))
            self._runs[level] = [
                (
                    graph.node("Slice", level_input(level, "sources"), start, end, axis),
                    graph.node("Slice", columns, start, end, axis),
                )
                for start, end in zip(starts, ends, strict=True)
            ]
        return self._runs[level]

    def _attend(
        self, feat: str, attention: PatchAttention, patching: tuple[str, int], level: int
    ) -> str:
        """Write attention among the rows of each patch."""
        graph, heads = self._graph, attention.num_heads
        rows = patch_input(level, patching, "rows")
        ordered = graph.node("Gather", graph.cast(feat, self._kind), rows)  # (P, K, C)
        channels = attention.proj.in_features
        split = self._shape(rows, heads, channels // heads)
        parts = []
        for part, letter in enumerate("qkv"):
            values = self._projected(ordered, attention, part)
            values = graph.node("Reshape", values, split)
            if attention.rope is not None and letter != "v":
                values = self._rotated(values, attention.rope, patching, level, heads)
            order = [0, 2, 3, 1] if letter == "k" else [0, 2, 1, 3]
            parts.append(graph.node("Transpose", values, perm=order))
        query, key, value = parts
        scores = graph.node("MatMul", query, key)  # (P, H, K, K)
        scores = graph.node("Add", scores, self._offsets(scores, patching, level))
        mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
        mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
        flat = graph.node("Reshape", mixed, graph.integers(-1, channels))
        slots = patch_input(level, patching, "slots")
        return self._linear(graph.node("Gather", flat, slots), attention.proj)

    def _projected(self, feat: str, attention: PatchAttention, part: int) -> str:
        """Write queries (0), keys (1) or values (2); the scale of the scores is in the queries."""
        graph, layer = self._graph, attention.qkv
        factor = 1.0 if part else attention.scale
        weight = layer.weight.chunk(3)[part].t() * factor
        stem = self._names[id(layer.weight)].removesuffix("weight")
        product = graph.node("MatMul", feat, graph.weight(f"{stem}{'qkv'[part]}.weight", weight))
        if layer.bias is None:
            return product
        bias = layer.bias.chunk(3)[part] * factor
        return graph.node("Add", product, graph.weight(f"{stem}{'qkv'[part]}.bias", bias))

    def _offsets(self, scores: str, patching: tuple[str, int], level: int) -> str:
        """Write (P, 1, 1, K): 0 for rows that are keys, and very low for others."""
        key = ("offsets", level, patching)
        if key not in self._shared:
            graph = self._graph
            count = graph.node(
                "Unsqueeze", patch_input(level, patching, "keys"), graph.integers(1, 2, 3)
            )
            shape = graph.node("Shape", patch_input(level, patching, "rows"), start=1)
            zero, one = graph.integer(0), graph.integer(1)
            step = graph.node("Range", zero, graph.node("Squeeze", shape), one)
            is_key = graph.node("Less", step, count)
            low = graph.number(_NOT_A_KEY, scores)
            self._shared[key] = graph.chosen(is_key, graph.number(0.0, scores), low)
        return self._shared[key]

    def _shape(self, rows: str, *more: int) -> str:
        """Write the shape of ``rows`` and what follows it."""
        key = ("shape", rows, more)
        if key not in self._shared:
            graph = self._graph
            self._shared[key] = graph.node(
                "Concat", graph.node("Shape", rows), graph.integers(*more), axis=0
            )
        return self._shared[key]

    def _rotated(
        self,
        values: str,
        rope: RotaryEmbedding,
        patching: tuple[str, int],
        level: int,
        heads: int,
    ) -> str:
        """Write the rotation of (P, K, H, D) queries or keys by the places of their rows."""
        graph = self._graph
        rows = patch_input(level, patching, "rows")
        frequencies = len(rope.inv_freq)
        cos, sin = (self._turned(function, rope, patching, level) for function in ("Cos", "Sin"))
        kind = graph.type_of(values)
        halves = self._shape(rows, heads, 3, 2, frequencies)
        first, second = graph.nodes(
            "Split",
            2,
            graph.node("Reshape", graph.cast(values, "float32"), halves),
            axis=4,
            num_outputs=2,
        )
        turned = [
            graph.node(sign, graph.node("Mul", one, cos), graph.node("Mul", other, sin))
            for sign, one, other in (("Sub", first, second), ("Add", second, first))
        ]
        whole = self._shape(rows, heads, 6 * frequencies)
        joined = graph.node("Concat", *turned, axis=4)
        return graph.cast(graph.node("Reshape", joined, whole), kind)

    def _turned(
        self, function: str, rope: RotaryEmbedding, patching: tuple[str, int], level: int
    ) -> str:
        """Write cosines or sines of the angles of the rows of patches, (P, K, 1, 3, 1, F)."""
        graph = self._graph
        name = self._names[id(rope.inv_freq)]
        coord = graph.node(
            "Gather", level_input(level, "coord"), patch_input(level, patching, "rows")
        )
        place = graph.node("Unsqueeze", coord, graph.integers(2, 4, 5))
        angle = graph.node("Mul", place, graph.weight(name, rope.inv_freq))
        return graph.node(function, angle)

    def _pool(self, feat: str, pooling: GridPooling, level: int) -> str:
        graph = self._graph
        members = level_input(level, "members")
        gathered = graph.node("Gather", self._linear(feat, pooling.proj), members)
        highest = graph.node("ReduceMax", gathered, graph.integers(1), keepdims=0)
        return self._gelu(self._norm(highest, pooling.norm[0]))

    def _unpool(self, feat: str, skip: str, unpooling: GridUnpooling, coarse: int) -> str:
        graph = self._graph
        coarser, finer = (
            self._gelu(self._norm(self._linear(rows, part[0]), part[1]))
            for rows, part in ((feat, unpooling.proj), (skip, unpooling.proj_skip))
        )
        passed = graph.node("Gather", coarser, level_input(coarse, "cluster"))
        return graph.node("Add", finer, passed)

    def _linear(self, feat: str, layer: nn.Module) -> str:
        graph, layer = self._graph, cast(nn.Linear, layer)
        weight = graph.weight(self._names[id(layer.weight)], layer.weight)
        feat = graph.cast(feat, self._kind)
        if layer.bias is None:
            return graph.node("Gemm", feat, weight, transB=1)
        bias = graph.weight(self._names[id(layer.bias)], layer.bias)
        return graph.node("Gemm", feat, weight, bias, transB=1)

    def _norm(self, feat: str, norm: nn.Module) -> str:
        """Write a layer normalisation in float32, whatever the precision of the weights."""
        graph, norm = self._graph, cast(nn.LayerNorm, norm)
        weight, bias = (
            graph.weight(self._names[id(value)], value.float())
            for value in (norm.weight, norm.bias)
        )
        rows = graph.cast(feat, "float32")
        return graph.node("LayerNormalization", rows, weight, bias, axis=-1, epsilon=norm.eps)

    def _gelu(self, feat: str) -> str:
        return self._graph.node("Gelu", feat)

    def _scaled(self, feat: str, scale: nn.Module) -> str:
        """Write the layer scale of a residual, if there is one."""
        (layer,) = cast(nn.Sequential, scale)
        if not isinstance(layer, LayerScale):
            return feat
        gamma = self._graph.weight(self._names[id(layer.gamma)], layer.gamma)
        return self._graph.node("Mul", feat, gamma)
