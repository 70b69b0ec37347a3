# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ReCon as an object encoder: classes, words, few-shot examples, linear SVM.

One transformer (:mod:`concerto_ros.objects.encoders.recon.transformer`) and what the published
files add to it: a classification head after fine-tuning, projections to CLIP's space after
pre-training.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.objects.encoders.recon.transformer import (
    ReConShape,
    ReConTrunk,
    official_heads,
)
from concerto_ros.objects.encoders.shared.base import ObjectEncoder
from concerto_ros.objects.encoders.shared.benchmarks import Benchmark
from concerto_ros.objects.encoders.shared.layers import head_classes, mlp_head
from concerto_ros.objects.encoders.shared.preprocess import InputForm
from concerto_ros.objects.encoders.shared.weights import State, load_weights, part, under
from concerto_ros.ptv3.checkpoint import CheckpointError

log = logging.getLogger(__name__)

#: Modules beside the transformer.
EXTRAS = ("cls_head_finetune.", "img_proj.", "text_proj.")

#: What class tokens were contrasted by, in files of a pre-training with ``self_contrastive``.
SELF_CONTRAST = "cls_proj."

#: Names of a pre-training file that only pre-training needs.
PRETRAINING = (
    "mask_token",
    "decoder_pos_embed.",
    "MAE_decoder.",
    "increase_dim.",
    SELF_CONTRAST,
)

#: Points of an object, which files do not store: by the number of classes (ScanObjectNN has 15),
#: and else.
POINTS_OF_CLASSES: dict[int | None, int] = {15: 2048}
POINTS = 1024

#: Points of a group.
GROUP_SIZE = 32

#: What files of this package store where it is not as published.
FORM = ("heads", "points", "groups", "group_size")

#: Weight of the text token beside the image token in zero-shot; others take the default.
TEXT_RATIOS = {
    Benchmark.MODELNET10: 0.20,
    Benchmark.PB_T50_RS: 0.05,
    Benchmark.OBJ_BG: 0.10,
    Benchmark.OBJ_ONLY: 0.15,
}


def matches(state: State) -> bool:
    """Return whether these are parameter names of ReCon, fine-tuned or pre-trained."""
    state = encoder_part(state)
    return "img_token" in state and "blocks.blocks.0.norm1_contrast.weight" in state


def encoder_part(state: State) -> State:
    """Rename a pre-training file's state dict as in fine-tuned files, without its decoder."""
    inner = part(state, "MAE_encoder.")
    if not inner:
        return state
    return inner | {
        name: value
        for name, value in state.items()
        if not name.startswith(("MAE_encoder.", *PRETRAINING))
    }


def from_state(
    state: State,
    path: Path,
    content: dict[str, Any] | None = None,
    *,
    heads: int | None = None,
    points: int | None = None,
    groups: int | None = None,
    group_size: int | None = None,
) -> ReCon:
    """Build the model of a published state dict.

    The defaults of what files do not store are the published ones: with 15 classes (ScanObjectNN)
    2048 points, else 1024, in groups of 32 points. In all published forms the groups have twice as
    many points as the object (1024: 64 groups, 2048: 128, 8192: 512), so that is how many there
    are for other numbers as well.

    Args:
        state: Tensors by their published names.
        path: Where the state comes from, for error messages.
        content: Everything in the file. One of this package whose form is not a published one has
            ``form`` with the four values below, which count where no others are given.
        heads: Attention heads of every block; None for heads of the official width.
        points: Points of an object; None for the published number.
        groups: Number of patches; None for :func:`published_groups`.
        group_size: Points of a patch; None for 32.

    Raises:
        CheckpointError: If names or shapes do not match.
    """
    if "convs3.weight" in state:
        raise CheckpointError(
            f"{path} segments parts, expected a classifier or a pre-trained encoder;"
            " load_recon_parts reads it"
        )
    state = encoder_part(state)
    head = part(state, "cls_head_finetune.")
    classes = None
    if head:
        classes = head["8.weight" if "8.weight" in head else "0.weight"].shape[0]
    stored = _stored_form(content or {}, path)
    heads, group_size = heads or stored.get("heads"), group_size or stored.get("group_size")
    if points is None:  # the stored groups are for the stored points
        points, groups = stored.get("points"), groups or stored.get("groups")
    points, group_size = points or POINTS_OF_CLASSES.get(classes, POINTS), group_size or GROUP_SIZE
    groups = groups or published_groups(points, group_size)
    shape = ReConShape.of_state(state, groups=groups, group_size=group_size, heads=heads)
    model = ReCon(shape, points)
    if classes is not None:
        model.add_head(classes, linear="8.weight" not in head)
    image, text = (projected_width(state, f"{name}_proj") for name in ("img", "text"))
    model.add_projections(image, text)
    if None not in (image, text) and image != text:
        log.info("%s: its image teacher was no CLIP: words are compared by its text token", path)
    load_weights(model, under(state, "trunk.", beside=EXTRAS), path)
    return model


