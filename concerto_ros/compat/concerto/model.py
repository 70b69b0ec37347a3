# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encoder as a model that takes a cloud as a dict, and returns its pooled levels as such."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from concerto_ros.compat.concerto.structure import Point
from concerto_ros.ptv3.bundled import DEMO, read_demo
from concerto_ros.ptv3.checkpoint import (
    TRAINING_PARAMETERS,
    check_finite,
    config_in,
    licence_of,
    load_strictly,
    log_licence,
    read_checkpoint,
)
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder, PyramidLevel
from concerto_ros.ptv3.official_files import OFFICIAL_ENCODERS, OFFICIAL_HEADS, fetch_file
from concerto_ros.ptv3.state_dict import ENCODER_PARAMETER, CheckpointError, part_with

log = logging.getLogger(__name__)

#: The names that :func:`load` knows beside files.
MODELS = (DEMO, *OFFICIAL_ENCODERS, *OFFICIAL_HEADS)

#: Entries that the points of a pooled level have the mean of.
_AVERAGED = ("color", "origin_coord")
#: Entries that say something about all clouds, and so hold for every level.
_KEPT = ("condition", "context", "name", "split")


class PointTransformerV3(
    Encoder,
    PyTorchModelHubMixin,
    repo_url="https://github.com/Pointcept/Concerto",
    paper_url="https://arxiv.org/abs/2510.23607",
):
    """Point Transformer V3 (Wu et al., CVPR 2024) with the calls of the Concerto package.

    ``from_pretrained``, ``save_pretrained`` and ``push_to_hub`` are those of huggingface_hub: a
    folder or repository with ``config.json`` and ``model.safetensors``.

    Args:
        fields: those of an official config, see
            :class:`~concerto_ros.ptv3.config.PTv3Config`. A model with ``rope_base`` has rotary
            embeddings (Utonia); one with ``mask_token`` has the parameter of that name, which
            inference does not use.

    Raises:
        ConfigError: (a ValueError) a field is not known or not supported.
    """

    def __init__(self, **fields: Any):
        super().__init__(PTv3Config.from_official(fields, rotary="rope_base" in fields))
        if fields.get("mask_token"):
            token = nn.Parameter(torch.zeros(1, self.config.enc_channels[0]))
            self.embedding.register_parameter("mask_token", token)

    def forward(self, data_dict: Mapping[str, Any]) -> Point:  # type: ignore[override]
        """Encode a batch of clouds.

        Args:
            data_dict: ``feat`` (N, in_channels) float: xyz, colour 0..1, unit normal; ``coord``
                (N, 3) float, metres times the scale of the model; ``grid_coord`` (N, 3) integer,
                at least 0, each voxel once in a cloud, or ``grid_size``, in the unit of
                ``coord``; and ``offset`` (B,) cumulative sizes of the clouds, or ``batch`` (N,),
                or neither for a single cloud. It is not changed; what else it holds is handed on.

        Returns:
            The coarsest level: ``feat``, ``coord``, ``grid_coord``, ``batch``, ``offset``, the
                mean of ``color`` if there is one, ``pooling_parent``, the next finer level, and
                ``pooling_inverse``, the row of each of its rows. The finest level, the only one
                of a model with a decoder, has what ``data_dict`` has.

        Raises:
            ValueError: an entry is missing, or has another shape, type or range; the text names
                it.
        """
        point = _checked(Point(data_dict))
        levels = super().forward(point.feat, point.grid_coord, point.coord, point.offset).levels
        point.feat = levels[0].feat
        for level, stride in zip(levels[1:], self.config.stride, strict=False):
            point = _pooled(point, level, stride)
        return point

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, strict: bool = True, **options: Any
    ) -> PointTransformerV3:
        """Load the weights of ``from_pretrained``: all of them, and all finite."""
        log.info("weights of %s: its page says under which licence", model_id)
        model = super()._from_pretrained(model_id=model_id, strict=strict, **options)
        model.name = model_id
        check_finite(model, Path(model_id))
        return model


