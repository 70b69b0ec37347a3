# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundled models, read once: pipelines, nodes and commands of the tests take copies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from concerto_ros import ptv3
from concerto_ros.objects.encoders import demo_encoder
from concerto_ros.objects.finding import naming
from concerto_ros.ptv3 import bundled
from concerto_ros.segmentation import loading


def _once(read: Callable[..., Any], file_of: Callable[..., Path]) -> Callable[..., Any]:
    """``read``, but of ``demo`` a copy of what the same call gave the first time."""
    models: dict[object, Any] = {}

    def reading(name: object, **options: Any) -> Any:
        if name != bundled.DEMO:
            return read(name, **options)
        file = file_of(**options)  # a test may have its own, or none
        if not file.is_file():
            return read(name, **options)
        key = (file, file.stat().st_mtime_ns, *sorted(options.items()))
        if key not in models:
            models[key] = read(name, **options)
        return copy.deepcopy(models[key])

    return reading


def _encoder_file(*, preset: str = "indoor", **_: object) -> Path:
    return bundled.demo_file(preset)


@pytest.fixture(scope="session", autouse=True)
def bundled_models_once() -> Iterator[None]:
    """Save most of the time that pipelines, nodes and commands take to read their models.

    Test modules that import ``load_encoder`` themselves get the one that reads: what it makes of a
    file is theirs to test.
    """
    encoder = _once(loading.load_encoder, _encoder_file)
    of_objects = _once(naming.load_object_encoder, lambda: demo_encoder.demo_file())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_encoder", encoder)
        patch.setattr(ptv3, "load_encoder", encoder)  # commands import it when they run
        patch.setattr(naming, "load_object_encoder", of_objects)
        yield
