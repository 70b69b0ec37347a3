# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The six published variants of Any2Point, as one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """The model of another modality that lends its transformer and its position table.

    Attributes:
        name: Name of the model, for messages.
        table: Name of the position table in the file of that model.
        rows: Rows of that table, including a leading one of the class token.
        columns: Patches of an image from left to right; None where positions lie on a line.
        size: (width, height) of the image in pixels; (length, 1) of a line in positions.
        parts: Prefixes of the names in that file that are copied, and their replacements.
        quick_gelu: Whether the blocks take x sigmoid(1.702 x) for GELU.
        layer_scale: Whether each branch of a block is scaled by a learned vector.
        batch_attention: Whether attention runs over the clouds of a batch instead of over tokens.
    """

    name: str
    table: str
    rows: int
    columns: int | None
    size: tuple[int, int]
    parts: tuple[tuple[str, str], ...]
    quick_gelu: bool = False
    layer_scale: bool = False
    batch_attention: bool = False


@dataclass(frozen=True)
class BenchmarkTraits:
    """What the variants of one benchmark have in common.

    Attributes:
        name: The benchmark.
        classes: Number of its classes.
        own_scale: Whether relative positions are divided by their neighbourhood's own extent along
            each axis, rather than by the spread of all neighbourhoods of the batch.
        class_first: Whether the class token precedes the maximum of the other tokens in the
            feature.
        head_bias: Whether the hidden layers of the head have a bias.
        attention_dropout: Dropout of the source's attention in training.
        stochastic_depth: How often branches of the last block are skipped in training.
        xavier: Whether new linear layers before the head start from Xavier's uniform numbers; else
            all of them, and the embedding of points, from normal ones of deviation 0.02.
        extra_epoch: Whether the published loop runs one epoch more than it says, and sets the
            learning rate of an epoch after it.
    """

    name: str
    classes: int
    own_scale: bool
    class_first: bool
    head_bias: bool
    attention_dropout: float
    stochastic_depth: float
    xavier: bool
    extra_epoch: bool


@dataclass(frozen=True)
class Variant:
    """One set of constants of the released scripts.

    Attributes:
        name: Key in :data:`VARIANTS`.
        source: The model that lends the transformer.
        benchmark: What the variant was trained on.
        neighbours: Of each centre, in all three stages of the token embedding.
        adapter_width, adapter_scale: Hidden width and weight of the adapters.
        guidance: Weight of the guided aggregation.
        voxel, cell: Edge of the cells in 3D, and in the plane or on the line of the source.
        direction: Of the line that points are projected on, for a source with positions on a line.
        shift: How far the views are moved along their axis, for a source with positions in a
            plane.
        cell_maximum: Whether cells of the source are pooled by mean + maximum instead of the mean.
        position_at_start, position_before_blocks: Where positions are added.
        block_eps, final_eps: Epsilon of the layer normalisations.
    """

    name: str
    source: Source
    benchmark: BenchmarkTraits
    neighbours: int
    adapter_width: int
    adapter_scale: float
    guidance: float
    voxel: float
    cell: int
    direction: tuple[int, int, int] | None
    shift: float
    cell_maximum: bool
    position_at_start: bool
    position_before_blocks: bool
    block_eps: float
    final_eps: float

    @property
    def couples_batch(self) -> bool:
        """Whether, as published, the result for a cloud depends on the others in its batch."""
        return self.source.batch_attention or not self.benchmark.own_scale

    @property
    def attention_dropout(self) -> float:
        """Dropout of the source's attention in training.

        CLIP's has none: its configuration names it, but its attention does not take it.
        """
        return 0.0 if self.source.batch_attention else self.benchmark.attention_dropout

    @property
    def stochastic_depth(self) -> float:
        """How often branches of the last block are skipped in training; not used with CLIP."""
        return 0.0 if self.source.batch_attention else self.benchmark.stochastic_depth


CLIP = Source(
    name="CLIP ViT-L/14 text",
    table="positional_embedding",
    rows=77,
    columns=None,
    size=(77, 1),
    parts=(("transformer.resblocks.", "blocks."), ("ln_final.", "norm.")),
    quick_gelu=True,
    batch_attention=True,
)
DINO = Source(
    name="DINOv2 ViT-B/14",
    table="pos_embed",
    rows=1 + 37 * 37,
    columns=37,
    size=(518, 518),
    parts=(("cls_token", "cls_token"), ("blocks.", "blocks."), ("norm.", "norm.")),
    layer_scale=True,
)
IMAGEBIND = Source(
    name="ImageBind-Huge audio",
    table="modality_preprocessors.audio.pos_embedding_helper.pos_embed",
    rows=1 + 19 * 12,
    columns=12,
    size=(192, 304),
    parts=(
        ("modality_preprocessors.audio.cls_token", "cls_token"),
        ("modality_trunks.audio.blocks.", "blocks."),
        ("modality_heads.audio.0.", "norm."),
    ),
)
SOURCES = (CLIP, DINO, IMAGEBIND)

SCAN = BenchmarkTraits(
    "ScanObjectNN",
    15,
    own_scale=True,
    class_first=False,
    head_bias=False,
    attention_dropout=0.1,
    stochastic_depth=0.0,
    xavier=True,
    extra_epoch=False,
)
MODELNET = BenchmarkTraits(
    "ModelNet40",
    40,
    own_scale=False,
    class_first=True,
    head_bias=True,
    attention_dropout=0.0,
    stochastic_depth=0.1,
    xavier=False,
    extra_epoch=True,
)

# fmt: off
_TABLE = (
    # name, source, benchmark, neighbours, adapter width and scale, guidance, voxel, cell,
    # direction, shift,
    # cell maximum, position at start, position before blocks, block eps, final eps
    ("clip_scan", CLIP, SCAN,         81, 16, 0.3, 0.3, 0.08,  2, (-1, 0, 1),  0.0,
     False, True, True, 1e-5, 1e-6),
    ("clip_mn", CLIP, MODELNET,       64, 16, 0.3, 0.5, 0.16,  2, (1, -1, 0),  0.0,
     False, True, False, 1e-5, 1e-5),
    ("dino_scan", DINO, SCAN,         64,  8, 0.3, 0.7, 0.16, 26, None,       -1.8,
     False, False, True, 1e-6, 1e-6),
    ("dino_mn", DINO, MODELNET,       81,  8, 1.0, 0.1, 0.16, 26, None,       -1.4,
     True, False, True, 1e-5, 1e-5),
    ("ib_scan", IMAGEBIND, SCAN,      64, 12, 0.3, 0.5, 0.16, 16, None,       -1.4,
     False, True, False, 1e-6, 1e-6),
    ("ib_mn", IMAGEBIND, MODELNET,    81,  8, 1.0, 0.1, 0.16, 16, None,       -1.4,
     True, True, False, 1e-5, 1e-5),
)
# fmt: on

VARIANTS = {row[0]: Variant(*row) for row in _TABLE}
