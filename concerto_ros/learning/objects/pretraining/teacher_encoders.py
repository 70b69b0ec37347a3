# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Teachers that are at hand: encoders of pictures and of texts, run once before a pre-training.

As in ReCon's published code, pictures keep the order blue, green, red in which OpenCV reads them,
and are normalised by ImageNet's mean and deviation, also for CLIP. Each picture is taken several
times, cropped and mirrored; the published training also changes its colours (RandAugment).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from concerto_ros.learning.images.image_models import (
    DEVIATION,
    HOG,
    MEAN,
    oriented_gradients,
)
from concerto_ros.learning.objects.data.shape_set import ShapeSet
from concerto_ros.learning.objects.pretraining.teachers import TeacherVectors, read_teacher
from concerto_ros.viz.cloud_picture import render_cloud
from concerto_ros.words.open_clip_encoder import PREFIX, load_open_clip
from concerto_ros.words.prompts import prompts
from concerto_ros.words.text_encoder import load_text_encoder

log = logging.getLogger(__name__)

#: Pixels along the sides of a picture for the teacher that needs no weights.
HOG_SIDE = 128

#: Pixels along the sides of a picture for other teachers, and of one that is rendered.
SIDE, RENDERED = 224, 128

#: Crops of a picture, and the share of its area that each keeps at least.
CROPS, SMALLEST = 4, 0.64

#: From where a shape is seen, y up: from its front right, a little above.
EYE = (1.6, 1.1, 2.2)

#: Pictures or texts of one pass.
BATCH = 64

#: From pictures (B, H, W, 3) uint8 RGB of one size to vectors (B, D).
ImageEncoder = Callable[[np.ndarray], torch.Tensor]


def text_teacher(name: str, shapes: ShapeSet, cache: Path) -> TeacherVectors:
    """Read a file of vectors, or encode the 60 prompts about each caption of the shapes.

    Args:
        name: An .npz, or a text encoder as of
            :func:`~concerto_ros.words.text_encoder.load_text_encoder`.
        shapes: The shapes.
        cache: File that keeps what was encoded.

    Raises:
        ValueError: If the file cannot be read, or there is no such encoder, or its weights are in
            no cache.
        ImportError: If its package is not installed.
    """

    def encode() -> TeacherVectors:
        if not all(shapes.captions):
            raise ValueError(
                f"text teacher: {shapes.name} has no captions to encode, expected shapenet55.json"
                " in its folder, or a file of vectors by the names of shapes (.npz)"
            )
        encoder, captions = load_text_encoder(name), tuple(dict.fromkeys(shapes.captions))
        vectors = [encoder(prompts(caption)) for caption in tqdm(captions, unit="caption")]
        return TeacherVectors(captions, torch.stack(vectors).float(), name)

    return _kept(name, shapes.captions, cache, encode)


def image_teacher(
    name: str,
    shapes: ShapeSet,
    cache: Path,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> TeacherVectors:
    """Read a file of vectors, or encode pictures of the shapes.

    Where a shape has no picture, its cloud is rendered; how many were is logged.

    Args:
        name: An .npz, ``hog`` or ``open_clip:MODEL/WEIGHTS``.
        shapes: The shapes.
        cache: File that keeps what was encoded.
        device: Where the encoder runs.
        seed: Of crops and mirrored pictures.

    Raises:
        ValueError: If the file cannot be read, or there is no such encoder, or its weights are in
            no cache.
        ImportError: If its package is not installed.
    """
    return _kept(name, shapes.ids, cache, lambda: _image_vectors(name, shapes, device, seed))


def _kept(
    name: str, names: Sequence[str], cache: Path, encode: Callable[[], TeacherVectors]
) -> TeacherVectors:
    """Read the file ``name``, or what an earlier run kept of this encoder, or encode and keep."""
    if name.endswith(".npz"):
        return read_teacher(Path(name))
    if cache.is_file():
        kept = read_teacher(cache)
        if kept.source == name and set(names) <= set(kept.names):
            return kept
    made = encode()
    made.save(cache)
    return made


def _image_vectors(
    name: str, shapes: ShapeSet, device: torch.device | str, seed: int
) -> TeacherVectors:
    encode, side = _image_encoder(name, device)
    rng, rendered, vectors = np.random.default_rng(seed), 0, []
    for start in tqdm(range(0, len(shapes), BATCH), unit="batch"):
        pictures = []
        for row in range(start, min(start + BATCH, len(shapes))):
            picture = shapes.picture(row)
            if picture is None:
                picture = render_shape(shapes.read(row))
                rendered += 1
            pictures.append(np.stack([_crop(picture, side, rng) for _ in range(CROPS)]))
        batch = np.stack(pictures)
        vectors.append(encode(batch.reshape(-1, *batch.shape[2:])).unflatten(0, batch.shape[:2]))
    if rendered:
        log.info("%d of %d shapes had no picture and were rendered", rendered, len(shapes))
    return TeacherVectors(shapes.ids, torch.cat(vectors).float().cpu(), name)


def render_shape(points: np.ndarray, side: int = RENDERED) -> np.ndarray:
    """Render a cloud (N, 3), y up, as (side, side, 3) uint8 RGB on white."""
    centred = points - points.mean(0)
    centred = centred / max(float(np.linalg.norm(centred, axis=1).max()), 1e-9)
    grey = np.full(points.shape, 128, np.uint8)
    view = (np.array(EYE), np.zeros(3))
    return render_cloud(centred, grey, width=side, height=side, view_from=view, up=(0.0, 1.0, 0.0))


def _image_encoder(name: str, device: torch.device | str) -> tuple[ImageEncoder, int]:
    """Return an encoder and the side of its pictures in pixels."""
    if name == HOG:
        return _hog, HOG_SIDE
    if name.startswith(PREFIX) and "/" in name:
        model, _, weights = name.removeprefix(PREFIX).partition("/")
        return _clip(load_open_clip(model, weights, device=device), device), SIDE
    raise ValueError(
        f"image teacher: got {name!r}, expected a file of vectors (.npz), {HOG} or"
        f" {PREFIX}MODEL/WEIGHTS"
    )


def _hog(pictures: np.ndarray) -> torch.Tensor:
    grey = (torch.from_numpy(pictures).float().mean(-1) / 255 - MEAN[0]) / DEVIATION[0]
    histograms, _ = oriented_gradients(grey.unsqueeze(1))
    return histograms.flatten(1)


def _clip(model: Any, device: torch.device | str) -> ImageEncoder:
    mean, deviation = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, DEVIATION))

    @torch.inference_mode()
    def encode(pictures: np.ndarray) -> torch.Tensor:
        blue_first = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1])).to(device)
        batch = (blue_first.permute(0, 3, 1, 2).float() / 255 - mean) / deviation
        return model.encode_image(batch).float().cpu()

    return encode


def _crop(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Crop a picture at random, mirror every other one, and scale it to (side, side, 3)."""
    import cv2

    height, width = picture.shape[:2]
    share = np.sqrt(rng.uniform(SMALLEST, 1.0))
    tall, wide = max(1, int(share * height)), max(1, int(share * width))
    top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
    part = picture[top : top + tall, left : left + wide]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    shrinks = min(tall, wide) > side
    return cv2.resize(
        np.ascontiguousarray(part), (side, side),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )  # fmt: skip
