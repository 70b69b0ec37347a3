# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MixCon3D (Gao et al., CVPR 2024) as an object encoder: words and pictures.

The point encoder (:mod:`concerto_ros.objects.encoders.mixcon3d.network`) brings a coloured cloud
to the space of CLIP. MixCon3D adds projections of texts and of images; files of OpenShape, which
have none, load as well.
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

#: Where a file has which weights: live ones, and their running average over training.
WEIGHTS = {"live": "state_dict", "ema": "state_dict_ema"}

#: Entries of a file of MixCon3D that hold projections. That of images is never used: as published,
#: images go through the projection of texts.
PROJECTIONS = ("text_proj", "image_proj", "pc_img_proj")


def matches(state: State) -> bool:
    """Whether these are names of the point encoder of OpenShape and MixCon3D."""
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
    """The model of a published file of MixCon3D or OpenShape.

    content: the whole file; without it ``state`` alone. weights: ``live`` or ``ema``, by default
    ``ema`` where the file has it. balls: instead of those of the published size, which the file
    does not tell. points, head_width: as published unless given.

    Raises CheckpointError for names, shapes or a size that do not fit, and for weights that the
    file does not have; ValueError for another word.
    """
    content = content or {}
    if weights not in (None, *WEIGHTS):
        raise ValueError(f"weights is {weights!r}, expected one of {', '.join(WEIGHTS)}")
    if weights == "ema" and WEIGHTS["ema"] not in content:
        raise CheckpointError(f"{path} has no {WEIGHTS['ema']!r}; expected one, or weights 'live'")
    if weights != "live" and WEIGHTS["ema"] in content:
        state = find_state(content, path, (WEIGHTS["ema"],))
    else:
        state = _wrapped(content, state)
    sizes = Sizes.of_state(state)
    balls = balls or BALLS.get(sizes)
    if balls is None:
        raise CheckpointError(f"{path} has {sizes}, of which no grouping is published: give balls")
    heads = state["ppat.transformer.layers.0.0.fn.to_qkv.weight"].shape[0] // (3 * head_width)
    encoder = PointPatchTransformer(sizes, balls, heads, head_width)
    model = MixCon3D(encoder, sizes.width, state["proj.weight"].shape[0], points)
    projections = _projections(content, path)
    if projections:
        model.add_projections()
    load_weights(model, state | projections, path, ignore=("image_proj.",))
    return model


def _wrapped(content: dict[str, Any], state: State) -> State:
    """What OpenShape takes from its files: where some names begin with ``module.``, only those."""
    names = content.get(WEIGHTS["live"], ())
    wrapped = {name.removeprefix("module.") for name in names if name.startswith("module.")}
    return {name: value for name, value in state.items() if not wrapped or name in wrapped}


def _projections(content: dict[str, Any], path: Path) -> State:
    """Names and values of the projections that lie beside the state dict."""
    return {
        f"{name}.{key}": value
        for name in PROJECTIONS
        if name in content
        for key, value in find_state(content, path, (name,)).items()
    }


class MixCon3D(ObjectEncoder):
    """The point encoder with its way into the space of CLIP.

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
        """New projections, untrained, of texts and of clouds together with images."""
        width = self.feature_channels
        self.text_proj = nn.Linear(width, width)
        self.pc_img_proj = nn.Linear(2 * width, width)

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, D) vectors, to be compared by their cosine; not normalised.

        Raises ValueError for another shape than (B, N, 6).
        """
        if batch.ndim != 3 or batch.shape[2] != POINT_CHANNELS:
            raise ValueError(f"batch has shape {tuple(batch.shape)}, expected (B, N, 6)")
        return self.proj(self.ppat(batch))

    @property
    def knows_words(self) -> bool:
        """Always."""
        return True

    def embed_words(self, batch: torch.Tensor) -> torch.Tensor:
        """:meth:`embed`: every vector of this model can be compared with words."""
        return self.embed(batch)

    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """Raises ValueError: there are words instead of a head."""
        raise ValueError("MixCon3D has no head; compare its vectors with those of words")

    def project_words(self, texts: torch.Tensor) -> torch.Tensor:
        """(K, D) vectors of CLIP's text encoder as the model compares them."""
        return texts if self.text_proj is None else self.text_proj(texts)

    def project_views(self, images: torch.Tensor) -> torch.Tensor:
        """(B, V, D) vectors of CLIP's image encoder, V views of each object -> (B, D)."""
        return self.project_words(images).mean(1)

    def fuse(self, clouds: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """(B, D) of both: ``clouds`` (B, D) from :meth:`embed`, ``images`` (B, D) projected.

        Raises ValueError for a file of OpenShape, which has no such projection.
        """
        if self.pc_img_proj is None:
            raise ValueError(
                "this file has no pc_img_proj; expected one of MixCon3D, not OpenShape"
            )
        return self.pc_img_proj(torch.cat([clouds, images], 1))
