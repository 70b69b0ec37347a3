# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The reference package on the same scenes, where it is installed; never a dependency."""

from __future__ import annotations

import importlib
import importlib.util
import statistics
from collections.abc import Callable, Iterator
from dataclasses import fields

import torch

from benchmarks.encoder import SCENES, SIZES
from benchmarks.measure import peak_memory, runs
from benchmarks.scenes import model_input
from concerto_ros.ptv3.config import PTv3Config

#: Import names of the packages that publish the encoder.
PACKAGES = ("concerto", "sonata", "utonia")

#: Fields of our config that the reference package does not have.
_OUR_FIELDS = {"rotary", "rope_base", "layer_scale"}


def package() -> str | None:
    """The first reference package that is installed; None: none is."""
    return next((name for name in PACKAGES if importlib.util.find_spec(name)), None)


def measure(name: str, device: torch.device) -> Iterator[dict[str, object]]:
    """The base size on both scenes, in float32 and, on a GPU, under autocast in float16."""
    size = "base 108M"
    precisions = ["float32"] + ["float16"] * (device.type == "cuda")
    for scene, precision in ((s, p) for s in SCENES for p in precisions):
        about = {"size": size, "precision": precision, "backend": f"package {name}"}
        about["scene"] = scene
        try:
            yield about | _numbers(name, size, scene, precision, device)
        except Exception as error:  # a package that we do not control may raise anything
            yield about | {"failed": f"{type(error).__name__}: {str(error)[:200]}"}


@torch.inference_mode()
def _numbers(name, size, scene, precision, device) -> dict[str, object]:
    given = model_input(SCENES[scene]())
    work = forward(name, size, precision, given, device)
    spent = runs(work, device)
    return {
        "voxels": len(given[0]),
        "milliseconds": 1e3 * statistics.median(spent),
        "least_milliseconds": 1e3 * min(spent),
        "runs": len(spent),
        "peak_megabytes": peak_memory(work, device),
    }


def forward(
    name: str,
    size: str,
    precision: str,
    given: tuple[torch.Tensor, ...],
    device: torch.device,
) -> Callable[[], None]:
    """What encodes a cloud with a package; ``float16`` is computed under autocast.

    Args:
        name: of the package.
        size: of the encoder, a key of :data:`~benchmarks.encoder.SIZES`.
        precision: ``float32`` or ``float16``.
        given: as :func:`~benchmarks.scenes.model_input` returns it.
        device: where to compute.
    """
    module = importlib.import_module(f"{name}.model")
    config = {
        field.name: getattr(SIZES[size], field.name)
        for field in fields(PTv3Config)
        if field.name not in _OUR_FIELDS
    }
    flash = device.type == "cuda" and importlib.util.find_spec("flash_attn") is not None
    model = module.PointTransformerV3(**config, enable_flash=flash, shuffle_orders=False)
    model = model.to(device).eval()
    if device.type == "cpu":
        # On the CPU spconv adds the bias only in training mode, which changes nothing else.
        for layer in model.modules():
            layer.training = type(layer).__module__.startswith("spconv")
    feat, grid_coord, coord, offset = (tensor.to(device) for tensor in given)
    inputs = {"feat": feat, "grid_coord": grid_coord, "coord": coord, "offset": offset}

    def work() -> None:
        with torch.autocast(device.type, torch.float16, enabled=precision == "float16"):
            model(dict(inputs))

    return work
