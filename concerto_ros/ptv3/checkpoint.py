# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: official files as they are, official names by download, the bundled demo model."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from concerto_ros.files.finite_tensors import not_finite
from concerto_ros.files.safetensors_file import read_metadata, read_tensors, write_tensors
from concerto_ros.files.shared_files import asset_path
from concerto_ros.files.torch_file import on_cpu, read_plain, write_file
from concerto_ros.ptv3.config import PTv3Config
from concerto_ros.ptv3.encoder import Encoder
from concerto_ros.ptv3.state_dict import (
    ENCODER_PARAMETER,
    CheckpointError,
    for_all_channels,
    names_in,
    part_with,
    state_dict_in,
)

log = logging.getLogger(__name__)

#: Official encoders and the Hugging Face repository that holds ``<name>.pth``.
OFFICIAL_ENCODERS = {
    "concerto_small": "Pointcept/Concerto",
    "concerto_base": "Pointcept/Concerto",
    "concerto_large": "Pointcept/Concerto",
    "concerto_large_outdoor": "Pointcept/Concerto",
    "concerto_base_siglip": "Pointcept/Concerto",
    "sonata": "facebook/sonata",
    "sonata_small": "facebook/sonata",
    "utonia": "Pointcept/Utonia",
}

#: Official linear heads (ScanNet, 20 classes), likewise.
OFFICIAL_HEADS = {
    "concerto_large_linear_prob_head_sc": "Pointcept/Concerto",
    "sonata_linear_prob_head_sc": "facebook/sonata",
    "utonia_linear_prob_head_sc": "Pointcept/Utonia",
}

#: The licence under which all three repositories release their weights.
OFFICIAL_LICENCE = "CC-BY-NC 4.0 (not for commercial use)"

#: The name of the bundled demo model, and the preset whose input convention it was trained with.
DEMO, DEMO_PRESET = "demo", "indoor"

#: Streets shrunk to a quarter look like rooms to it: scale and centre of its input outdoors.
DEMO_CONVENTIONS = {"outdoor": (0.25, "box")}

#: Parameters that only training reads. No other parameter may be missing or unexpected.
TRAINING_PARAMETERS = frozenset({"embedding.mask_token"})


def load_encoder(
    name_or_path: str | os.PathLike,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    download: bool = True,
) -> Encoder:
    """Load an encoder in evaluation mode.

    An official name is looked up in :func:`checkpoint_folder`, then in the cache of
    ``huggingface_hub``, then downloaded.

    Args:
        name_or_path: an official file ``{"config", "state_dict"}``, an official name
            (:data:`OFFICIAL_ENCODERS`), or ``demo`` for the bundled demo model.
        device: where the weights are put.
        dtype: their floating-point type.
        download: whether a file that is not on this machine may be downloaded.

    Raises:
        CheckpointError: (a ValueError) the file is missing, is not a checkpoint, does not fit its
            config, or holds weights that are not finite, in the file or in ``dtype``.
        ConfigError: (a ValueError) a config field is not supported.
    """
    if os.fspath(name_or_path) == DEMO:
        content, path = read_demo()
        config = PTv3Config.from_official(content["config"])
        encoder = Encoder(
            config,
            name=DEMO,
            grid_size=content["grid_size"],
            preset=DEMO_PRESET,
            conventions=DEMO_CONVENTIONS,
        )
        load_strictly(encoder, _under_prefix(content["state_dict"], "encoder."), path)
        encoder.licence = content["license"]
    else:
        content, path = read_checkpoint(name_or_path, OFFICIAL_ENCODERS, download=download)
        state = part_with(content["state_dict"], ENCODER_PARAMETER, path)
        state, fields_in_file = for_all_channels(
            state, config_in(content, path), content.get("channels"), path
        )
        rotary = any(key.endswith("attn.rope.inv_freq") for key in state)
        config = PTv3Config.from_official(fields_in_file, rotary=rotary)
        encoder = Encoder(
            config,
            name=os.fspath(name_or_path),
            grid_size=content.get("grid_size"),
            preset=preset_in(content, path),
            conventions=_conventions_in(content, path),
        )
        load_strictly(encoder, state, path, ignored=TRAINING_PARAMETERS)
        encoder.licence = licence_of(content, path)
        log_licence(content, path)
    encoder = encoder.to(device=device, dtype=dtype)
    check_finite(encoder, path)
    return encoder.eval().requires_grad_(False)


