# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear heads: one matrix from features to class scores, in the official file layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from concerto_ros.files.torch_file import on_cpu, write_file
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.ptv3.checkpoint import (
    DEMO,
    OFFICIAL_HEADS,
    CheckpointError,
    demo_head_state,
    load_strictly,
    log_licence,
    preset_in,
    read_checkpoint,
)
from concerto_ros.ptv3.encoder import Encoder, Pyramid


class LinearHead(nn.Module):
    """Class scores of each point from its feature.

    Attributes
    ----------
    name: what a person asked for.
    trained: False for a stand-in with random weights.
    labels: its classes, where its file tells them; None: a label set of its size is to be found.
    preset: whose input convention it was trained with; None where its file does not say.
    in_channels: feature width, what ``Pyramid.upcast`` must give.
    num_classes: scores for each point, in label order.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, name: str = "", trained: bool = True
    ):
        super().__init__()
        self.name = name
        self.trained = trained
        self.labels: LabelSet | None = None
        self.preset: str | None = None
        self.seg_head = nn.Linear(in_channels, num_classes)

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike,
        encoder: Encoder | None = None,
        *,
        download: bool = True,
    ) -> LinearHead:
        """A head in evaluation mode, on the device and in the precision of ``encoder`` if given.

        ``name_or_path``: an official file (config ``backbone_out_channels`` and ``num_classes``,
        state dict ``seg_head.weight`` and ``seg_head.bias``; ``label_set`` if it names its
        classes, ``preset`` if it names whose input convention it was trained with), an official
        name, or ``demo`` for that of the model in the box. Raises CheckpointError (a ValueError)
        for a file that cannot be had or does not fit, ValueError for a head that does not fit
        the encoder.
        """
        if os.fspath(name_or_path) == DEMO:
            state, path = demo_head_state()
            classes, width = state["seg_head.weight"].shape
            head = cls(width, classes, name=DEMO)
            load_strictly(head, state, path)
        else:
            content, path = read_checkpoint(name_or_path, OFFICIAL_HEADS, download=download)
            head = cls(*_shape(content["config"], path), name=os.fspath(name_or_path))
            load_strictly(head, content["state_dict"], path)
            head.labels = _labels(content, head.num_classes, path)
            head.preset = preset_in(content, path)
            log_licence(content, path)
        if encoder is not None:
            head.concat_levels(encoder)
            like = next(encoder.parameters())
            head = head.to(device=like.device, dtype=like.dtype)
        return head.eval().requires_grad_(False)

    @property
    def in_channels(self) -> int:
        return self.seg_head.in_features

    @property
    def num_classes(self) -> int:
        return self.seg_head.out_features

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """(N, in_channels) -> (N, num_classes) logits."""
        return self.seg_head(feat.to(self.seg_head.weight.dtype))

    def scores(self, pyramid: Pyramid, concat_levels: int) -> torch.Tensor:
        """``self(pyramid.upcast(concat_levels))`` without the wide matrix, (N, num_classes)."""
        return self.scores_by_level(pyramid.feats, pyramid.clusters, concat_levels)

    def scores_by_level(
        self, feats: Sequence[torch.Tensor], clusters: Sequence[torch.Tensor], concat_levels: int
    ) -> torch.Tensor:
        """The sum over channels taken level by level.

        Scores are handed down instead of features: a few numbers per voxel instead of hundreds,
        forwards and backwards. ``feats`` and ``clusters`` are those of a :class:`Pyramid`.
        """
        finest = len(feats) - 1 - concat_levels
        widths = [feat.shape[1] for feat in feats[finest:]]
        parts = self.seg_head.weight.split(widths, dim=1)
        scores = None
        for level in range(len(feats) - 1, -1, -1):
            if scores is not None:
                scores = scores.index_select(0, clusters[level])
            if level >= finest:
                part = parts[level - finest]
                own = nn.functional.linear(feats[level].to(part.dtype), part)
                scores = own if scores is None else scores + own
        return scores + self.seg_head.bias

    def concat_levels(self, encoder: Encoder) -> int:
        """How many levels ``upcast`` must join to give this head's width.

        Raises ValueError naming both widths if no number does.
        """
        widths = [sum(encoder.channels[-1 - joined :]) for joined in range(len(encoder.channels))]
        if self.in_channels not in widths:
            raise ValueError(
                f"head {self.name!r} takes {self.in_channels} channels, encoder {encoder.name!r} "
                f"gives {' or '.join(map(str, widths))}; expected a head trained on this encoder"
            )
        return widths.index(self.in_channels)


def _labels(content: dict, num_classes: int, path: os.PathLike) -> LabelSet | None:
    """The classes that a file written by ``concerto_ros`` names; the official ones name none."""
    if "label_set" not in content:
        return None
    try:
        labels = LabelSet.from_content(content["label_set"], path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if len(labels) != num_classes:
        raise CheckpointError(
            f"{path} names {len(labels)} classes, expected {num_classes} as its config says"
        )
    return labels


def _shape(config: dict, path: os.PathLike) -> tuple[int, int]:
    fields = ("backbone_out_channels", "num_classes")
    shape = tuple(config.get(field) for field in fields)
    if set(config) != set(fields) or not all(type(n) is int and n > 0 for n in shape):
        raise CheckpointError(
            f"{path} has config {config}, expected the whole numbers {' and '.join(fields)}"
        )
    return shape


def save_head(path: Path, head: LinearHead) -> None:
    """Write a linear head as the official files are; ``LinearHead.load`` reads it back.

    Its classes and its preset, where it knows them, are in the file beside what an official one
    has.
    """
    config = {"backbone_out_channels": head.in_channels, "num_classes": head.num_classes}
    content = {"config": config, "state_dict": on_cpu(head.state_dict())}
    if head.labels is not None:
        content["label_set"] = head.labels.content
    if head.preset is not None:
        content["preset"] = head.preset
    write_file(path, content)
