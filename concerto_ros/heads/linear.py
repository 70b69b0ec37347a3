# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Linear heads: one matrix from features to class scores, in the official file layout."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.files.torch_file import on_cpu, write_file
from concerto_ros.heads.added_rows import AddedRows
from concerto_ros.heads.familiarity import Familiarity
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.ptv3.bundled import DEMO, read_demo
from concerto_ros.ptv3.checkpoint import (
    CheckpointError,
    check_finite,
    load_strictly,
    log_licence,
    preset_in,
    read_checkpoint,
    text_in,
)
from concerto_ros.ptv3.cpu.onednn import linear
from concerto_ros.ptv3.encoder import Encoder, Pyramid
from concerto_ros.ptv3.joined_levels import joined_levels
from concerto_ros.ptv3.official_files import OFFICIAL_HEADS
from concerto_ros.ptv3.state_dict import HEAD_PARAMETER, StateDict, part_with

#: The entry of :attr:`LinearHead.temperature` in a head's state dict.
TEMPERATURE = "softmax_temperature"
#: How the entries of :attr:`LinearHead.familiarity` begin there.
_FAMILIARITY = "familiarity."


class LinearHead(nn.Module):
    """Linear class scores of each point from its feature.

    Attributes:
        name: the name or path that it was loaded by.
        trained: False for random weights.
        labels: its classes, where its file stores them; None: use a label set of its size.
        preset: the preset whose input convention it was trained with; None where its file does not
            store one.
        encoder: digest of the encoder it was trained on; None where its file does not store one.
        intensity_white: intensity that was white in the training, where it took the place of
            colours; 0: colours were colours.
        temperature: number by which scores are divided before the softmax that turns them into
            confidences (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017); labels
            do not depend on it. 1 where the file does not store one, as in official files.
        familiarity: how far features are from those of the training; None where the file does not
            store it, so that nothing is known to be unfamiliar.
        in_channels: feature width, that of ``Pyramid.upcast``.
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
        self.encoder: str | None = None
        self.intensity_white = 0.0
        self.seg_head = nn.Linear(in_channels, num_classes)
        # In the state dict, and so in the bundled file and in digests, once there is one.
        self.register_buffer(TEMPERATURE, None)
        self.familiarity: Familiarity | None = None

    @property
    def temperature(self) -> float:
        """See the class; setting it raises ValueError where it is not finite and above 0."""
        stored = self.softmax_temperature
        return 1.0 if stored is None else float(stored)

    @temperature.setter
    def temperature(self, value: float) -> None:
        if not (isinstance(value, (int, float)) and 0 < value < math.inf):
            raise ValueError(f"temperature is {value!r}; expected a finite number above 0")
        self.softmax_temperature = None if value == 1 else torch.tensor(float(value))

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike,
        encoder: Encoder | None = None,
        *,
        preset: str | None = None,
        download: bool = True,
    ) -> LinearHead:
        """Load a head in evaluation mode.

        Official files hold a config ``backbone_out_channels`` and ``num_classes`` and a state dict
        ``seg_head.weight`` and ``seg_head.bias``. Files of this package may add ``label_set``, the
        classes, ``preset``, whose input convention the head was trained with,
        ``temperature`` and ``familiarity``. A checkpoint of a training, without a config or with
        that of the encoder, holds them beside the encoder.

        Args:
            name_or_path: path of a file, an official name (:data:`OFFICIAL_HEADS`), or ``demo``
                for the head of the bundled model of ``preset``.
            encoder: the encoder whose device and weight type the head takes; None: float32 on the
                CPU.
            preset: which bundled model ``demo`` is: ``indoor`` or ``outdoor``; None: that of
                ``encoder``, indoor without one. Files and official names do not depend on it.
            download: whether a file that is not on this machine may be downloaded.

        Raises:
            CheckpointError: (a ValueError) the file does not exist, is not a valid head, or holds
                weights that are not finite or a temperature that is not a finite number above 0.
            ValueError: the head does not fit the encoder.
        """
        if os.fspath(name_or_path) == DEMO:
            preset = preset or (encoder and encoder.preset) or "indoor"
            content, path = read_demo("head", preset)
            state = content["state_dict"]
            head = cls(*_shape_of(state, path), name=content["name"])
            _load(head, content, state, path)
            head.labels = _as_many(LabelSet.load(content["name"]), head.num_classes, path)
            head.preset, head.encoder = preset_in(content, path), content["encoder"]
        else:
            content, path = read_checkpoint(name_or_path, OFFICIAL_HEADS, download=download)
            state = part_with(content["state_dict"], HEAD_PARAMETER, path)
            if _of_training(content.get("config")):
                state = {name: state[name] for name in state if name.startswith("seg_head.")}
                width, classes = _shape_of(state, path)
            else:
                width, classes = _shape(content["config"], path)
            head = cls(width, classes, name=os.fspath(name_or_path))
            _load(head, content, state, path)
            head.labels = _labels(content, head.num_classes, path)
            head.preset = preset_in(content, path)
            head.encoder = text_in(content, "encoder", "the digest of an encoder", path)
            head.intensity_white = _intensity_white(content, path)
            log_licence(content, path)
        if encoder is not None:
            head.concat_levels(encoder)
            weight = next(encoder.parameters())
            head = head.to(device=weight.device, dtype=weight.dtype)
            check_finite(head, path)
        return head.eval().requires_grad_(False)

    @property
    def in_channels(self) -> int:
        """Feature width that the head takes."""
        return self.seg_head.in_features

    @property
    def num_classes(self) -> int:
        """Number of scores for each point."""
        return self.seg_head.out_features

    def forward(self, feat: torch.Tensor) -> torch.Tensor:
        """Return (N, num_classes) logits of (N, in_channels) features.

        Raises:
            ValueError: The features have another shape.
        """
        if feat.ndim < 1 or feat.shape[-1] != self.in_channels:
            raise ValueError(
                f"feat: got shape {tuple(feat.shape)}, expected (N, {self.in_channels}) features,"
                " as the head was trained on"
            )
        return self.seg_head(feat.to(self.seg_head.weight.dtype))

    def scores(self, pyramid: Pyramid, concat_levels: int) -> torch.Tensor:
        """Compute ``self(pyramid.upcast(concat_levels))`` without the wide matrix."""
        return self.scores_by_level(pyramid.feats, pyramid.clusters, concat_levels)

    def scores_by_level(
        self, feats: Sequence[torch.Tensor], clusters: Sequence[torch.Tensor], concat_levels: int
    ) -> torch.Tensor:
        """Compute the scores level by level, (N, num_classes).

        Scores are passed down the levels instead of features: a few numbers per voxel instead of
        hundreds, forwards and backwards.

        Args:
            feats: features of each level, as in :class:`Pyramid`.
            clusters: rows of the coarser levels, as in :class:`Pyramid`.
            concat_levels: how many finer levels the head takes beside the coarsest.
        """
        finest = len(feats) - 1 - concat_levels
        widths = [feat.shape[1] for feat in feats[finest:]]
        parts = self.seg_head.weight.split(widths, dim=1)

        def scores_of(level: int) -> torch.Tensor:
            part = parts[level - finest]
            return linear(feats[level], part)

        scores = scores_of(len(feats) - 1)
        for level in range(len(feats) - 2, -1, -1):
            scores = scores.index_select(0, clusters[level])
            if level >= finest:
                scores = scores + scores_of(level)
        return scores + self.seg_head.bias

    def feature_logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return the (n, num_classes) logits of (n, in_channels) features on the CPU, float32."""
        weight, bias = self._matrix()
        return features @ weight.T + bias

    def with_rows(self, rows: AddedRows, labels: LabelSet) -> LinearHead:
        """Return a copy with the rows of taught classes, float32 on the CPU.

        Args:
            rows: fitted beside :meth:`feature_logits`.
            labels: the classes of the copy.
        """
        weight, bias = self._matrix()
        more = len(labels) - self.num_classes
        taught = list(rows.labels)
        head = LinearHead(self.in_channels, len(labels), name=self.name, trained=self.trained)
        head.preset, head.encoder, head.temperature = self.preset, self.encoder, self.temperature
        head.intensity_white = self.intensity_white
        head.familiarity, head.labels = copy.deepcopy(self.familiarity), labels
        head.seg_head.weight.data = torch.cat([weight, weight.new_zeros(more, self.in_channels)])
        head.seg_head.bias.data = torch.cat([bias, bias.new_zeros(more)])
        head.seg_head.weight.data[taught] = rows.weight + rows.mix @ weight
        head.seg_head.bias.data[taught] = rows.bias + rows.mix @ bias
        return head.eval().requires_grad_(False)

    def _matrix(self) -> tuple[torch.Tensor, torch.Tensor]:
        layer = self.seg_head
        return layer.weight.detach().float().cpu(), layer.bias.detach().float().cpu()

    def concat_levels(self, encoder: Encoder) -> int:
        """Return how many levels ``upcast`` must join to give this head's width.

        Raises:
            ValueError: no number of levels of ``encoder`` has this width; the text names both.
        """
        joined = joined_levels(self.name, self.in_channels, encoder)
        known = self.familiarity
        if known is not None and len(known.mean) not in encoder.channels:
            raise ValueError(
                f"head {self.name!r} has a familiarity of {len(known.mean)} channels, encoder"
                f" {encoder.name!r} has levels of {list(encoder.channels)}; expected a head that"
                " was trained on this encoder"
            )
        return joined