def demo_file() -> Path:
    """Return the path of the bundled demo model, one file with both encoder and head."""
    return asset_path("demo.safetensors")


def read_demo() -> tuple[dict[str, Any], Path]:
    """Read the bundled demo model.

    Returns:
        ``{"config", "grid_size", "license", "state_dict"}`` and the path of the file. Names in the
            state dict start with ``encoder.`` or ``head.``; values are float32.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = demo_file()
    with _reading_demo(path):
        tensors, metadata = read_tensors(path)
        return {
            "config": json.loads(metadata["config"]),
            "grid_size": json.loads(metadata["grid_size"]),
            "license": json.loads(metadata["license"]),
            "state_dict": {name: value.float() for name, value in tensors.items()},
        }, path


def grid_size_of(name_or_path: str | os.PathLike, *, download: bool = True) -> float | None:
    """Return the voxel size, metres, that an encoder was trained with.

    None where its file does not store one. Arguments and errors are those of :func:`load_encoder`.
    """
    if os.fspath(name_or_path) == DEMO:
        path = demo_file()
        with _reading_demo(path):
            return json.loads(read_metadata(path)["grid_size"])
    return read_checkpoint(name_or_path, OFFICIAL_ENCODERS, download=download)[0].get("grid_size")


@contextmanager
def _reading_demo(path: Path) -> Iterator[None]:
    """Turn whatever reading the bundled demo model raises into a CheckpointError."""
    try:
        yield
    except (OSError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"the bundled demo model, {path}, cannot be read ({error}); reinstall the package"
        ) from error


def save_demo(encoder: Encoder, head: nn.Module, path: Path) -> None:
    """Write an encoder and its head as the bundled demo model, in half precision."""
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    state |= {f"head.{name}": value for name, value in head.state_dict().items()}
    halves = {name: value.half() for name, value in state.items()}
    config = {field.name: getattr(encoder.config, field.name) for field in fields(PTv3Config)}
    del config["rotary"]
    about = {"config": config, "grid_size": encoder.grid_size, "license": "Apache-2.0"}
    write_tensors(path, halves, {name: json.dumps(value) for name, value in about.items()})


def demo_head_state() -> tuple[dict[str, torch.Tensor], Path]:
    """Return the state dict of the bundled demo head, and the path of its file."""
    content, path = read_demo()
    return _under_prefix(content["state_dict"], "head."), path


def _under_prefix(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def untrained_encoder(config: PTv3Config, *, name: str, seed: int = 0) -> Encoder:
    """Create an encoder whose random weights depend on the seed alone, for experiments."""
    encoder = Encoder(config, name=name, trained=False)
    randomise(encoder, seed)
    return encoder.eval()


@torch.no_grad()
def randomise(module: nn.Module, seed: int) -> None:
    """Fill every matrix with normal numbers of unit gain from a generator with this seed.

    Biases become zero; parameters that normalise or scale keep their value.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            gain = 1 / math.sqrt(parameter[0].numel())
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * gain)
        elif name.endswith("bias"):
            parameter.zero_()


