# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a training shows of a shape each time: points, four pictures and one text, at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from concerto_ros.learning.objects.data.openshape import TrainingShape, TrainingSplit
from concerto_ros.learning.objects.mixcon3d.augment import NO_COLOR_SHARE, Draws, augmented
from concerto_ros.learning.objects.mixcon3d.optimisation import Batch
from concerto_ros.objects.encoders.shared.preprocess import NO_COLOR, swap_up, unit_sphere

#: Pictures of a shape, drawn with replacement.
VIEWS = 4

#: Probability that one of the pictures of an Objaverse shape is its thumbnail.
THUMBNAIL_SHARE = 0.5


def draw_text(shape: TrainingShape, rng: np.random.Generator) -> np.ndarray:
    """Draw one of the texts of a shape: (D,).

    Candidates are a raw text, one of two captions, by the toss of a coin, and a retrieved text.
    Where the coin finds no candidate at all, the other caption is taken, which the published code
    does not do.

    Raises:
        ValueError: If the shape has no text.
    """
    candidates = []
    raw = shape.count("text")
    if raw and shape.good_text:
        row = 0 if shape.objaverse else int(rng.integers(raw))
        candidates.append(shape.listed_text("text", row, "prompt_avg"))
    order = ("blip_caption", "msft_caption")[:: 1 if rng.random() < 0.5 else -1]
    captions = [shape.caption(order[0])]
    retrieved = shape.count("retrieval_text")
    if retrieved:
        row = int(rng.integers(retrieved))
        candidates.append(shape.listed_text("retrieval_text", row, "original"))
    if captions[0] is None and not candidates:
        captions = [shape.caption(order[1])]
    candidates += [caption for caption in captions if caption is not None]
    if not candidates:
        raise ValueError(
            f"{shape.path} has no text: text, blip_caption, msft_caption and retrieval_text are"
            " empty or filtered out; expected at least one, or leave the shape out of the split"
        )
    return candidates[int(rng.integers(len(candidates)))]


def draw_images(shape: TrainingShape, rng: np.random.Generator) -> np.ndarray:
    """Draw vectors (4, D) of pictures of a shape."""
    images = shape.images()
    drawn = images[rng.integers(len(images), size=VIEWS)]
    if shape.objaverse and rng.random() < THUMBNAIL_SHARE:
        drawn[0] = shape.thumbnail()
    return drawn


def draw_cloud(shape: TrainingShape, count: int, rng: np.random.Generator) -> torch.Tensor:
    """Draw and augment a cloud (count, 6) of a shape: float32, z up, colours in 0..1.

    A shape with fewer points gives some of them several times.
    """
    points, colors = shape.points_and_colors()
    rows = rng.choice(len(points), count, replace=len(points) < count)
    cloud = unit_sphere(swap_up(torch.from_numpy(points[rows])))
    cloud = augmented(cloud, Draws.random(count, rng))
    hue = torch.from_numpy(colors[rows])
    if rng.random() < NO_COLOR_SHARE:
        hue = torch.full_like(hue, NO_COLOR)
    return torch.cat([cloud, hue], 1)


@dataclass(frozen=True, eq=False)
class _Samples(Dataset):
    """The split as a data set of one epoch; random choices depend on seed, epoch and row only."""

    split: TrainingSplit
    points: int
    channels: int
    seed: int
    epoch: int

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, row: int) -> Batch | ValueError:
        """Draw from a shape; an error is returned, as a worker would wrap it in a traceback."""
        rng = np.random.default_rng((self.seed, 1, self.epoch, row))
        try:
            shape = self.split[row]
            text, images = draw_text(shape, rng), draw_images(shape, rng)
            for what, vector in (("text", text), ("picture", images)):
                if vector.shape[-1] != self.channels:
                    raise ValueError(
                        f"{shape.path}: the vector of a {what} has {vector.shape[-1]} channels,"
                        f" expected {self.channels} as the first shape"
                    )
            cloud = draw_cloud(shape, self.points, rng)
        except ValueError as error:
            return error
        return Batch(cloud, torch.from_numpy(text), torch.from_numpy(images))


@dataclass(frozen=True)
class EpochBatches:
    """Batches of the split: every epoch in another order, without the incomplete last batches.

    Attributes:
        split: The shapes.
        points: Points of a cloud.
        channels: D, the width of the vectors.
        batch_size: Shapes of a batch.
        accumulate: Batches of a step.
        seed: Of all random choices.
        workers: Processes that read shapes; 0: this one.
    """

    split: TrainingSplit
    points: int
    channels: int
    batch_size: int
    accumulate: int
    seed: int
    workers: int

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return len(self.split) // self.batch_size // self.accumulate

    def epoch(self, number: int, first: int = 0) -> Iterator[list[Batch]]:
        """Yield the batches of each step of an epoch, from step ``first`` on.

        Raises:
            ValueError: If a file is missing or wrong; the message names file and field.
        """
        order = np.random.default_rng((self.seed, 0, number)).permutation(len(self.split))
        size, start = self.batch_size, first * self.accumulate
        rows = [
            order[batch * size : (batch + 1) * size].tolist()
            for batch in range(start, self.steps * self.accumulate)
        ]
        samples = _Samples(self.split, self.points, self.channels, self.seed, number)
        loader = DataLoader(
            samples,
            batch_sampler=rows,  # a list of the rows of each batch
            num_workers=self.workers,
            collate_fn=_stack,
        )
        together: list[Batch] = []
        for batch in loader:
            if isinstance(batch, ValueError):
                raise batch
            together.append(batch)
            if len(together) == self.accumulate:
                yield together
                together = []


def _stack(samples: Sequence[Batch | ValueError]) -> Batch | ValueError:
    good = []
    for sample in samples:
        if isinstance(sample, ValueError):
            return sample
        good.append(sample)
    parts = ([one.clouds for one in good], [one.texts for one in good])
    return Batch(*map(torch.stack, (*parts, [one.images for one in good])))