def _labels(content: dict[str, Any], num_classes: int, path: Path) -> LabelSet | None:
    """Return the classes stored in a file of this package; None for official files."""
    if "label_set" not in content:
        return None
    try:
        labels = LabelSet.from_content(content["label_set"], path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    return _as_many(labels, num_classes, path)


def _as_many(labels: LabelSet, num_classes: int, path: Path) -> LabelSet:
    """Return the classes of the head in a file; they have to be as many as it has scores."""
    if len(labels) != num_classes:
        raise CheckpointError(
            f"{path} has {len(labels)} classes in label_set, expected {num_classes} as in its"
            " config"
        )
    return labels


def _familiarity(content: dict[str, Any], path: Path) -> StateDict:
    """Return the familiarity stored in a file as entries of the head's state dict."""
    stored = content.get("familiarity", {})
    if not isinstance(stored, dict) or not all(
        isinstance(value, torch.Tensor) for value in stored.values()
    ):
        raise CheckpointError(
            f"{path} has familiarity of type {type(stored).__name__}, expected tensors by name"
        )
    return {f"{_FAMILIARITY}{name}": value for name, value in stored.items()}


def _load(head: LinearHead, content: dict[str, Any], state: StateDict, path: Path) -> None:
    """Load a state dict into a head, and the temperature and familiarity beside it or in it."""
    state = state | _familiarity(content, path)
    temperature = state.pop(TEMPERATURE, content.get("temperature"))
    mean, whitening = (state.get(f"{_FAMILIARITY}{name}") for name in ("mean", "whitening"))
    # Where the shapes do not fit each other, loading names what is too much.
    if mean is not None and whitening is not None and whitening.shape == mean.shape * 2:
        head.familiarity = Familiarity(mean.numel())
    load_strictly(head, state, path)
    _set_temperature(head, temperature, path)


def _set_temperature(head: LinearHead, stored: Any, path: Path) -> None:
    """Give ``head`` the temperature stored in a file, a number or a tensor of one; None: no."""
    if stored is None:
        return
    try:
        head.temperature = stored.item() if isinstance(stored, torch.Tensor) else stored
    except (RuntimeError, ValueError):
        raise CheckpointError(
            f"{path} has temperature {stored!r}, expected a finite number above 0"
        ) from None


def _of_training(config: object) -> bool:
    """Return whether a file with this ``config`` holds a segmenter of a training, not a head."""
    return config is None or (isinstance(config, dict) and "enc_channels" in config)


def _shape_of(state: StateDict, path: Path) -> tuple[int, int]:
    """Return feature width and number of classes by the weights."""
    weight = state.get(HEAD_PARAMETER)
    if weight is None or weight.ndim != 2:
        got = "no such tensor" if weight is None else f"one of shape {tuple(weight.shape)}"
        raise CheckpointError(
            f"{path} has {got} under {HEAD_PARAMETER!r} in its state_dict, expected (classes,"
            " feature width) as in a linear head"
        )
    return weight.shape[1], weight.shape[0]


def _shape(config: dict[str, Any], path: Path) -> tuple[int, int]:
    """Return feature width and number of classes."""
    fields = ("backbone_out_channels", "num_classes")
    sizes = [config.get(field) for field in fields]
    if set(config) != set(fields) or not all(type(size) is int and size > 0 for size in sizes):
        raise CheckpointError(
            f"{path} has config {config}, expected the positive whole numbers"
            f" {' and '.join(fields)}"
        )
    return config["backbone_out_channels"], config["num_classes"]


def _intensity_white(content: dict[str, Any], path: Path) -> float:
    white = content.get("intensity_white", 0.0)
    if not (isinstance(white, (int, float)) and 0 <= white < math.inf):
        raise CheckpointError(
            f"{path} has intensity_white {white!r}, expected 0 or a number above"
        )
    return float(white)


def save_head(path: Path, head: LinearHead) -> None:
    """Write a linear head in the official layout; :meth:`LinearHead.load` reads it back.

    Its classes, preset, temperature and familiarity are added where they are known.
    """
    config = {"backbone_out_channels": head.in_channels, "num_classes": head.num_classes}
    weights = on_cpu({f"seg_head.{k}": value for k, value in head.seg_head.state_dict().items()})
    content: dict[str, Any] = {"config": config, "state_dict": weights}
    if head.temperature != 1:
        content["temperature"] = head.temperature
    if head.familiarity is not None:
        content["familiarity"] = on_cpu(head.familiarity.state_dict())
    if head.labels is not None:
        content["label_set"] = head.labels.content
    if head.preset is not None:
        content["preset"] = head.preset
    if head.encoder:
        content["encoder"] = head.encoder
    if head.intensity_white:
        content["intensity_white"] = head.intensity_white
    write_file(path, content)
