# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fine names as a second task of a training, so that features tell more apart than the classes.

An encoder that only learns "chair" and "other" has no reason to keep a stool and an armchair, or a
kettle and a shoe, apart; words, clicks and taught classes need that it does.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from concerto_ros.heads.linear import LinearHead
from concerto_ros.learning.data.batch import Batch
from concerto_ros.learning.data.labelled_scan import NO_NAME
from concerto_ros.learning.methods.segmenter import Segmenter, pyramid_of
from concerto_ros.learning.training.losses import segmentation_loss
from concerto_ros.ptv3 import Encoder
from concerto_ros.ptv3.bundled import NamesHead, read_demo

#: Weight of the fine names in the loss, beside the classes with 1.
NAMES_WEIGHT = 0.5


class NamingSegmenter(Segmenter):
    """Encoder and linear head, with a second head for fine names that only the training uses.

    Args:
        encoder: The encoder.
        head: For the classes.
        names: Number of fine names, F.
    """

    def __init__(self, encoder: Encoder, head: LinearHead, names: int):
        super().__init__(encoder, head)
        self.name_head = LinearHead(head.in_channels, names, name="names")

    def forward(self, batch: Batch) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Logits of the voxels: (V, num_classes), and while training (V, F) of fine names, too."""
        pyramid = pyramid_of(self.encoder, batch)
        scores = self.head.scores(pyramid, self.concat_levels)
        if not self.training:
            return scores
        return scores, self.name_head.scores(pyramid, self.concat_levels)


def bundled_names(preset: str) -> NamesHead | None:
    """What the bundled model of a preset knows of fine names; None: nothing.

    Raises:
        CheckpointError: No model of this preset is bundled, or its file is missing or damaged.
    """
    content, _ = read_demo("names", preset)
    state = content["state_dict"]
    if not state:
        return None
    names, width = state["seg_head.weight"].shape
    head = LinearHead(width, names, name="names")
    head.load_state_dict(state)
    return NamesHead(content["names"], head.requires_grad_(False))


def naming_loss(
    scores: tuple[torch.Tensor, torch.Tensor],
    batch: Batch,
    *,
    class_weights: torch.Tensor,
    name_weights: torch.Tensor,
) -> torch.Tensor:
    """The segmentation loss, and the cross-entropy of the fine names of the voxels that have one.

    Args:
        scores: Logits (V, K) of classes and (V, F) of fine names.
        batch: With fine names.
        class_weights: (K,) for the cross-entropies.
        name_weights: (F,) the same.

    Returns:
        The loss, a scalar.
    """
    of_classes, of_names = scores
    loss = segmentation_loss(of_classes, batch.labels, class_weights=class_weights)
    assert batch.name_ids is not None  # the scans of this training have names
    named = (batch.name_ids != NO_NAME).nonzero()[:, 0]
    if not len(named):  # a crop of bare walls
        return loss + of_names.sum() * 0.0
    own = functional.cross_entropy(
        of_names.index_select(0, named).float(),
        batch.name_ids.index_select(0, named),
        weight=name_weights,
    )
    return loss + NAMES_WEIGHT * own
