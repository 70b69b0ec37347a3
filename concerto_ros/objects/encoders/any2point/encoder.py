# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Any2Point (Tang et al., ECCV 2024): transformers of other modalities adapted to points.

The transformer of CLIP's text tower, DINOv2 or ImageBind's audio trunk stays frozen; a small token
embedding, adapters and aggregation guided by virtual projections are trained around it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.objects.encoders.any2point.blocks import CellAttention, GuidedBlock
from concerto_ros.objects.encoders.any2point.files import (
    TABLE,
    own_names,
    read_source,
    read_table,
    variant_of,
)
from concerto_ros.objects.encoders.any2point.projection import VIEWS, project
from concerto_ros.objects.encoders.any2point.tokens import CENTRES, TokenEmbedding
from concerto_ros.objects.encoders.any2point.variants import MODELNET, SCAN, VARIANTS, Variant
from concerto_ros.objects.encoders.shared.base import ObjectEncoder, check_options
from concerto_ros.objects.encoders.shared.benchmarks import Benchmark
from concerto_ros.objects.encoders.shared.layers import mlp_head
from concerto_ros.objects.encoders.shared.preprocess import InputForm
from concerto_ros.objects.encoders.shared.weights import State, count_blocks, load_weights
from concerto_ros.ptv3.checkpoint import CheckpointError

#: Points of an object in the published models. Any number from 512 works.
POINTS = 1024

#: The parts of a block that come from the source model; fine-tuning leaves them as they are.
FROZEN = ("norm1", "attn", "norm2", "mlp", "ls1", "ls2")


