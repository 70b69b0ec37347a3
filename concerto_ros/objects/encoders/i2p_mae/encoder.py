# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""I2P-MAE as an object encoder: classes, few examples, linear SVM.

The hierarchical encoder (:mod:`concerto_ros.objects.encoders.i2p_mae.network`) and what the
published files add to it: normalised levels after pre-training, a classification head after
fine-tuning.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.objects.encoders.i2p_mae.network import Grouping, HierarchicalEncoder, Widths
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.benchmarks import Benchmark
from concerto_ros.objects.encoders.shared.layers import head_classes, mlp_head
from concerto_ros.objects.encoders.shared.preprocess import InputForm
from concerto_ros.objects.encoders.shared.weights import State, load_weights, part
from concerto_ros.ptv3.checkpoint import CheckpointError

GROUPS = (512, 256, 64)

#: Published groupings by what the model is for; "hardest" is PB_T50_RS of ScanObjectNN, "objects"
#: its splits OBJ_BG and OBJ_ONLY.
GROUPINGS = {
    "svm": Grouping(GROUPS, (16, 8, 8), (0.0, 0.0, 0.0)),
    "modelnet40": Grouping(GROUPS, (48, 24, 24), (0.24, 0.48, 0.96)),
    "objects": Grouping(GROUPS, (32, 16, 16), (0.32, 0.64, 1.28)),
    "hardest": Grouping(GROUPS, (32, 16, 16), (0.48, 0.96, 1.92)),
}

#: Points of an object for each grouping.
POINTS = {"svm": 1024, "modelnet40": 1024, "objects": 2048, "hardest": 2048}

#: The grouping for each benchmark.
TUNED_FOR = {
    Benchmark.MODELNET40: "modelnet40",
    Benchmark.MODELNET10: "modelnet40",
    Benchmark.OBJ_BG: "objects",
    Benchmark.OBJ_ONLY: "objects",
    Benchmark.PB_T50_RS: "hardest",
}

HEADS = 6

#: Names of a pre-training file that only reconstruction needs, and its teacher.
RECONSTRUCTION = (
    "mask_token",
    "h_decoder.",
    "decoder_pos_embeds.",
    "decoder_norm.",
    "token_prop.",
    "rec_head_",
    "clip_model.",
)


def matches(state: State) -> bool:
    """Return whether these are parameter names of I2P-MAE, fine-tuned or pre-trained."""
    return any(name.startswith("h_encoder.token_embed.") for name in state)


def from_state(
    state: State,
    path: Path,
    content: dict[str, Any] | None = None,
    *,
    benchmark: str | None = None,
    grouping: Grouping | None = None,
    points: int | None = None,
    heads: int | None = None,
) -> I2PMAE:
    """Build the model of a published state dict, fine-tuned or pre-trained.

    Args:
        state: Tensors by their published names.
        path: Where the state comes from, for error messages.
        content: Everything in the file. One of this package whose groups are not the published
            ones has ``grouping``, ``heads`` and ``points``, which count where no others are given.
        benchmark: A key of :data:`GROUPINGS`, which published files do not store. None for
            ``svm`` after pre-training, ``modelnet40`` for a head that reads mean + maximum, and
            ``hardest`` for one that reads both side by side (ScanObjectNN).
        grouping: Replaces the published grouping.
        points: Replaces the published number of points.
        heads: Attention heads of every block.

    Raises:
        CheckpointError: If names or shapes do not match.
        ValueError: If ``benchmark`` is no key of :data:`GROUPINGS`.
    """
    content = content or {}
    state = {name: v for name, v in state.items() if not name.startswith(RECONSTRUCTION)}
    head = part(state, "cls_head_finetune.")
    widths = Widths.of_state(state, heads or content.get("heads", HEADS))
    joined = bool(head) and head["0.weight"].shape[1] == 2 * widths.channels[-1]
    if benchmark is None:
        benchmark = ("hardest" if joined else "modelnet40") if head else "svm"
    if benchmark not in GROUPINGS:
        raise ValueError(f"benchmark is {benchmark!r}, expected one of {', '.join(GROUPINGS)}")
    if "grouping" in content:
        grouping = grouping or _stored_grouping(content["grouping"], path)
        points = points or content.get("points")
    model = I2PMAE(widths, grouping or GROUPINGS[benchmark], points or POINTS[benchmark])
    if head:
        model.add_head(head["8.weight"].shape[0], joined=joined)
    load_weights(model, state, path)
    return model


def _stored_grouping(stored: Any, path: Path) -> Grouping:
    names = [field.name for field in fields(Grouping)]
    if not isinstance(stored, dict) or sorted(stored) != sorted(names):
        raise CheckpointError(
            f"{path}: 'grouping' is {stored!r}, expected {', '.join(names)} of each level"
        )
    return Grouping(**{name: tuple(stored[name]) for name in names})


