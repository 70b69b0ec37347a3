# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what words find in public recordings, for docs/words.md.

``python -m benchmarks.word_recordings DATA IMAGES`` looks for :data:`TEXTS` in the office and in
the desk of :data:`benchmarks.recordings.RECORDINGS` below the folder DATA and draws each of both
into ``IMAGES/words_NAME.jpg``, what was found in green.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.recordings import Recording, fused, present, save, upright_cloud
from concerto_ros.objects.finding.text_matches import TextMatches
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.settings.settings import Settings
from concerto_ros.viz.cloud_picture import render_cloud, sensor_view

TEXTS = ("office chair", "monitor", "door", "keyboard")
NAMES = ("office", "desk")
FOUND = (40, 200, 90)
#: Of these, at most so many places are drawn.
PLACES = 3
WIDTH, HEIGHT = 640, 420


def draw(recording: Recording, path: Path) -> tuple[np.ndarray, str]:
    """The picture (H, W, 3) uint8 of all texts, and what is said about each."""
    pipeline = SemanticPipeline.from_settings(Settings(preset=recording.preset))
    view = None
    if path.is_dir():
        points, colors = fused(path, recording.preset, pipeline)
        origin, normals = points.mean(axis=0), None
    else:
        cloud = upright_cloud(path, recording.up)
        points, colors, normals, origin = cloud.points, cloud.colors, cloud.normals, cloud.origin
        view = sensor_view(points, np.zeros(3))
    panels, lines = [], []
    for text in TEXTS:
        found = pipeline.find(text, points, colors, normals, origin=origin)
        lines.append(f"{text}: {described(found)}")
        rgb = np.array(colors, np.uint8) // 2 + 40
        for match in found.matches[:PLACES]:
            rgb[match.rows] = FOUND
        panels.append(
            render_cloud(points, rgb, width=WIDTH, height=HEIGHT, view_from=view, title=lines[-1])
        )
    half = len(panels) // 2
    rows = [np.concatenate(part, axis=1) for part in (panels[:half], panels[half:])]
    return np.concatenate(rows), "; ".join(lines)


def described(found: TextMatches) -> str:
    """The number of places and the scores of those that are drawn."""
    scores = ", ".join(f"{match.score:.2f}" for match in found.matches[:PLACES])
    return f"{len(found.matches)} places ({scores})" if scores else "not found"


def main(arguments: list[str]) -> int:
    """Draw the recordings that are there; the exit status."""
    data, images = map(Path, arguments)
    save(
        images,
        "words",
        ((recording.name, *draw(recording, place)) for recording, place in present(data, NAMES)),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
