# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Show a running node, a bag, a cloud or a map in the viewer Rerun, in a window or a browser.

  concerto-ros view                        the running node /concerto
  concerto-ros view labelled_bag           a recording, such as concerto-ros bag writes
  concerto-ros view scan_labels.ply        a labelled cloud; one without labels is labelled first
  concerto-ros view map.safetensors        a saved map
  concerto-ros view scan.ply --save a.rrd  a file to share, which `rerun a.rrd` opens

Needs pip install 'concerto_ros[view]'.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from concerto_ros.cli.segment import (
    add_reading_arguments,
    add_setting_arguments,
    read_upright,
    settings_of,
)

if TYPE_CHECKING:
    from concerto_ros.viewer.clouds import ShownCloud

HELP = "show a running node, a bag, a cloud file or a saved map in the viewer Rerun"

#: Lines on what could not be shown of a recording.
MOST_REASONS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define what to show, where, and the model for clouds without labels."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="BAG_OR_FILE",
        help="a bag, a point cloud file or a saved map (default: the running node)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--save", type=Path, metavar="OUT.rrd", help="write a file instead of opening a window"
    )
    where.add_argument(
        "--web", action="store_true", help="serve the viewer to a browser instead, until Ctrl-C"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=9090,
        help="port of --web; its data has the next one (default 9090)",
    )
    parser.add_argument(
        "--query",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="also show how similar everything is to this point, in metres, as the viewer shows"
        " its coordinates",
    )
    parser.add_argument(
        "--relabel", action="store_true", help="label a cloud file even if it has labels"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=5.0,
        metavar="HZ",
        help="most clouds and images per second of each topic (default 5)",
    )
    parser.add_argument(
        "--node", default="/concerto", help="name of the running node (default /concerto)"
    )
    parser.add_argument(
        "--seconds", type=float, help="how long to show the running node (default: until Ctrl-C)"
    )
    add_reading_arguments(parser)
    add_setting_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the source.

    Raises:
        ImportError: Rerun is not installed.
        ValueError: The source cannot be shown, or there is no such node.
    """
    from concerto_ros.mapping.map_file import SUFFIX
    from concerto_ros.sensors.cloud_files import FORMATS
    from concerto_ros.viewer.library import rerun_library

    if not 0 < arguments.rate <= 1000:
        raise ValueError(f"--rate: got {arguments.rate:g}, expected a number above 0, up to 1000")
    if arguments.seconds is not None and not arguments.seconds > 0:
        raise ValueError(f"--seconds: got {arguments.seconds:g}, expected a number above 0")
    if arguments.query and not all(abs(value) < 1e9 for value in arguments.query):
        raise ValueError(f"--query: got {arguments.query}, expected three finite numbers, metres")
    rerun_library()
    source = arguments.file
    if source is None:
        return _show_node(arguments)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist")
    if source.suffix.lower() in (SUFFIX, *FORMATS) and source.is_file():
        _show_cloud(arguments)
    else:
        _show_bag(arguments)
    return 0


def _outlet(arguments: argparse.Namespace) -> AbstractContextManager[Any]:
    from concerto_ros.viewer import outlets

    if arguments.save is not None:
        return outlets.to_file(arguments.save)
    if arguments.web:
        return outlets.to_browser(arguments.port)
    return outlets.to_window()


def _stay(arguments: argparse.Namespace) -> None:
    """Serve the browser until Ctrl-C."""
    if arguments.web:
        print("Ctrl-C ends it", flush=True)
        while True:
            time.sleep(3600)


def _show_node(arguments: argparse.Namespace) -> int:
    from concerto_ros.ros.tools.live_view import show_node

    show_node(
        _outlet(arguments),
        arguments.node,
        rate=arguments.rate,
        query=arguments.query,
        seconds=arguments.seconds,
    )
    if arguments.save is not None:
        print(f"wrote {arguments.save}")
    return 0


def _show_bag(arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    from concerto_ros.bags.reader import open_bag
    from concerto_ros.viewer.recordings import content_of, show_bag
    from concerto_ros.viewer.scene import Scene

    if arguments.query:
        raise ValueError("--query: got it with a bag, expected a cloud, a map or a running node")
    with open_bag(arguments.file) as bag:
        content = content_of(bag)
        for remark in content.remarks:
            print(remark)
        with (
            _outlet(arguments) as recording,
            tqdm(total=bag.message_count, unit="msg", disable=None) as bar,
        ):
            view = show_bag(
                bag, content, Scene(recording), rate=arguments.rate, on_message=bar.update
            )
            bar.close()
            for reason, count in view.not_shown.most_common(MOST_REASONS):
                print(f"{count} not shown: {reason}", file=sys.stderr)
            _stay(arguments)
    if arguments.save is not None:
        print(f"wrote {arguments.save}")


def _show_cloud(arguments: argparse.Namespace) -> None:
    from concerto_ros.mapping.map_file import SUFFIX
    from concerto_ros.viewer.clouds import show_cloud
    from concerto_ros.viewer.scene import Scene

    settings_of(arguments)  # a wrong option is said before a window opens
    of_map = arguments.file.suffix.lower() == SUFFIX
    with _outlet(arguments) as recording:
        cloud = _map(arguments) if of_map else _cloud(arguments)
        show_cloud(Scene(recording), cloud)
        print(f"{arguments.file.name}: {len(cloud.points)} points, labels: {cloud.title}")
        _stay(arguments)
    if arguments.save is not None:
        print(f"wrote {arguments.save}")


def _map(arguments: argparse.Namespace) -> ShownCloud:
    """A saved map; the model is only needed for a similarity."""
    from concerto_ros.mapping.map_file import read_map
    from concerto_ros.pipeline import SemanticPipeline
    from concerto_ros.viewer.clouds import of_map

    settings = settings_of(arguments)
    stored = read_map(arguments.file, settings.max_voxels)
    shown = of_map(stored)
    if arguments.query is None:
        return shown
    kept = {"voxel_size": stored.snapshot.voxel_size, "fixed_frame": stored.fixed_frame}
    pipeline = SemanticPipeline.from_settings(settings.changed(kept))
    pipeline.replace_map(stored)
    return replace(shown, prediction=pipeline.similar(arguments.query))


def _cloud(arguments: argparse.Namespace) -> ShownCloud:
    """A cloud file, with its own labels or those of the model."""
    from concerto_ros.pipeline import SemanticPipeline
    from concerto_ros.viewer.clouds import ShownCloud, named_labels

    file, cloud, origin = read_upright(arguments)
    if file.offset.any():
        print(f"shown relative to {', '.join(f'{value:.0f}' for value in file.offset)}")
    if file.not_finite:
        print(f"{file.not_finite} points are not finite and left out")
    own = None if arguments.relabel else file.label
    colors, prediction = cloud.colors, None
    if own is None or arguments.query:
        pipeline = SemanticPipeline.from_settings(settings_of(arguments))
        given = cloud.points, cloud.colors, cloud.normals
        how: dict[str, Any] = {"origin": origin, "level": not arguments.no_level}
        if arguments.query:
            prediction = pipeline.similar(arguments.query, *given, **how)
        else:
            prediction = pipeline.segment(*given, **how)
    if own is not None:
        labels = named_labels(own, colors, arguments.label_set)
        if colors is not None and (colors == labels.palette[np.clip(own, 0, 255)]).all():
            colors = None  # the file has those of its labels in place of the sensor's
        label, title = own, "of the file"
    else:
        assert prediction is not None
        label, labels, title = prediction.label.astype(int), pipeline.labels, prediction.model
    return ShownCloud(
        cloud.points, label, labels, title, colors, prediction, cloud.normals, origin
    )