def checkpoint_folder() -> Path:
    """Return the folder for files downloaded by hand: ``~/.cache/concerto_ros``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "concerto_ros"


def read_checkpoint(
    name_or_path: str | os.PathLike, official: dict[str, str], *, download: bool = True
) -> tuple[dict[str, Any], Path]:
    """Read a checkpoint file.

    Args:
        name_or_path: path or official name.
        official: the Hugging Face repository of each official name.
        download: whether a file that is not on this machine may be downloaded.

    Returns:
        The content ``{"config", "state_dict", ...}`` and the path of the file. The state dict
            holds tensors by name, whatever its entry in the file, without the parts of names that
            wrappers add; a checkpoint of a training has no config.

    Raises:
        CheckpointError: the file is missing, or has another content.
    """
    path = find_file(os.fspath(name_or_path), official, download)
    try:
        content = read_plain(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} has no dict 'config'; got a {type(content).__name__}, expected a dict of"
            " 'config' and 'state_dict'"
        )
    if not isinstance(content.get("config", {}), dict):
        got = type(content["config"]).__name__
        raise CheckpointError(f"{path} has no dict 'config'; got a {got}, expected a dict")
    content["state_dict"] = state_dict_in(content, path)
    return content, path


def config_in(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the official config of an encoder in a file's content.

    Raises:
        CheckpointError: there is none, as in the checkpoints of a training.
    """
    config = content.get("config")
    if not isinstance(config, dict):
        raise CheckpointError(
            f"{path} has no dict 'config'; got {names_in(content)}, expected 'config' and"
            " 'state_dict'. A training of Pointcept keeps it in its config.py under"
            " model.backbone: docs/training.md says how to add it"
        )
    return config


def load_strictly(
    module: nn.Module,
    state: dict[str, torch.Tensor],
    path: Path,
    *,
    ignored: frozenset[str] = frozenset(),
) -> None:
    """Copy a state dict into a module; every name and shape must match, every value be finite.

    Args:
        module: is changed in place.
        state: the state dict.
        path: the file that errors name.
        ignored: names in ``state`` that are skipped.

    Raises:
        CheckpointError: a name is missing or unexpected, a shape differs, or a value is not
            finite.
    """
    state = {name: value for name, value in state.items() if name not in ignored}
    own = module.state_dict()
    faults = [
        f"{what}: {', '.join(names[:4])}{f' and {len(names) - 4} more' if names[4:] else ''}"
        for what, names in (
            ("missing", sorted(own.keys() - state.keys())),
            ("unexpected", sorted(state.keys() - own.keys())),
            (
                "wrong shape",
                [
                    f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
                    for name in sorted(own.keys() & state.keys())
                    if state[name].shape != own[name].shape
                ],
            ),
        )
        if names
    ]
    if faults:
        raise CheckpointError(
            f"the state_dict of {path} does not fit its config; {'; '.join(faults)}"
        )
    module.load_state_dict(state)
    check_finite(module, path)


def check_finite(module: nn.Module, path: Path) -> None:
    """Check the weights of a module: one NaN makes every output NaN.

    Args:
        module: with the weights in the floating-point type in which they will be used.
        path: the file that they come from.

    Raises:
        CheckpointError: a value is NaN or infinite; the text names the tensors.
    """
    faults = not_finite(module.state_dict())
    if not faults:
        return
    if any(parameter.dtype == torch.float16 for parameter in module.parameters()):
        raise CheckpointError(
            f"{path} has weights that are not finite in float16: {faults}; expected weights below"
            " 65504, or the precision float32 or bfloat16"
        )
    raise CheckpointError(
        f"{path} has weights that are not finite (NaN or infinity): {faults}; expected finite"
        " weights: the training diverged or overflowed, so take an earlier checkpoint or train"
        " again with a lower learning rate"
    )


def licence_of(content: dict[str, Any], path: Path) -> str:
    """Return the licence of the weights; empty where none is stored or known."""
    official = path.stem in OFFICIAL_ENCODERS or path.stem in OFFICIAL_HEADS
    return str(content.get("license") or (OFFICIAL_LICENCE if official else ""))


def preset_in(content: dict[str, Any], path: Path) -> str | None:
    """Return the preset stored in a file of this package; None for official files.

    Raises:
        CheckpointError: the preset is not a text.
    """
    preset = content.get("preset")
    if preset is not None and not isinstance(preset, str):
        raise CheckpointError(f"{path} has preset {preset!r}, expected the name of a preset")
    return preset


