# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MixCon3D (Gao et al., CVPR 2024) as an object encoder: zero-shot by words and pictures.

The point encoder (:mod:`concerto_ros.objects.encoders.mixcon3d.network`) embeds a coloured cloud
in the space of CLIP. MixCon3D adds projections of texts and of images; files of OpenShape, which
have no projections, load as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.objects.encoders.mixcon3d.network import (
    POINT_CHANNELS,
    Balls,
    PointPatchTransformer,
    Sizes,
)
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.preprocess import InputForm
from concerto_ros.objects.encoders.shared.weights import State, find_state, load_weights
from concerto_ros.ptv3.checkpoint import CheckpointError

#: Grouping of the published sizes; the third is that of MixCon3D, the fourth that of OpenShape.
BALLS = {
    Sizes(256, 6, 1024, 96): Balls(64, 0.4, 256),
    Sizes(512, 6, 1024, 128): Balls(64, 0.4, 256),
    Sizes(512, 12, 1024, 128): Balls(128, 0.35, 128),
    Sizes(512, 12, 1536, 256): Balls(384, 0.2, 64),
    Sizes(768, 12, 2304, 256): Balls(512, 0.2, 64),
    Sizes(768, 24, 3072, 256): Balls(512, 0.2, 64),
}

POINTS = 10000

HEAD_WIDTH = 64

#: Entries of a file with weights: live ones, and their running average over training.
WEIGHTS = {"live": "state_dict", "ema": "state_dict_ema"}

#: Entries of a file of MixCon3D that hold projections. That of images is never used: as published,
#: images go through the projection of texts.
PROJECTIONS = ("text_proj", "image_proj", "pc_img_proj")

#: Ending of an entry of this package's files: the running average of a projection. The published
#: code computes it and does not store it.
AVERAGED = "_ema"


def matches(state: State) -> bool:
    """Return whether these are parameter names of the point encoder of OpenShape and MixCon3D."""
    return "ppat.cls_token" in state


def from_state(
    state: State,
    path: Path,
    content: dict[str, Any] | None = None,
    *,
    weights: str | None = None,
    balls: Balls | None = None,
    points: int = POINTS,
    head_width: int = HEAD_WIDTH,
) -> MixCon3D:
    """Build the model of a published file of MixCon3D or OpenShape.

    Args:
        state: Tensors by their published names.
        path: Where the state comes from, for error messages.
        content: The whole file; without it only ``state`` is used.
        weights: ``live`` or ``ema``; None for ``ema`` where the file has it.
        balls: Replaces the grouping published for this size, which the file does not store.
        points: Points of an object.
        head_width: Channels of one attention head.

    Raises:
        CheckpointError: If names, shapes or the size do not match, or the file lacks the weights
            asked for.
        ValueError: If ``weights`` is neither ``live`` nor ``ema``.
    """
    content = content or {}
    if weights not in (None, *WEIGHTS):
        raise ValueError(f"weights is {weights!r}, expected one of {', '.join(WEIGHTS)}")
    if weights == "ema" and WEIGHTS["ema"] not in content:
        raise CheckpointError(
            f"{path} has no {WEIGHTS['ema']!r}, which weights 'ema' reads; use weights 'live'"
        )
    averaged = weights != "live" and WEIGHTS["ema"] in content
    state = find_state(content, path, (WEIGHTS["ema"],)) if averaged else _wrapped(content, state)
    sizes = Sizes.of_state(state)
    balls = balls or BALLS.get(sizes)
    if balls is None:
        raise CheckpointError(
            f"{path} has {sizes}, for which no grouping is published: pass balls=Balls(...)"
        )
    heads = state["ppat.transformer.layers.0.0.fn.to_qkv.weight"].shape[0] // (3 * head_width)
    encoder = PointPatchTransformer(sizes, balls, heads, head_width)
    model = MixCon3D(encoder, sizes.width, state["proj.weight"].shape[0], points)
    projections = _projections(content, path, averaged)
    if projections:
        model.add_projections()
    load_weights(model, state | projections, path, ignore=("image_proj.",))
    return model


def _wrapped(content: dict[str, Any], state: State) -> State:
    """Keep what OpenShape reads of its files: names that began with ``module.``, if any did."""
    names = content.get(WEIGHTS["live"], ())
    wrapped = {name.removeprefix("module.") for name in names if name.startswith("module.")}
    return {name: value for name, value in state.items() if not wrapped or name in wrapped}


def _projections(content: dict[str, Any], path: Path, averaged: bool) -> State:
    """Return the projections that are stored beside the state dict, by parameter name."""
    found: State = {}
    for name in PROJECTIONS:
        entry = f"{name}{AVERAGED}" if averaged and f"{name}{AVERAGED}" in content else name
        if entry in content:
            inner = find_state(content, path, (entry,))
            found |= {f"{name}.{key}": value for key, value in inner.items()}
    return found


class MixCon3D(ObjectEncoder):
    """The point encoder with its projection to the space of CLIP.

    Batches are (B, N, 6): clouds of unit size, colours in 0..1.
    """

    name = "mixcon3d"
    classes = None

    def __init__(
        self, encoder: PointPatchTransformer, width: int, feature_channels: int, points: int
    ):
        super().__init__()
        self.form = InputForm(
            points, color=True, swapped=True, farthest=False, skip_near_origin=False
        )
        self.feature_channels = feature_channels
        self.ppat = encoder
        self.proj = nn.Linear(width, feature_channels)
        self.text_proj: nn.Linear | None = None
        self.pc_img_proj: nn.Linear | None = None

    def add_projections(self) -> None:
        """Add untrained projections of texts, and of clouds together with images."""
        width = self.feature_channels
        self.text_proj = nn.Linear(width, width)
        self.pc_img_proj = nn.Linear(2 * width, width)

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """Embed clouds as (B, D) vectors, to be compared by cosine; not normalised.

        Raises:
            ValueError: If the batch does not have shape (B, N, 6).
        """
        if batch.ndim != 3 or batch.shape[2] != POINT_CHANNELS:
            raise ValueError(f"batch has shape {tuple(batch.shape)}, expected (B, N, 6)")
        return self.proj(self.ppat(batch))

    @property
    def knows_words(self) -> bool:
        """True: every vector of this model can be compared with texts."""
        return True

    def embed_words(self, batch: torch.Tensor) -> torch.Tensor:
        """Return :meth:`embed`: every vector of this model can be compared with texts."""
        return self.embed(batch)

    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """Refuse: the model compares with texts instead of having a head.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "MixCon3D has no head; compare its vectors with those of words (project_words)"
        )

    def project_words(self, texts: torch.Tensor) -> torch.Tensor:
        """Project (K, D) vectors of CLIP's text encoder to what the model compares."""
        return texts if self.text_proj is None else self.text_proj(texts)

    def project_views(self, images: torch.Tensor) -> torch.Tensor:
        """Project (B, V, D) vectors of CLIP's image encoder, V views of each object, to (B, D)."""
        return self.project_words(images).mean(1)

    def fuse(self, clouds: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Fuse ``clouds`` (B, D) of :meth:`embed` with projected ``images`` (B, D), to (B, D).

        Raises:
            ValueError: If the file is one of OpenShape, which has no such projection.
        """
        if self.pc_img_proj is None:
            raise ValueError(
                "this file has no pc_img_proj; expected one of MixCon3D, not OpenShape"
            )
        return self.pc_img_proj(torch.cat([clouds, images], 1))
