# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ReCon as an object encoder: classes, words, few examples, linear SVM.

One transformer (:mod:`concerto_ros.objects.encoders.recon.transformer`), and what the published
files add to it: a classification head after fine-tuning, projections to CLIP's space after
pre-training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.objects.encoders.recon.transformer import ReConShape, ReConTrunk
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.benchmarks import Benchmark
from concerto_ros.objects.encoders.shared.layers import mlp_head
from concerto_ros.objects.encoders.shared.preprocess import InputForm
from concerto_ros.objects.encoders.shared.weights import State, load_weights, part, under
from concerto_ros.ptv3.checkpoint import CheckpointError

#: Modules beside the transformer.
EXTRAS = ("cls_head_finetune.", "img_proj.", "text_proj.")

#: Names of a pre-training file that only reconstruction needs.
RECONSTRUCTION = ("mask_token", "decoder_pos_embed.", "MAE_decoder.", "increase_dim.")

#: (points, groups) by the number of classes, where a file does not tell: ScanObjectNN has 15.
FORMS = {15: (2048, 128)}
FORM = (1024, 64)

#: Points of a group.
GROUP_SIZE = 32

#: Weight of the text token beside the image token in zero-shot; else the default.
TEXT_RATIOS = {Benchmark.PB_T50_RS: 0.05, Benchmark.OBJ_BG: 0.10, Benchmark.OBJ_ONLY: 0.15}


def matches(state: State) -> bool:
    """Whether these are names of ReCon, fine-tuned or pre-trained."""
    state = encoder_part(state)
    return "img_token" in state and "blocks.blocks.0.norm1_contrast.weight" in state


def encoder_part(state: State) -> State:
    """The names of a pre-training file as a fine-tuned one has them, reconstruction left out."""
    inner = part(state, "MAE_encoder.")
    if not inner:
        return state
    return inner | {
        name: value
        for name, value in state.items()
        if not name.startswith(("MAE_encoder.", *RECONSTRUCTION))
    }


def from_state(
    state: State,
    path: Path,
    content: dict[str, Any] | None = None,
    *,
    heads: int | None = None,
    points: int | None = None,
    groups: int | None = None,
    group_size: int = GROUP_SIZE,
) -> ReCon:
    """The model of a published state dict.

    heads, points, groups, group_size: as published unless given; files do not tell them. With 15
    classes (ScanObjectNN) 2048 points in 128 groups, else 1024 in 64, of 32 points each.

    Raises CheckpointError for names or shapes that do not fit.
    """
    if "convs3.weight" in state:
        raise CheckpointError(f"{path} segments parts; load_recon_parts reads it")
    state = encoder_part(state)
    head = part(state, "cls_head_finetune.")
    classes = None
    if head:
        classes = head["8.weight" if "8.weight" in head else "0.weight"].shape[0]
    default_points, default_groups = FORMS.get(classes, FORM)
    shape = ReConShape.of_state(
        state, groups=groups or default_groups, group_size=group_size, heads=heads
    )
    model = ReCon(shape, points or default_points)
    if head:
        model.add_head(classes, linear="8.weight" not in head)
    if "img_proj.weight" in state:
        model.add_projections(*(state[f"{name}_proj.weight"].shape[0] for name in ("img", "text")))
    load_weights(model, under(state, "trunk.", beside=EXTRAS), path)
    return model


