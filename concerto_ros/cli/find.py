# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find what a text names in a point cloud file or a saved map, without ROS.

Prints a table of the places that match best, with their score (0 to 1), and middle and box in the
coordinates of the file, which --up turns. Writes FILE_found.png (brighter: more alike; the matches
in green) and FILE_found.json. Where nothing matches better than the contrast words (floor, wall,
"object" and others) it says "not found", and the exit status is 0 all the same.

FILE is a point cloud, as for concerto-ros segment, or a map that the node saved (.safetensors).

  concerto-ros find scan.ply "office chair"
  concerto-ros find kitchen.safetensors "something to sit on"
  concerto-ros find scan.ply "sofa|couch"
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from concerto_ros.cli.segment import add_cloud_arguments, read_upright, settings_of, upright
from concerto_ros.cli.shared.word_arguments import add_word_arguments

if TYPE_CHECKING:
    from concerto_ros.objects.finding.text_matches import TextMatch, TextMatches
    from concerto_ros.settings.settings import Settings

HELP = "find what a text names in a point cloud file or a saved map"

#: The colour of what is found, which no cosine has.
_FOUND = (40, 200, 90)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the cloud, the text, the model and where to write."""
    parser.add_argument("file", type=Path, metavar="FILE_OR_MAP", help="point cloud, or saved map")
    parser.add_argument(
        "text", help="what to find, such as 'something to sit on'; | between synonyms"
    )
    parser.add_argument(
        "--limit", type=int, default=10, metavar="N", help="matches to list at most (default 10)"
    )
    add_cloud_arguments(parser)
    add_word_arguments(parser, names=False)


def run(arguments: argparse.Namespace) -> int:
    """Find the text, print the matches and write picture and JSON.

    Returns:
        The exit status, 0 also where nothing is found.
    """
    from concerto_ros.mapping.map_file import SUFFIX
    from concerto_ros.words.word_list import checked_words

    checked_words([arguments.text], "TEXT")
    if arguments.limit < 1:
        raise ValueError(f"--limit: got {arguments.limit}, expected 1 or more")
    settings = settings_of(arguments)
    if arguments.file.suffix == SUFFIX:
        found, view = _in_map(arguments.file, arguments.text, settings), None
    else:
        found, view = _in_cloud(arguments, settings)
    folder = arguments.out or arguments.file.parent
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / arguments.file.stem
    picture, report = Path(f"{stem}_found.png"), Path(f"{stem}_found.json")
    _draw(found, view, picture)
    listed = found.matches[: arguments.limit]
    content = {
        "file": str(arguments.file),
        "text": found.text,
        "model": found.prediction.model,
        "found": len(found.matches),
        "matches": [_plain(match) for match in listed],
    }
    report.write_text(json.dumps(content, indent=1) + "\n")
    print(_table(found, listed))
    print(f"wrote {picture}, {report}")
    return 0


def _in_cloud(
    arguments: argparse.Namespace, settings: Settings
) -> tuple[TextMatches, tuple[Any, Any] | None]:
    """Return what is found in a cloud file, and from where to look at it."""
    from concerto_ros.pipeline import SemanticPipeline
    from concerto_ros.viz.cloud_picture import sensor_view

    file, cloud, origin = read_upright(arguments)
    offset = upright(arguments.up) @ file.offset
    pipeline = SemanticPipeline.from_settings(settings)
    found = pipeline.find(
        arguments.text,
        cloud.points + offset if offset.any() else cloud.points,
        cloud.colors,
        cloud.normals,
        origin=None if origin is None else origin + offset,
        level=not arguments.no_level,
    )
    seen = found.prediction.points
    return found, None if origin is None else sensor_view(seen, origin + offset)


def _in_map(path: Path, text: str, settings: Settings) -> TextMatches:
    """Return what is found in a saved map."""
    from concerto_ros.mapping.map_file import read_map
    from concerto_ros.pipeline import SemanticPipeline

    stored = read_map(path, settings.max_voxels)
    kept = {"voxel_size": stored.snapshot.voxel_size, "fixed_frame": stored.fixed_frame}
    pipeline = SemanticPipeline.from_settings(settings.changed(kept))
    pipeline.replace_map(stored)
    return pipeline.find(text)


def _draw(found: TextMatches, view: tuple[Any, Any] | None, path: Path) -> None:
    from PIL import Image

    from concerto_ros.labels.heat_colors import heat_colors
    from concerto_ros.viz.cloud_picture import render_cloud

    prediction = found.prediction
    assert prediction.similarity is not None
    rgb = heat_colors(np.nan_to_num(prediction.similarity))
    for match in found.matches:
        rgb[match.rows] = _FOUND
    legend = [("found", _FOUND)] if found.matches else []
    title = f"{found.text}: {_count(found)}"
    picture = render_cloud(prediction.points, rgb, view_from=view, title=title, legend=legend)
    Image.fromarray(picture).save(path)


def _count(found: TextMatches) -> str:
    number = len(found.matches)
    return f"{number} match{'es' * (number != 1)}" if number else "not found"


def _table(found: TextMatches, listed: tuple[TextMatch, ...]) -> str:
    lines = [f"{found.text}: {_count(found)}, model {found.prediction.model}"]
    if listed:
        lines.append("  score  points   middle x, y, z [m]           size [m]")
    for match in listed:
        middle = "".join(f"{value:9.2f}" for value in match.centroid)
        size = " x ".join(f"{value:.2f}" for value in match.box.size)
        lines.append(f"  {match.score:5.2f}{len(match.rows):8d} {middle}   {size}")
    if len(found.matches) > len(listed):
        lines.append(f"  and {len(found.matches) - len(listed)} more (--limit)")
    return "\n".join(lines)


def _plain(match: TextMatch) -> dict[str, Any]:
    return {
        "score": round(match.score, 4),
        "points": len(match.rows),
        "centroid": _rounded(match.centroid),
        "box": {
            "center": _rounded(match.box.center),
            "size": _rounded(match.box.size),
            "yaw": round(float(match.box.yaw), 4),
        },
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]