def _stored_form(content: dict[str, Any], path: Path) -> dict[str, int]:
    stored = content.get("form", {})
    if not isinstance(stored, dict) or set(stored) not in (set(), set(FORM)):
        raise CheckpointError(f"{path}: 'form' is {stored!r}, expected {', '.join(FORM)}")
    for name, value in stored.items():
        if not isinstance(value, int) or value < 1:
            raise CheckpointError(f"{path}: {name!r} of 'form' is {value!r}, expected at least 1")
    return stored


def published_groups(points: int, group_size: int = GROUP_SIZE) -> int:
    """Return the number of patches of an object: their points are twice its own, as published."""
    return max(1, 2 * points // group_size)


def projected_width(state: State, name: str) -> int | None:
    """Return the number of channels of a projection; None where the state dict has none."""
    weight = state.get(f"{name}.weight")
    return None if weight is None else len(weight)


class ReCon(ObjectEncoder):
    """ReCon without its decoder. Batches are (B, N, 3) clouds of unit size with y up.

    Args:
        shape: Sizes of the transformer.
        points: Points of an object.
        size_power: See :class:`InputForm`; 0 in published models.
    """

    name = "recon"
    head_name = "cls_head_finetune"
    training_methods = ("full", "mlp3", "linear")

    def __init__(self, shape: ReConShape, points: int, size_power: float = 0.0):
        super().__init__()
        self.form = InputForm(points, size_power=size_power)
        self.trunk = ReConTrunk(shape)
        self.cls_head_finetune: nn.Sequential | None = None
        self.img_proj: nn.Linear | None = None
        self.text_proj: nn.Linear | None = None

    # The head decides; other encoders store the attribute.
    @property
    def feature_channels(self) -> int:  # type: ignore[override]
        """Width of :meth:`embed`: 4 tokens' widths with a head, 2 without."""
        return (2 if self.cls_head_finetune is None else 4) * self.trunk.shape.width

    # The head decides; other encoders store the attribute.
    @property
    def classes(self) -> int | None:  # type: ignore[override]
        """Number of classes of the head; None without one."""
        return head_classes(self.cls_head_finetune)

    def stored_facts(self) -> dict[str, Any]:
        """Implement :meth:`ObjectEncoder.stored_facts`: nothing for the published form."""
        shape = self.trunk.shape
        form = (shape.heads, self.points, shape.groups, shape.group_size)
        points = POINTS_OF_CLASSES.get(self.classes, POINTS)
        usual = (official_heads(shape.width), points, published_groups(points), GROUP_SIZE)
        return {} if form == usual else {"form": dict(zip(FORM, form, strict=True))}

    def add_head(self, classes: int, *, linear: bool = False) -> None:
        """Add an untrained head of three layers or a single one, in place of any other."""
        width = 4 * self.trunk.shape.width
        self.cls_head_finetune = (
            nn.Sequential(nn.Linear(width, classes)) if linear else mlp_head(width, classes)
        )

    def add_projections(self, image: int | None, text: int | None) -> None:
        """Add untrained projections to the spaces of an image and of a text encoder, or None."""
        width = self.trunk.shape.width
        self.img_proj = None if image is None else nn.Linear(width, image)
        self.text_proj = None if text is None else nn.Linear(width, text)

    def trained_parameters(self, method: str) -> dict[str, nn.Parameter]:
        """Select what a method trains: beside the head also the class token and its position.

        Those are all parameters with "cls" in their names.

        Raises:
            ValueError: If ``method`` is ``adapters``.
        """
        every = super().trained_parameters(method)  # raises for adapters
        if method == "full":
            return every
        return {name: value for name, value in self.named_parameters() if "cls" in name}

    def reset_head(
        self, classes: int, method: str = "full", benchmark: Benchmark = Benchmark.OTHER
    ) -> None:
        """Implement :meth:`ObjectEncoder.reset_head`; ``full`` also removes the projections.

        They match only the encoder as it was before training.
        """
        self.add_head(classes, linear=method == "linear")
        if method == "full":
            self.img_proj = self.text_proj = None

    def published_state(self) -> State:
        """Return the state dict in the names of official fine-tuned files, without ``trunk.``."""
        return {name.removeprefix("trunk."): v for name, v in self.state_dict().items()}

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """Return what the head or, without one, the linear SVM takes: (B, feature_channels)."""
        pool = self.svm_feature if self.cls_head_finetune is None else self.class_feature
        return pool(*self.trunk(batch))

    def classify(self, batch: torch.Tensor) -> torch.Tensor:
        """Return (B, classes) logits.

        Raises:
            ValueError: If the checkpoint has no head.
        """
        if self.cls_head_finetune is None:
            raise ValueError("this ReCon checkpoint has no head; expected a fine-tuned one")
        return self.cls_head_finetune(self.embed(batch))

    @property
    def knows_words(self) -> bool:
        """Whether the file had a projection to the space of a text encoder."""
        return self.text_proj is not None

    def embed_words(self, batch: torch.Tensor, *, text_ratio: float = 0.25) -> torch.Tensor:
        """Embed objects as (B, D) for comparison with CLIP's texts by cosine; not normalised.

        Where the image teacher was no CLIP (768 channels beside 512, as in the published
        pre-training for fine-tuning), texts cannot be compared with its space, and the text token
        alone is the result.

        Args:
            batch: (B, N, 3) clouds.
            text_ratio: Weight of the text token beside the image token. Published: 0.20
                ModelNet10, 0.25 ModelNet40; ScanObjectNN 0.05 hardest, 0.10 with background, 0.15
                objects only.

        Raises:
            ValueError: If the file had no projections.
        """
        image, text = self.word_features(self.trunk(batch)[0])
        if image is None or image.shape != text.shape:
            return text
        return image + text_ratio * text

    def word_features(self, world: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Project the image token and the text token of (B, 3, C) to the spaces of their teachers.

        Returns:
            (B, D), None where the file had no image teacher, and (B, E).

        Raises:
            ValueError: If the file had no projection to the space of texts.
        """
        if self.text_proj is None:
            raise ValueError(
                "this ReCon checkpoint has no projections to the space of texts; expected a"
                " pre-trained one"
            )
        image = None if self.img_proj is None else self.img_proj(world[:, 1])
        return image, self.text_proj(world[:, 2])

    @staticmethod
    def class_feature(world: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        """Join the three global tokens and the maximum of the patches: (B, 4 C)."""
        return torch.cat([world.flatten(1), patches.amax(1)], 1)

    @staticmethod
    def svm_feature(world: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        """Join the maximum of the global tokens, and the patches' maximum plus mean: (B, 2 C)."""
        return torch.cat([world.amax(1), patches.amax(1) + patches.mean(1)], 1)

    @classmethod
    def fine_tuning(
        cls, method: str, benchmark: Benchmark, points: int | None, few_shot: bool
    ) -> dict[str, Any]:
        """Return the published hyper-parameters, see :meth:`ObjectEncoder.fine_tuning`."""
        modelnet = benchmark.modelnet
        if method == "full":
            rate = 5e-4 if few_shot else 1e-5 if modelnet else 2e-5
        else:
            rate = 1e-3 if few_shot else 5e-5 if modelnet and points == 8192 else 1e-4
        return {
            "learning_rate": rate,
            # The published code rotates few-shot clouds although they are ModelNet40's.
            "change": "scale_shift" if modelnet and not few_shot else "turn",
            "head_factor": 10.0,
            "epochs": 150 if few_shot else 300,
            "drop_path": 0.1 if few_shot else 0.2,
            "lag": 1,
        }

    @classmethod
    def vote_change(cls, benchmark: Benchmark) -> str | None:
        """Return the augmentation of the published vote, see :meth:`ObjectEncoder.vote_change`."""
        if benchmark.modelnet:
            return "scale"
        return "turn" if benchmark is Benchmark.PB_T50_RS else None

    @classmethod
    def published_options(cls, benchmark: Benchmark, protocol: str) -> dict[str, Any]:
        """Return the published options, see :meth:`ObjectEncoder.published_options`."""
        if not benchmark.scanned:
            return {}
        points = POINTS_OF_CLASSES[15]
        if protocol != "zero-shot":
            return {"points": points, "groups": published_groups(points)}
        size = 128 if benchmark is Benchmark.OBJ_ONLY else 64
        return {"points": points, "groups": published_groups(points, size), "group_size": size}

    @classmethod
    def word_options(cls, benchmark: Benchmark) -> dict[str, Any]:
        """Return the text token's published weight, see :meth:`ObjectEncoder.word_options`."""
        return {"text_ratio": TEXT_RATIOS[benchmark]} if benchmark in TEXT_RATIOS else {}
