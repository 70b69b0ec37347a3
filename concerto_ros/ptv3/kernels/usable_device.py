# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether PyTorch can compute on a GPU of this machine, and why it cannot, in its own words."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path

import torch

from concerto_ros.ptv3.kernels.lost_device import compute
from concerto_ros.ptv3.kernels.out_of_memory import is_out_of_memory
from concerto_ros.settings.field import SettingsError

log = logging.getLogger(__name__)

#: Present where NVIDIA's driver is loaded, on PCs and on Jetson.
DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvhost-gpu"), Path("/dev/nvgpu"))

#: Parts of PyTorch's messages on machines that have no GPU or are told to use none.
_NO_GPU = ("Found no NVIDIA driver", "No CUDA GPUs are available", "no CUDA-capable device")


def why_unusable(device: torch.device) -> str:
    """Return why PyTorch cannot compute on a CUDA device; empty where it can.

    It computes one number there, because ``torch.cuda.is_available()`` is true also for a GPU that
    is too old or too new for the installed PyTorch. A full GPU can be used.
    """
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this PyTorch ({torch.__version__}) is built without CUDA"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            torch.cuda.init()
            without_code = _without_code(device)
            if not without_code:
                compute(device)
                return ""
        except Exception as error:  # of PyTorch or of the driver; the kind depends on its version
            if is_out_of_memory(error):
                return ""
            without_code = _words(error)
    # PyTorch warns about each GPU that it has no code for.
    warned = [_words(entry.message) for entry in said if "compatible" in str(entry.message)]
    return "; ".join(dict.fromkeys([without_code, *warned]))


def is_expected(why: str) -> bool:
    """Return whether a reason of :func:`why_unusable` is that of a machine without a GPU."""
    if "built without CUDA" in why:
        return not any(path.exists() for path in DRIVERS)
    return any(sign in why for sign in _NO_GPU)


def _words(message: object) -> str:
    return " ".join(str(message).split()) or type(message).__name__


def _without_code(device: torch.device) -> str:
    """Return why the installed PyTorch has no code for a GPU; empty where it has."""
    built_for = torch.cuda.get_arch_list()
    capability = torch.cuda.get_device_capability(device)
    if torch.version.cuda is None or not built_for:
        return ""
    if any(_runs(architecture, *capability) for architecture in built_for):
        return ""
    return (
        f"{torch.cuda.get_device_name(device)} has compute capability {capability[0]}."
        f"{capability[1]}, and this PyTorch ({torch.__version__}) has code for"
        f" {' '.join(built_for)} only"
    )


def _runs(architecture: str, major: int, minor: int) -> bool:
    """Return whether code for ``architecture`` runs on a GPU of a compute capability.

    Machine code (``sm_86``) runs on the same major version from its minor version on, and with a
    letter (``sm_90a``) on its own only; PTX (``compute_90``) runs on all later GPUs.
    """
    found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", architecture)
    if found is None:
        return True  # of a kind that is not known here: the GPU itself will tell
    kind, own_major, own_minor, letter = found[1], int(found[2]), int(found[3]), found[4]
    if letter == "a":
        return (own_major, own_minor) == (major, minor)
    if kind == "compute" and not letter:
        return (own_major, own_minor) <= (major, minor)
    return own_major == major and own_minor <= minor


def device_named(name: str) -> torch.device:
    """Return the device of the parameter ``device``.

    For ``auto`` that is the CPU where no GPU can be used; the log then has the reason.

    Raises:
        SettingsError: PyTorch has no such device on this machine, or cannot compute on it.
    """
    if name == "auto":
        why = why_unusable(torch.device("cuda"))
        if why:
            level = logging.INFO if is_expected(why) else logging.WARNING
            log.log(level, "device auto is the CPU: %s", why)
        return torch.device("cpu" if why else "cuda")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"device: got {name!r}, expected auto, cpu, cuda or cuda:N")
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count()
    if (device.index or 0) < count:
        why = why_unusable(device)
    else:
        why = (not count and why_unusable(device)) or f"PyTorch sees {count} CUDA devices"
    if why:
        raise SettingsError(
            f"device: got {name!r}, which cannot be used: {why}; expected cpu, auto or a device"
            " that PyTorch can use"
        )
    return device
