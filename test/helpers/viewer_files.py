# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads back what the viewer was given, from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


class ViewerFile:
    """The content of an .rrd file.

    Attributes:
        chunks: Of each entity by name, those that hold something of it.
    """

    def __init__(self, path: Path):
        reader = pytest.importorskip("rerun.chunk").RrdReader(path)
        self.chunks: dict = {}
        for chunk in reader.stream().to_chunks():
            self.chunks.setdefault(chunk.entity_path.lstrip("/") or "/", []).append(chunk)
        self.has_blueprint = bool(reader.blueprints())

    @property
    def entities(self) -> set[str]:
        return set(self.chunks) - {"/", "__properties"}

    def rows(self, entity: str, component: str) -> list:
        """All values of a component, oldest first, each a list of one entry per instance."""
        found = []
        for chunk in self.chunks[entity]:
            batch = chunk.to_record_batch()
            if component in batch.schema.names:
                found += [row for row in batch.column(component).to_pylist() if row is not None]
        return found

    def newest(self, entity: str, component: str) -> np.ndarray:
        return np.array(self.rows(entity, component)[-1])

    def times(self, entity: str) -> list:
        """The timelines of an entity; none where it is timeless."""
        return sorted({name for chunk in self.chunks[entity] for name in chunk.timeline_names})

    def classes(self) -> dict[int, str]:
        (context,) = self.rows("/", "AnnotationContext:context")[-1:]
        infos = [entry["class_description"]["info"] for entry in context[0]]
        return {info["id"]: info["label"] for info in infos}