class I2PMAE(ObjectEncoder):
    """I2P-MAE without its decoder. Batches are (B, N, 3) clouds of unit size with y up."""

    name = "i2p_mae"
    head_name = "cls_head_finetune"
    training_methods = ("full",)

    def __init__(self, widths: Widths, grouping: Grouping, points: int):
        super().__init__()
        self.form = InputForm(points)
        self.width, self.heads = widths.channels[-1], widths.heads
        self.h_encoder = HierarchicalEncoder(widths, grouping, level_norms=True)
        self.joined = False
        self.norm: nn.LayerNorm | None = None
        self.cls_head_finetune: nn.Sequential | None = None

    # The head decides; other encoders store the attribute.
    @property
    def feature_channels(self) -> int:  # type: ignore[override]
        """Width of :meth:`embed`: of the tokens, or twice that with a joined head."""
        return 2 * self.width if self.joined else self.width

    # The head decides; other encoders store the attribute.
    @property
    def classes(self) -> int | None:  # type: ignore[override]
        """Number of classes of the head; None without one."""
        return head_classes(self.cls_head_finetune)

    def stored_facts(self) -> dict[str, Any]:
        """Implement :meth:`ObjectEncoder.stored_facts`: nothing for the published groups."""
        grouping = self.h_encoder.grouping
        if grouping.groups == GROUPS:
            return {}
        lists = {name: list(value) for name, value in asdict(grouping).items()}
        return {"grouping": lists, "heads": self.heads, "points": self.points}

    def add_head(self, classes: int, *, joined: bool = False) -> None:
        """Add an untrained head, in place of any other and of the norms of pre-training.

        Args:
            classes: Number of classes.
            joined: Read mean and maximum of the tokens side by side (as for ScanObjectNN), else
                their sum (as for ModelNet40).
        """
        self.joined = joined
        self.h_encoder.encoder_norms = None
        self.norm = nn.LayerNorm(self.width)
        self.cls_head_finetune = mlp_head(self.feature_channels, classes)

    def reset_head(
        self, classes: int, method: str = "full", benchmark: Benchmark = Benchmark.OTHER
    ) -> None:
        """Implement :meth:`ObjectEncoder.reset_head`; the head is joined on ScanObjectNN."""
        self.add_head(classes, joined=benchmark.scanned)

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """Return what the head or, without one, the linear SVM takes: (B, feature_channels)."""
        return self.pool(self.h_encoder(batch))

    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """Return (B, classes) logits.

        Raises:
            ValueError: If the checkpoint has no head.
        """
        if self.cls_head_finetune is None:
            raise ValueError("this I2P-MAE checkpoint has no head; expected a fine-tuned one")
        return self.cls_head_finetune(self.embed(batch))

    def pool(self, tokens: torch.Tensor) -> torch.Tensor:
        """Pool the tokens (B, G, C) of the highest level to one vector each."""
        if self.norm is None:
            return self.h_encoder.normalise_top(tokens).amax(1)
        tokens = self.norm(tokens)
        mean, greatest = tokens.mean(1), tokens.amax(1)
        return torch.cat([mean, greatest], 1) if self.joined else mean + greatest

    @classmethod
    def fine_tuning(
        cls, method: str, benchmark: Benchmark, points: int | None, few_shot: bool
    ) -> dict[str, Any]:
        """Return the published hyper-parameters, see :meth:`ObjectEncoder.fine_tuning`."""
        modelnet = benchmark.modelnet
        return {
            "learning_rate": 5e-4,
            "change": "scale_shift" if modelnet else "stretch_turn_together",
            "smoothing": 0.2 if modelnet else 0.0,
            "drop_path": 0.1,
            "lag": 1,
        }

    @classmethod
    def vote_change(cls, benchmark: Benchmark) -> str | None:
        """Return the augmentation of the published vote, see :meth:`ObjectEncoder.vote_change`."""
        return "scale_shift"

    @classmethod
    def linear_svm(cls, benchmark: Benchmark) -> dict[str, Any]:
        """Return the published SVM, see :meth:`ObjectEncoder.linear_svm`.

        It takes the first points as stored; for OBJ_BG and OBJ_ONLY those are all points.
        """
        if benchmark.modelnet:
            return {"one_vs_one": True, "c": 0.0093, "first": True}
        if benchmark in (Benchmark.OBJ_BG, Benchmark.OBJ_ONLY):
            return {"one_vs_one": True, "c": 0.018, "first": True}
        return super().linear_svm(benchmark)

    @classmethod
    def published_options(cls, benchmark: Benchmark, protocol: str) -> dict[str, Any]:
        """Return the published options, see :meth:`ObjectEncoder.published_options`."""
        if protocol == "svm":
            return {
                "benchmark": "svm",
                "points": POINTS["objects" if benchmark.scanned else "svm"],
            }
        if benchmark in TUNED_FOR:
            return {"benchmark": TUNED_FOR[benchmark]}
        # By default a pre-training file is read for the linear SVM.
        return {"benchmark": "modelnet40"} if protocol == "fine-tune" else {}
