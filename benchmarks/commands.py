# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The time that every command of ``concerto-ros`` takes on the data of the demo."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.recording import record_drive
from concerto_ros.cli import COMMANDS, module_of
from concerto_ros.sensors.cloud_files import read_cloud

ROOT = Path(__file__).parents[1]

#: How each command is called, in a folder with ``scans/`` (labelled scans of simulated rooms) and
#: ``drive/`` (a bag of a simulated RGB-D robot), in this order. ``{point}`` is a point of
#: room_0.ply, ``{cases}`` the folder of reference cases.
CALLS = (
    "demo --seconds 5 --out demo",
    "segment scans/room_0.ply -o labels",
    "find scans/room_0.ply chair -o found",
    "compare scans/room_0.ply scans/room_1.ply --at {point} -o compared",
    "bag drive labelled",
    "view labelled --save drive.rrd",
    "train head scans --steps 100 --out trained/head",
    "train decoder scans --steps 3 --out trained/decoder",
    "train lora scans --steps 3 --out trained/lora",
    "train full scans --steps 1 --batch-size 1 --out trained/full",
    "train language scans --steps 100 --out trained/language",
    "train adapt drive --steps 3 --out trained/adapt",
    "train pretrain drive --steps 3 --recipe adapt --without-images --out trained/pretrain",
    "train verify {cases}/pretraining",
    "evaluate scans --split all",
    "export demo encoder.onnx --head demo",
    "objects embed scans/room_0.ply",
    "objects verify {cases}/objects/recon",
    "objects labelspace demo --out labelspace",
    'words encode "office chair" "sofa|couch" -o words.safetensors',
    "words show words.safetensors",
    "models",
)

#: Commands without a time of their own, and why.
WITHOUT_TIME = {
    "node": "runs until it is stopped",
    "simulate": "runs until it is stopped",
    "play": "takes as long as the recording",
    "snapshot": "waits for a message",
    "video": "needs images with depth and poses",
    "download": "as fast as the network",
    "train demo": "hours ([the demo model](demo_model.md))",
    "objects train demo": "minutes ([objects](objects.md))",
    "objects benchmark": "minutes ([objects](objects.md#the-synthetic-benchmark))",
    **dict.fromkeys(
        (
            *(f"objects pretrain {method}" for method in ("recon", "i2p-mae")),
            *(
                f"objects train {method}"
                for method in ("full", "mlp3", "linear", "adapters", "parts", "mixcon3d")
            ),
            *(
                f"objects evaluate {protocol}"
                for protocol in ("classify", "vote", "parts", "svm", "few-shot", "zero-shot")
            ),
        ),
        "needs a data set of objects",
    ),
}


@dataclass(frozen=True)
class Spent:
    """What one call took.

    Attributes:
        call: The arguments, as typed.
        seconds: From the start of the process to its end.
        cpu_seconds: Time of the processor, of all threads and of processes that it waited for.
        megabytes: Largest resident memory of the process.
        error: The last line of its output where it failed; else empty.
    """

    call: str
    seconds: float
    cpu_seconds: float
    megabytes: float
    error: str


def measure(folder: Path) -> list[Spent]:
    """Make the data in a new folder, and time one call of each command there, one by one."""
    folder.mkdir(parents=True)
    _run(
        [sys.executable, str(ROOT / "examples" / "simulate_scans.py"), "scans", "0", "1", "2"],
        folder,
    )
    record_drive(folder / "drive", 10.0)
    point = np.asarray(read_cloud(folder / "scans" / "room_0.ply").points[0])
    names = {"point": " ".join(f"{value:.3f}" for value in point)}
    names["cases"] = str(ROOT / "test" / "golden")
    found = []
    for call in tqdm(CALLS, unit="command"):
        arguments = shlex.split(call.format(**names))
        command = [sys.executable, "-m", "concerto_ros.cli", *arguments]
        found.append(Spent(call, *_run(command, folder)))
    return found


def commands() -> Iterator[str]:
    """Names of all commands, with those of their subcommands: ``train head``."""
    for name in COMMANDS:
        parser = argparse.ArgumentParser(prog=name)
        module_of(name).add_arguments(parser)
        yield from _leaves(parser)


def table(found: list[Spent]) -> str:
    """The numbers as Markdown, then the commands without any."""
    lines = ["| `concerto-ros` ... | s | CPU s | MB |", "| --- | --: | --: | --: |"]
    for each in found:
        call = each.call.replace("|", r"\|")
        numbers = f"{each.seconds:.1f} | {each.cpu_seconds:.1f} | {each.megabytes:.0f}"
        lines.append(f"| `{call}` | {f'failed: {each.error} | | ' if each.error else numbers} |")
    reasons: dict[str, list[str]] = {}
    for name, reason in WITHOUT_TIME.items():
        reasons.setdefault(reason, []).append(f"`{name}`")
    lines.append("\nWithout a time:\n")
    lines += [f"- {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return "\n".join(lines)


def _leaves(parser: argparse.ArgumentParser) -> Iterator[str]:
    children = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not children:
        yield parser.prog
    for action in children:
        for child in action.choices.values():
            yield from _leaves(child)


def _run(command: list[str], folder: Path) -> tuple[float, float, float, str]:
    """Run a program to its end in ``folder``.

    Returns:
        Seconds, seconds of CPU time, megabytes, and the last line of a program that failed.
    """
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.getenv('PYTHONPATH', '')}"}
    output = folder / "output.txt"
    start = time.perf_counter()
    with output.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = output.read_text(errors="replace").strip().splitlines() or ["no output"]
    error = lines[-1] if process.returncode else ""
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, error
