# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-trainings of I2P-MAE by name: as published, and what is compared with it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from concerto_ros.learning.objects.names import GUIDANCE
from concerto_ros.learning.objects.pretraining.i2p_mae.network import DecoderShape
from concerto_ros.learning.objects.training.recipes import ObjectTrainingConfig
from concerto_ros.objects.encoders.i2p_mae.encoder import GROUPINGS, HEADS
from concerto_ros.objects.encoders.i2p_mae.network import Grouping, Widths


@dataclass(frozen=True)
class I2PMAERecipe:
    """One pre-training.

    Attributes:
        widths: Sizes of the encoder.
        grouping: How its tokens are made.
        decoder: Sizes of the decoder.
        points: Points drawn of a shape.
        mask_ratio: Share of the groups of the highest level that is masked.
        guidance: One of :data:`~concerto_ros.learning.objects.names.GUIDANCE`.
        training: Optimiser, schedule and augmentation. Its stochastic depth rises over the blocks
            of the encoder, and again over those of the decoder.
    """

    widths: Widths
    grouping: Grouping
    decoder: DecoderShape
    points: int
    mask_ratio: float
    training: ObjectTrainingConfig
    guidance: str = "both"

    def __post_init__(self):
        if self.guidance not in GUIDANCE:
            raise ValueError(
                f"guidance is {self.guidance!r}, expected one of {', '.join(GUIDANCE)}"
            )

    @property
    def guided_masking(self) -> bool:
        """Whether saliency decides which groups stay visible."""
        return self.guidance in ("both", "masking")

    @property
    def guided_targets(self) -> bool:
        """Whether visible groups predict the image model's features."""
        return self.guidance in ("both", "targets")


#: Zhang et al., CVPR 2023, on ShapeNet55. The published loop sets the rate of an epoch at the end
#: of the one before, and its cosine is longer than the run.
PUBLISHED = I2PMAERecipe(
    widths=Widths((96, 192, 384), (5, 5, 5), HEADS),
    grouping=GROUPINGS["svm"],
    decoder=DecoderShape((384, 192), (1, 1), (1,)),
    points=2048,
    mask_ratio=0.8,
    training=ObjectTrainingConfig(
        learning_rate=1e-3,
        change="scale_shift",
        epochs=300,
        cosine=400,
        lag=1,
        batch_size=64,
        clip=math.inf,
        drop_path=0.1,
    ),
)

#: The same objective on one level of tokens, the plain transformer of Point-MAE (Pang et al., ECCV
#: 2022): an ablation of the hierarchy.
SINGLE_SCALE = replace(
    PUBLISHED,
    widths=Widths((384,), (12,), HEADS),
    grouping=Grouping((64,), (32,), (0.0,)),
    decoder=DecoderShape((384,), (4,), ()),
)

#: A network small enough for a CPU, as the synthetic objects of docs/objects.md are measured with.
SMALL = replace(
    PUBLISHED,
    widths=Widths((48, 96, 192), (1, 1, 2), HEADS),
    grouping=Grouping((64, 32, 16), (8, 8, 4), (0.0, 0.0, 0.0)),
    decoder=DecoderShape((192, 96), (1, 1), (1,)),
    points=512,
    training=replace(PUBLISHED.training, epochs=12, cosine=None, warm_up=1, batch_size=32),
)

#: Pre-trainings by the names that the command knows.
PRESETS = {
    "i2p_mae_cvpr2023": PUBLISHED,
    "i2p_mae_single_scale": SINGLE_SCALE,
    "i2p_mae_small": SMALL,
}