class Any2Point(ObjectEncoder):
    """One of the six published variants, by default in the shape of the official files.

    With ``per_object`` every cloud is computed as the published code would compute it in a batch
    of one, so that no result depends on the rest of the batch. Without it, variants on CLIP attend
    from cloud to cloud and those of ModelNet40 share one scale of relative positions, as in the
    published evaluation. The attribute may be changed at any time.

    Args:
        variant: Constants of the model, one of :data:`VARIANTS`.
        width: Channels of the tokens.
        depth: Number of blocks.
        heads: Attention heads of every block.
        point_width: Channels of the point embedding, an eighth of ``width``.
        last_hidden: Hidden width of the last stage of the token embedding.
        adapter_width: Hidden width of the adapters; None for the variant's.
        neighbours: Neighbours of each centre; None for the variant's.
        classes: Number of classes; None for the benchmark's.
        per_object: See above.

    Raises:
        ValueError: If the widths are inconsistent.
    """

    name = "any2point"
    training_methods = ("adapters",)
    position_table: torch.Tensor

    def __init__(
        self,
        variant: Variant,
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        point_width: int = 96,
        last_hidden: int = 32,
        adapter_width: int | None = None,
        neighbours: int | None = None,
        classes: int | None = None,
        per_object: bool = False,
    ):
        super().__init__()
        if width % heads:
            raise ValueError(f"heads is {heads}, expected a divisor of the width {width}")
        if width != point_width * 2 ** len(CENTRES):
            raise ValueError(
                f"point_width is {point_width}, expected an eighth of the width {width}"
            )
        self.variant = variant
        own_scale = variant.benchmark.own_scale
        self.form = InputForm(POINTS, skip_near_origin=not own_scale, centred=own_scale)
        self.feature_channels = 2 * width
        self.classes = variant.benchmark.classes if classes is None else classes
        self.per_object = per_object or not variant.couples_batch
        self.register_buffer(TABLE, torch.zeros(variant.source.rows, width))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.cls_pos = nn.Parameter(torch.zeros(1, 1, width))
        embedding = TokenEmbedding(
            point_width,
            last_hidden,
            neighbours or variant.neighbours,
            own_scale,
        )
        self.patch_embed = nn.ModuleDict({"EncP": embedding})
        self.blocks = nn.ModuleList(
            GuidedBlock(
                variant,
                width,
                heads,
                adapter_width or variant.adapter_width,
                block / max(depth - 1, 1),
            )
            for block in range(depth)
        )
        self.attn1 = nn.ModuleList(CellAttention(width) for _ in range(VIEWS))
        self.norm3 = nn.ModuleList(nn.LayerNorm(width) for _ in range(VIEWS))
        self.norm = nn.LayerNorm(width, eps=variant.final_eps)
        self.head = mlp_head(2 * width, self.classes)
        if not variant.benchmark.head_bias:
            for layer in (self.head[0], self.head[4]):
                layer.register_parameter("bias", None)

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """Embed clouds (B, N >= 512, 3 or more), of which xyz is read, as (B, 2 width).

        Raises:
            ValueError: If the batch has another shape.
        """
        if batch.ndim != 3 or batch.shape[1] < CENTRES[0] or batch.shape[2] < 3:
            raise ValueError(
                f"batch has shape {tuple(batch.shape)}, expected (B, {CENTRES[0]} or more, 3)"
            )
        centres, tokens = self.patch_embed["EncP"](batch[..., :3], self.per_object)
        projected = project(centres, self.position_table, self.variant, self.per_object)
        count = len(batch)
        position = torch.cat([self.cls_pos.expand(count, -1, -1), projected.position], 1)
        tokens = torch.cat([self.cls_token.expand(count, -1, -1), tokens], 1)
        if self.variant.position_at_start:
            tokens = tokens + position
        for block in self.blocks:
            if self.variant.position_before_blocks:
                tokens = tokens + position
            tokens = block(tokens, projected, self.attn1, self.norm3, self.per_object)
        tokens = self.norm(tokens)
        parts = tokens[:, 0], tokens[:, 1:].amax(1)
        return torch.cat(parts if self.variant.benchmark.class_first else parts[::-1], 1)

    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """Return (B, classes) logits: :meth:`embed`, then the head."""
        return self.head(self.embed(batch))

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Select what parameter-efficient fine-tuning trains: all but the source's layers."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if not (name.startswith("blocks.") and name.split(".")[2] in FROZEN)
        }

    def trained_parameters(self, method: str) -> dict[str, nn.Parameter]:
        """Select what a method trains; ``adapters`` means :meth:`trainable_parameters`."""
        if method == "adapters":
            return self.trainable_parameters()
        return super().trained_parameters(method)

    @classmethod
    def fine_tuning(
        cls, method: str, benchmark: Benchmark, points: int | None, few_shot: bool
    ) -> dict[str, Any]:
        """Return the published hyper-parameters, see :meth:`ObjectEncoder.fine_tuning`."""
        modelnet = benchmark.modelnet
        traits = MODELNET if modelnet else SCAN
        return {
            "learning_rate": 5e-4,
            "change": "scale_shift" if modelnet else "stretch_turn",
            "change_first": not modelnet,
            "lag": int(traits.extra_epoch),
            "extra_epochs": int(traits.extra_epoch),
        }

    @classmethod
    def vote_change(cls, benchmark: Benchmark) -> str | None:
        """Return the augmentation of the published vote, see :meth:`ObjectEncoder.vote_change`."""
        return "scale_shift" if benchmark.modelnet else "turn"


def matches(state: State) -> bool:
    """Return whether these are parameter names of Any2Point."""
    return any("patch_embed.EncP.LGA_list." in name for name in state)


