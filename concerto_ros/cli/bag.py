# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label a recording without ROS, at full speed: OUT is IN and the labels that go with it.

IN is a rosbag2 (sqlite3 or mcap), or a folder of them. Killed, it goes on where it was when it is
started again. OUT.json tells what became of every message.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from concerto_ros.cli.segment import SETTINGS

HELP = "add labels and feature colours to a bag"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The bags, what to perceive and where to compute."""
    from concerto_ros.settings.settings import DEFAULTS, about

    parser.add_argument("source", type=Path, metavar="IN", help="bag, or folder of bags")
    parser.add_argument("out", type=Path, metavar="OUT", help="the new bag, or folder of bags")
    parser.add_argument(
        "--config",
        type=Path,
        help="ROS parameter file that names the inputs (default: found in the bag)",
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        metavar="SECONDS",
        help="of the bag for each of which the map is labelled once; 0: after every frame"
        " (default: 1/rate, 0.2)",
    )
    parser.add_argument(
        "--prefix",
        type=_prefix,
        default="/concerto/",
        help="of the topics that are added: labels, pca, classes (default /concerto/)",
    )
    parser.add_argument(
        "--part-seconds",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="of the bag that a run which was killed has to do again at most"
        " (default: 60, or ten windows of the map where that is longer)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        help="processes for a folder of bags (default: one for each GPU, or one)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="spread the bags over a Ray cluster: auto, ray://host:10001, or local",
    )
    for name in SETTINGS:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(DEFAULTS[name]), help=about(name).text
        )


def run(arguments: argparse.Namespace) -> int:
    """Label every bag; 1 where one of them could not be."""
    from concerto_ros.offline.job import Job
    from concerto_ros.offline.many_jobs import (
        default_processes,
        plan_jobs,
        run_here,
        run_in_processes,
        run_on_ray,
    )

    if arguments.jobs is not None and arguments.jobs < 1:
        raise ValueError(f"--jobs: got {arguments.jobs}, expected 1 or more")
    given = {name: getattr(arguments, name) for name in SETTINGS}
    jobs = plan_jobs(
        Job(
            source=arguments.source,
            out=arguments.out,
            config=arguments.config,
            overrides={name: value for name, value in given.items() if value is not None},
            every=arguments.every,
            part_seconds=arguments.part_seconds,
            prefix=arguments.prefix,
        )
    )
    processes = min(arguments.jobs or default_processes(), len(jobs))
    if arguments.ray is not None:
        outcomes = run_on_ray(jobs, arguments.ray)
    elif processes > 1:
        outcomes = run_in_processes(jobs, processes)
    else:
        outcomes = run_here(jobs)
    failed = 0
    several = None if len(jobs) > 1 else True  # None: where there is a terminal
    for job, outcome in tqdm(outcomes, total=len(jobs), unit="bag", disable=several):
        if isinstance(outcome, Exception):
            failed += 1
            tqdm.write(f"concerto-ros bag: {job.source}: {outcome}", file=sys.stderr)
        else:
            tqdm.write(_report(job.out, outcome))
    if failed and len(jobs) > 1:
        print(f"concerto-ros bag: {failed} of {len(jobs)} bags failed", file=sys.stderr)
    return 1 if failed else 0


def _report(out: Path, summary: dict[str, Any]) -> str:
    """A bag's summary for a person."""
    lines = [f"{out}: {summary['labelled']} times labelled, model {summary['run']['model']}"]
    lines += [f"  {sentence}" for sentence in summary["inputs_found"]]
    for name, counts in summary["inputs"].items():
        dropped = sum(counts["dropped"].values())
        lines.append(
            f"  {name}: {counts['received']} received = {counts['used']} used + {dropped} dropped"
        )
        for reason, count in counts["dropped"].items():
            lines.append(f"    {count} {reason}: {counts['examples'][reason]}")
    for key, text in (
        ("restarts", "restarts, at which the map was cleared"),
        ("evicted", "voxels left the map because of max_voxels"),
        ("clipped", "points were not used because their cloud has more than max_points"),
        ("refused_transforms", "transforms make no sense"),
    ):
        if summary[key]:
            lines.append(f"  {summary[key]} {text}")
    return "\n".join(lines)


def _prefix(text: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z_][A-Za-z0-9_]*)+/?", text):
        raise argparse.ArgumentTypeError(f"got {text}, expected a ROS namespace such as /concerto")
    return text.rstrip("/") + "/"


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"got {text}, expected seconds, 0 or more")
    return value
