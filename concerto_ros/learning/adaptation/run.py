# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A pre-training from the first step to the last."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from concerto_ros.files.digest import shown, weights_digest
from concerto_ros.learning.adaptation.batches import ViewBatch, ViewCollate
from concerto_ros.learning.adaptation.model import PretrainingModel, TeacherUpdates
from concerto_ros.learning.adaptation.scenes import SomeScenes
from concerto_ros.learning.methods.train import drop_path
from concerto_ros.learning.pretraining.presets import Preset
from concerto_ros.learning.pretraining.schedules import OneCycle
from concerto_ros.learning.training.processes import run_in_processes
from concerto_ros.learning.training.trainer import Trainer, TrainingResult
from concerto_ros.ptv3 import architectures
from concerto_ros.ptv3.config import ConfigError, PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.segmentation.convention import Convention


@dataclass(frozen=True)
class RunConfig:
    """Options of a run.

    Attributes:
        folder: Where its state is kept; None: nowhere.
        preset: All numbers of the method; lengths as published, for voxels of 2 cm.
        distilled: Whether the features of the encoder at the start have to be kept.
        minutes: Time limit; None: none.
        processes: Number of processes, each with its part of the scenes of a step.
        checkpoint_every: Steps between writings of the state.
        precision: Of matrix products, see
            :func:`~concerto_ros.ptv3.precision.training_precision`.
        seed: Random seed.
        progress: Whether to show a progress bar.
    """

    folder: Path | None
    preset: Preset
    distilled: bool = False
    minutes: float | None = None
    processes: int = 1
    checkpoint_every: int = 100
    precision: str = "auto"
    seed: int = 0
    progress: bool = True


def new_encoder(
    like: Encoder,
    seed: int,
    channels: Sequence[int] | None = None,
    depths: Sequence[int] | None = None,
) -> Encoder:
    """An encoder of the shape, voxels and conventions of another, with random weights.

    Args:
        like: The other.
        seed: Of the weights.
        channels: Widths of the stages, finest first; heads of attention are as wide as those of
            ``like``. None: its own.
        depths: Blocks of the stages likewise.

    Raises:
        ConfigError: There is another number of stages, or a width is no multiple of a head's.
    """
    config = _reshaped(like.config, channels, depths)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return architectures.new_encoder(
            config,
            name="pretrained",
            grid_size=like.grid_size,
            preset=like.preset,
            conventions=like.conventions,
        )


def _reshaped(
    config: PTv3Config, channels: Sequence[int] | None, depths: Sequence[int] | None
) -> PTv3Config:
    stages = len(config.enc_channels)
    for name, values in (("channels", channels), ("depths", depths)):
        if values is not None and len(values) != stages:
            raise ConfigError(f"{name} are {list(values)}, expected {stages}, one for each stage")
    if depths is not None:
        config = replace(config, enc_depths=tuple(depths))
    if channels is None:
        return config
    heads = []
    stage_widths = zip(channels, config.enc_channels, config.enc_num_head, strict=True)
    for count, own, own_heads in stage_widths:
        width = own // own_heads
        if count < 1 or count % width:
            raise ConfigError(
                f"channels are {list(channels)}, expected multiples of {width}, the width of a"
                " head of attention"
            )
        heads.append(count // width)
    return replace(config, enc_channels=tuple(channels), enc_num_head=tuple(heads))


def pretrain(
    encoder: Encoder,
    scenes: SomeScenes,
    convention: Convention,
    voxel_size: float,
    config: RunConfig,
) -> TrainingResult:
    """Train an encoder in place, without labels.

    Args:
        encoder: Random or trained; afterwards in evaluation mode, without gradients.
        scenes: To learn from.
        convention: Scale and centre of the encoder's coordinates.
        voxel_size: Metres.
        config: Options.

    Raises:
        ValueError: An option is out of range, or the folder has the state of another run.
    """
    preset = config.preset.at_voxels(voxel_size)
    if preset.batch_size % config.processes:
        raise ValueError(
            f"processes is {config.processes}, expected a divisor of the {preset.batch_size}"
            " scenes of a step"
        )
    if preset.heads_first and preset.heads_factor == 1:
        raise ValueError(f"heads_first is {preset.heads_first}, expected heads of another rate")
    if config.distilled and not preset.fixed_teacher:
        raise ValueError("distilled is True, expected a fixed teacher, whose features are kept")
    grid, width = _patches_of(scenes)
    start = weights_digest(encoder, "")
    collate = ViewCollate(convention, voxel_size, preset, grid)
    with torch.random.fork_rng([]):
        torch.manual_seed(config.seed)
        model = PretrainingModel(
            encoder, preset, collate.edge, convention.scale, width, config.distilled
        )
    trainer = Trainer(
        model,
        scenes,
        collate,
        num_classes=1,
        steps=preset.steps,
        batch_size=preset.batch_size // config.processes,
        accumulate=config.processes,
        schedule=OneCycle(
            preset.learning_rate, preset.weight_decay.first, preset.clip, steps=preset.steps
        ),
        rate_factor=model.rate_factor,
        loss=_given,
        folder=config.folder,
        checkpoint_every=config.checkpoint_every,
        minutes=config.minutes,
        seed=config.seed,
        identity={
            "method": shown(collate),
            "kept": f"distilled {config.distilled}, patches {grid}",
            "encoder": start,
            "processes": config.processes,
            "precision": config.precision,
            **scenes.identity(),
        },
        companion=TeacherUpdates(model),
        device=next(encoder.parameters()).device,
        precision=config.precision,
        progress=config.progress,
    )
    depth = drop_path(encoder, preset.drop_path) if preset.drop_path else nullcontext()
    with depth:
        if config.processes > 1:
            result = run_in_processes(trainer, config.processes)
        else:
            result = trainer.run()
    if preset.fixed_teacher:
        _blend(encoder, model.teacher.backbone, preset.blend)
    encoder.eval().requires_grad_(False)
    encoder.trained = True
    encoder.grid_size = voxel_size
    encoder.digest = weights_digest(encoder, "")
    return result


@torch.no_grad()
def _blend(encoder: Encoder, start: Encoder, share: float) -> None:
    """Move an encoder back to where it started, but for a share of the way."""
    before = start.state_dict()
    for name, value in encoder.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.lerp(before[name].to(value), value, share))


def _given(loss: torch.Tensor, batch: ViewBatch) -> torch.Tensor:
    """The model gives the loss itself."""
    return loss


def _patches_of(scenes: SomeScenes) -> tuple[tuple[int, int] | None, int]:
    """The grid of patches of the first image with features, and the width of its vectors."""
    images = next((each for each in scenes.images if each.frames), None)
    if images is None:
        return None, 0
    rows, columns, width = images.vectors(images.frames[0]).shape
    return (rows, columns), width


def shortened(preset: Preset, **options: Any) -> Preset:
    """A preset with some numbers replaced; ``None`` replaces nothing."""
    return replace(preset, **{name: value for name, value in options.items() if value is not None})