def from_state(
    state: State,
    path: Path,
    content: dict[str, Any] | None = None,
    *,
    variant: str | Variant | None = None,
    source: str | os.PathLike | None = None,
    heads: int = 12,
    neighbours: int | None = None,
    per_object: bool = False,
) -> Any2Point:
    """Build the model of a fine-tuned file, published or written by this package.

    Args:
        state: Tensors by their names in the file.
        path: Where the state comes from, for error messages.
        content: Not used: Any2Point's files hold nothing beside the state dict that matters here.
        variant: One of :data:`VARIANTS` that the file has to be of, or constants that differ from
            the published; None to detect the variant from the names.
        source: The file of the model that lent the transformer; the position table is read from
            it, since published files do not hold it.
        heads: Attention heads of every block.
        neighbours: Neighbours of each centre; None for the variant's.
        per_object: See :class:`Any2Point`.

    Raises:
        CheckpointError: If the weights are of another variant, lack a position table, or do not
            match.
        ValueError: If ``variant`` is unknown.
    """
    found = variant_of(state)
    chosen = found if variant is None else _variant(variant)
    if chosen.name != found.name:
        raise CheckpointError(
            f"{path} is a checkpoint of {found.name}, expected one of {chosen.name}"
        )
    state = own_names(state)
    if source is not None:
        state[TABLE] = read_table(source, found.source)
    if TABLE not in state:
        raise CheckpointError(
            f"{path} is fine-tuned ({found.name}) and holds no position table: pass"
            f" source=<file>, the file of {found.source.name} that has {found.source.table!r}"
        )
    stage = "patch_embed.EncP.LGA_list.2.linear2.0.net1.0.weight"
    model = Any2Point(
        chosen,
        width=_size(state, "cls_token", -1, path),
        depth=count_blocks(state, "blocks."),
        heads=heads,
        point_width=_size(state, "patch_embed.EncP.raw_point_embed.net.0.weight", 0, path),
        last_hidden=_size(state, stage, 0, path),
        adapter_width=_size(state, "blocks.0.adapter.ln1.weight", 0, path),
        neighbours=neighbours,
        classes=_size(state, "head.8.weight", 0, path),
        per_object=per_object,
    )
    load_weights(model, state, path)
    return model


def from_source(variant: str, source: str | os.PathLike, /, **shape: Any) -> Any2Point:
    """Build a model to fine-tune: the transformer of a source model, the rest untrained.

    Untrained weights come from PyTorch's global generator, drawn as published.

    Args:
        variant: One of :data:`VARIANTS`.
        source: The official file of that variant's source model.
        shape: Keywords of :class:`Any2Point`.

    Raises:
        ValueError: If the variant or a keyword is unknown.
        CheckpointError: If the file does not match.
    """
    chosen = _variant(variant)
    check_options(Any2Point.name, Any2Point, shape)
    state = read_source(source, chosen.source)
    model = Any2Point(chosen, **shape)
    lent = {name for name, _ in model.named_parameters()} - model.trainable_parameters().keys()
    lent |= {TABLE} | {own for _, own in chosen.source.parts if own == "cls_token"}
    lent |= {"norm.weight", "norm.bias"}
    start_weights(model)
    untrained = tuple(name for name in model.state_dict() if name not in lent)
    load_weights(model, state, source, optional=untrained)
    return model


@torch.no_grad()
def start_weights(model: Any2Point) -> None:
    """Draw the weights that training starts from as the published code of the benchmark does."""
    traits = model.variant.benchmark
    for name in ("cls_token", "cls_pos"):
        nn.init.trunc_normal_(model.get_parameter(name), std=0.02)
    for name, module in model.named_modules():
        if traits.xavier and isinstance(module, nn.Linear) and not name.startswith("head."):
            nn.init.xavier_uniform_(module.weight)
        elif not traits.xavier and isinstance(module, (nn.Linear, nn.Conv1d)):
            nn.init.trunc_normal_(module.weight, std=0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _variant(name: str | Variant) -> Variant:
    if isinstance(name, Variant):
        return name
    if name not in VARIANTS:
        raise ValueError(f"variant is {name!r}, expected one of {', '.join(VARIANTS)}")
    return VARIANTS[name]


def _size(state: State, name: str, dimension: int, path: Path) -> int:
    if name not in state or state[name].ndim < 2:
        raise CheckpointError(f"{path} does not match Any2Point; missing: {name}")
    return state[name].shape[dimension]