class ReCon(ObjectEncoder):
    """ReCon without its decoder. Batches are (B, N, 3) clouds of unit size with y up."""

    name = "recon"
    head_name = "cls_head_finetune"
    training_methods = ("full", "mlp3", "linear")

    def __init__(self, shape: ReConShape, points: int, size_power: float = 0.0):
        """size_power: see ``InputForm``; not published."""
        super().__init__()
        self.form = InputForm(points, size_power=size_power)
        self.trunk = ReConTrunk(shape)
        self.cls_head_finetune: nn.Sequential | None = None
        self.img_proj: nn.Linear | None = None
        self.text_proj: nn.Linear | None = None

    @property
    def feature_channels(self) -> int:
        return (2 if self.cls_head_finetune is None else 4) * self.trunk.shape.width

    @property
    def classes(self) -> int | None:
        head = self.cls_head_finetune
        return None if head is None else head[-1].out_features

    def add_head(self, classes: int, *, linear: bool = False) -> None:
        """A new head, untrained, in place of any other: three layers or a single one."""
        width = 4 * self.trunk.shape.width
        self.cls_head_finetune = (
            nn.Sequential(nn.Linear(width, classes)) if linear else mlp_head(width, classes)
        )

    def add_projections(self, image: int, text: int) -> None:
        """New projections, untrained, to the spaces of an image and of a text encoder."""
        self.img_proj = nn.Linear(self.trunk.shape.width, image)
        self.text_proj = nn.Linear(self.trunk.shape.width, text)

    def trained_parameters(self, method: str) -> dict[str, nn.Parameter]:
        """Beside a new head, the class token and its position: everything with "cls" in its name.

        Raises ValueError for ``adapters``.
        """
        every = super().trained_parameters(method)  # which refuses what there is not
        if method == "full":
            return every
        return {name: value for name, value in self.named_parameters() if "cls" in name}

    def reset_head(
        self, classes: int, method: str = "full", benchmark: Benchmark = Benchmark.OTHER
    ) -> None:
        """With ``full`` the projections go: they fit the encoder that it was before."""
        self.add_head(classes, linear=method == "linear")
        if method == "full":
            self.img_proj = self.text_proj = None

    def published_state(self) -> State:
        return {name.removeprefix("trunk."): v for name, v in self.state_dict().items()}

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, feature_channels): what the head takes; without one, the linear SVM."""
        pool = self.svm_feature if self.cls_head_finetune is None else self.class_feature
        return pool(*self.trunk(batch))

    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, classes) logits."""
        if self.cls_head_finetune is None:
            raise ValueError("this ReCon checkpoint has no head; expected a fine-tuned one")
        return self.cls_head_finetune(self.embed(batch))

    @property
    def knows_words(self) -> bool:
        """Whether the file had projections."""
        return self.img_proj is not None

    def embed_words(self, batch: torch.Tensor, *, text_ratio: float = 0.25) -> torch.Tensor:
        """(B, D) vectors to be compared with CLIP's of texts by their cosine; not normalised.

        text_ratio: weight of the text token beside the image token. Published: 0.20 ModelNet10,
        0.25 ModelNet40; ScanObjectNN 0.05 hardest, 0.10 with background, 0.15 objects only.

        Raises ValueError where the file had no projections.
        """
        if self.img_proj is None:
            raise ValueError(
                "this ReCon checkpoint has no projections; expected a pre-trained one"
            )
        image, text = self.word_features(self.trunk(batch)[0])
        return image + text_ratio * text

    def word_features(self, world: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The image token and the text token of (B, 3, C) in the spaces of their teachers."""
        return self.img_proj(world[:, 1]), self.text_proj(world[:, 2])

    @staticmethod
    def class_feature(world: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        """(B, 4 C): the three global tokens and the greatest of the patches."""
        return torch.cat([world.flatten(1), patches.amax(1)], 1)

    @staticmethod
    def svm_feature(world: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        """(B, 2 C): the greatest of the global tokens; of the patches, the greatest plus mean."""
        return torch.cat([world.amax(1), patches.amax(1) + patches.mean(1)], 1)

    @classmethod
    def fine_tuning(
        cls, method: str, benchmark: Benchmark, points: int | None, few_shot: bool
    ) -> dict[str, Any]:
        modelnet = benchmark is Benchmark.MODELNET40
        if method == "full":
            rate = 5e-4 if few_shot else 1e-5 if modelnet else 2e-5
        else:
            rate = 1e-3 if few_shot else 5e-5 if modelnet and points == 8192 else 1e-4
        return {
            "learning_rate": rate,
            # Upstream turns few-shot clouds although they are ModelNet40's.
            "change": "scale_shift" if modelnet and not few_shot else "turn",
            "head_factor": 10.0,
            "epochs": 150 if few_shot else 300,
            "drop_path": 0.1 if few_shot else 0.2,
        }

    @classmethod
    def published_options(cls, benchmark: Benchmark, protocol: str) -> dict[str, Any]:
        if not benchmark.scanned:
            return {}
        points, groups = FORMS[15]
        if protocol != "zero-shot":
            return {"points": points, "groups": groups}
        groups, size = (32, 128) if benchmark is Benchmark.OBJ_ONLY else (64, 64)
        return {"points": points, "groups": groups, "group_size": size}

    @classmethod
    def word_options(cls, benchmark: Benchmark) -> dict[str, Any]:
        return {"text_ratio": TEXT_RATIOS[benchmark]} if benchmark in TEXT_RATIOS else {}