def _conventions_in(content: dict[str, Any], path: Path) -> dict[str, tuple[float, str]]:
    """Return the conventions by preset stored in a file of this package; none in official files.

    Raises:
        CheckpointError: they are not numbers and texts by preset.
    """
    stored = content.get("conventions", {})
    try:
        return {
            str(preset): (float(scale), str(centre)) for preset, (scale, centre) in stored.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise CheckpointError(
            f"{path} has conventions {stored!r}, expected a scale and a centre for each preset"
        ) from None


def log_licence(content: dict[str, Any], path: Path) -> None:
    """Log the licence under which the weights may be used."""
    licence = licence_of(content, path)
    if licence:
        log.info("weights of %s: licence %s", path.name, licence)
    else:
        log.info("weights of %s: no licence is named in the file", path.name)


def find_file(wanted: str, official: dict[str, str], download: bool = True) -> Path:
    """Find the file of a path or official name, downloading it if necessary.

    Args:
        wanted: path or official name.
        official: the Hugging Face repository of each official name.
        download: whether the file may be downloaded.

    Raises:
        CheckpointError: the file does not exist or cannot be downloaded.
    """
    path = Path(wanted).expanduser()
    if path.is_file():
        return path
    if wanted not in official:
        hint = f" (the official name is {path.stem!r})" if path.stem in official else ""
        raise CheckpointError(
            f"checkpoint {wanted!r} is neither a file nor an official name{hint}; expected a path,"
            f" {DEMO!r} or one of {', '.join(official)}"
        )
    file, repository = f"{wanted}.pth", official[wanted]
    placed = checkpoint_folder() / file
    if placed.is_file():
        return placed
    try:
        return _fetch(repository, file, download)
    except Exception as error:  # whatever a network, proxy, cache or missing package raises
        place = f"put {file} of huggingface.co/{repository} at {placed}"
        if download:
            raise CheckpointError(
                f"cannot fetch {file} of huggingface.co/{repository} ({type(error).__name__}):"
                f" run `concerto-ros download {wanted}` where there is a network, or {place}, or"
                " give the path of the file instead of the name"
            ) from error
        raise CheckpointError(
            f"{wanted} is not on this computer, and is not downloaded here: run `concerto-ros"
            f" download {wanted}` once, with a network, or {place}, or give the path of the file"
            " instead of the name"
        ) from error


def _fetch(repository: str, file: str, download: bool) -> Path:
    """Return the file from the cache of huggingface_hub, else from the network."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, local_files_only=True))
    except LocalEntryNotFoundError:
        if not download:
            raise
    # One request: the download itself would retry for half a minute before it fails offline.
    get_hf_file_metadata(hf_hub_url(repository, file), timeout=10)
    return Path(hf_hub_download(repository, file))


def save_encoder(path: Path, encoder: Encoder) -> None:
    """Write an encoder, with its decoder if it has one, in the official layout.

    The file holds ``{"config", "state_dict"}`` and, where the encoder has them, ``grid_size`` in
    metres, ``preset`` and ``conventions``; :func:`~concerto_ros.ptv3.load_encoder` reads it back.
    """
    # Rotary embedding is detected from the state dict; only models with it have a base.
    left_out = {"rotary"} if encoder.rotary else {"rotary", "rope_base"}
    names = [field.name for field in fields(encoder.config) if field.name not in left_out]
    config = {name: _plain(getattr(encoder.config, name)) for name in names}
    content: dict[str, Any] = {"config": config, "state_dict": on_cpu(encoder.state_dict())}
    if encoder.grid_size is not None:
        content["grid_size"] = float(encoder.grid_size)
    if encoder.preset is not None:
        content["preset"] = encoder.preset
    if encoder.conventions:
        content["conventions"] = {
            preset: list(convention) for preset, convention in encoder.conventions.items()
        }
    write_file(path, content)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
