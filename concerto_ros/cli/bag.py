# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Label a recording without ROS, at full speed: OUT is a copy of IN with label topics added.

IN is a rosbag2 (sqlite3 or mcap), or a folder of them. A run that was interrupted resumes when the
same command is started again. OUT.json counts the messages of each input that were used and
dropped, and why.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from concerto_ros.cli.segment import SETTINGS
from concerto_ros.cli.shared.former_names import add_former_name
from concerto_ros.cli.shared.word_arguments import add_word_arguments, word_settings
from concerto_ros.files.error_text import in_words

HELP = "add labels and feature colours to a bag"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the bags, the inputs, the model and the processes to use."""
    from concerto_ros.settings.settings import DEFAULTS, about

    parser.add_argument("source", type=Path, metavar="IN", help="bag to read, or folder of bags")
    parser.add_argument("out", type=Path, metavar="OUT", help="bag to write, or folder of bags")
    parser.add_argument(
        "--config",
        type=Path,
        help="ROS parameter file (.yaml) with the inputs and other parameters of the node"
        " (default: inputs are detected from the topics in the bag)",
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        metavar="SECONDS",
        help="label the map once per this many seconds of the bag; 0: after every frame"
        " (default: 1 / parameter rate, which is 0.2)",
    )
    parser.add_argument(
        "--prefix",
        type=_prefix,
        default="/concerto/",
        help="prefix of the added topics: labels, pca, classes (default /concerto/)",
    )
    segment = parser.add_argument(
        "--segment-seconds",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="length of a resumable segment of the bag: at most this much is labelled again after"
        " an interruption (default: 60, or ten times window_seconds where that is longer)",
    )
    add_former_name(parser, "--part-seconds", segment)
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="parallel processes for a folder of bags (default: one per GPU, or one)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="distribute a folder of bags over a Ray cluster instead: auto, ray://HOST:10001, or"
        " local",
    )
    for name in SETTINGS:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(DEFAULTS[name]), help=about(name).text
        )
    add_word_arguments(parser, names=True)


def run(arguments: argparse.Namespace) -> int:
    """Label every bag.

    Returns:
        The exit status: 1 where a bag could not be labelled, else 0.
    """
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
    overrides = {name: getattr(arguments, name) for name in SETTINGS} | word_settings(arguments)
    jobs = plan_jobs(
        Job(
            source=arguments.source,
            out=arguments.out,
            config=arguments.config,
            overrides={name: value for name, value in overrides.items() if value is not None},
            every=arguments.every,
            part_seconds=arguments.segment_seconds,
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
    # tqdm's None: a bar on a terminal only. One bag has a bar of its own.
    no_bar = None if len(jobs) > 1 else True
    for job, outcome in tqdm(outcomes, total=len(jobs), unit="bag", disable=no_bar):
        if isinstance(outcome, Exception):
            failed += 1
            text = in_words(outcome)
            where = "" if text.startswith(str(job.source)) else f"{job.source}: "
            tqdm.write(f"concerto-ros bag: {where}{text}", file=sys.stderr)
        else:
            tqdm.write(_report(job.out, outcome))
    if failed and len(jobs) > 1:
        print(f"concerto-ros bag: {failed} of {len(jobs)} bags failed", file=sys.stderr)
    return 1 if failed else 0


def _report(out: Path, summary: dict[str, Any]) -> str:
    """The summary of one bag as text."""
    from concerto_ros.labels.prediction import NOT_FINITE, not_like_training

    unlike = not_like_training(summary["run"]["settings"]["preset"])
    lines = [f"{out}: map labelled {summary['labelled']} times, model {summary['run']['model']}"]
    lines += [f"  {sentence}" for sentence in summary["inputs_found"]]
    lines += [f"  {each['file']} {each['text']}" for each in summary.get("damage", ())]
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
        ("clipped", "points were not used because their cloud has more than max_points points"),
        ("ignored", "points were on the robot's own body (ignore_box, ignore_radius)"),
        ("off_lattice", "points were more than 2^20 voxels from the origin of fixed_frame"),
        ("uncolored", "frames are without colour, as theirs are of no known encoding"),
        ("refused_transforms", "transforms were invalid and ignored"),
        ("not_finite", f"voxels of all maps together stayed unlabelled: {NOT_FINITE}"),
        ("unfamiliar", f"of these maps: {unlike}; doubt their labels"),
    ):
        if summary.get(key):
            lines.append(f"  {summary[key]} {text}")
    return "\n".join(lines)


def _prefix(text: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z_][A-Za-z0-9_]*)+/?", text):
        raise argparse.ArgumentTypeError(f"got {text}, expected a ROS namespace such as /concerto")
    return text.rstrip("/") + "/"


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"got {text}, expected a number of seconds, 0 or more")
    return value