def load(
    name: str | os.PathLike = "concerto_large",
    repo_id: str | None = None,
    download_root: str | os.PathLike | None = None,
    custom_config: Mapping[str, Any] | None = None,
    ckpt_only: bool = False,
) -> Any:
    """Load a model, by its file or by an official name.

    Args:
        name: a file ``{"config", "state_dict"}``, one of :data:`MODELS`; ``demo`` is the bundled
            indoor model. A name is downloaded unless it is on this machine.
        repo_id: the Hugging Face repository to take a name from; None: the one that releases it.
        download_root: the folder for the download; None: the cache of huggingface_hub.
        custom_config: fields that replace those of the file's config.
        ckpt_only: whether the content of the file is returned, as for the heads.

    Returns:
        :class:`PointTransformerV3` on the CPU in evaluation mode, with gradients; or the content,
            ``config`` and ``state_dict``.

    Raises:
        CheckpointError: (a ValueError) the file is missing, is no checkpoint, does not fit its
            config, or holds weights that are not finite.
        ConfigError: (a ValueError) a config field is not supported.
    """
    content, path = _content(os.fspath(name), repo_id, download_root)
    config = {**config_in(content, path), **(custom_config or {})}
    if ckpt_only:
        return {**content, "config": config}
    state = part_with(content["state_dict"], ENCODER_PARAMETER, path)
    if any(entry.endswith("attn.rope.inv_freq") for entry in state):
        config.setdefault("rope_base", PTv3Config.rope_base)
    else:
        config.pop("rope_base", None)
    config["mask_token"] = not TRAINING_PARAMETERS.isdisjoint(state)
    model = PointTransformerV3(**config)
    load_strictly(model, state, path)
    model.name, model.licence = os.fspath(name), licence_of(content, path)
    log_licence(content, path)
    count = sum(parameter.numel() for parameter in model.parameters())
    log.info("weights of %s: %.2f million parameters", path.name, count / 1e6)
    return model.eval()


def _content(
    name: str, repository: str | None, folder: str | os.PathLike | None
) -> tuple[dict[str, Any], Path]:
    """Return the content and the path of a checkpoint."""
    if name == DEMO:
        return read_demo("encoder")
    official = OFFICIAL_ENCODERS | OFFICIAL_HEADS
    if name in official and repository is not None:
        official[name] = repository
    if name not in official or folder is None:
        return read_checkpoint(name, official)
    file = Path(folder) / f"{name}.pth"
    if not file.is_file():
        try:
            file = fetch_file(official[name], file.name, folder=folder)
        except Exception as error:  # whatever a network, proxy or cache raises
            raise CheckpointError(
                f"cannot fetch {file.name} of huggingface.co/{official[name]}"
                f" ({type(error).__name__}); put it at {file}"
            ) from error
    return read_checkpoint(file, {})


def _checked(point: Point) -> Point:
    """Return a batch with all that the encoder takes."""
    if "mask" in point:
        raise ValueError("mask: got one, expected none; masked points are for pre-training only")
    for entry in ("feat", "coord"):
        if not isinstance(point.get(entry), torch.Tensor):
            raise ValueError(
                f"{entry}: got {type(point.get(entry)).__name__}, expected a tensor with a row for"
                " each point; transform.default() makes one"
            )
    if "offset" not in point:
        size = len(point.coord)
        point.offset = torch.tensor([size], device=point.coord.device)
        point.batch = torch.zeros(size, dtype=torch.int64, device=point.coord.device)
    if "grid_coord" not in point:
        if "grid_size" not in point:
            raise ValueError("grid_coord: got none and no grid_size, expected one of the two")
        coord = point.coord - point.coord.amin(0)
        point.grid_coord = torch.div(coord, point.grid_size, rounding_mode="trunc").long()
    return point


def _pooled(parent: Point, level: PyramidLevel, stride: int) -> Point:
    """Return a pooled level of the batch ``parent``."""
    pooling = level.geometry.pooled_from
    sizes = torch.bincount(pooling.cluster, minlength=len(level.feat))
    point = Point(
        feat=level.feat,
        coord=level.coord,
        grid_coord=level.grid_coord,
        batch=level.batch,
        offset=level.offset,
        pooling_parent=parent,
        pooling_inverse=pooling.cluster,
        idx_ptr=torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]),
    )
    for name in _KEPT:
        if name in parent:
            point[name] = parent[name]
    for name in _AVERAGED:
        if name in parent:
            point[name] = pooling.reduce(parent[name], "mean")
    if "grid_size" in parent:
        point.grid_size = parent.grid_size * stride
    return point
