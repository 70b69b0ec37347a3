# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``make bench``: measures this machine, shows tables, writes JSON and a plot.

    make bench                              some minutes: the base size, and the node
    make bench BENCH_ARGS=--full            every size, many numbers of voxels, long runs
    make bench BENCH_ARGS="--only encoder"  one part of it
    make bench BENCH_ARGS="--only commands --document docs/performance.md"
                                            every command on the data of the demo, 4 minutes

benchmarks/results has the results of some machines.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks import (
    changed_regions,
    commands,
    encoder,
    intake,
    node,
    reference,
    report,
    word_scores,
)
from benchmarks.measure import kind, machine, percentiles, runs
from benchmarks.scenes import dense_scene, model_input
from concerto_ros.learning.objects.training.scores import write_between
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.precision import automatic_precision

PARTS = ("encoder", "load", "profile", "words", "regions", "node", "latency")

#: Measured only where it is asked for.
MORE_PARTS = ("commands",)


def main() -> None:
    options = _options()
    device = torch.device(options.device)
    about = machine(device)
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    results: dict[str, object] = {"machine": about, "full": options.full}
    options.out.mkdir(parents=True, exist_ok=True)
    for part in options.only:
        start = time.perf_counter()
        print(f"\n== {part}")
        try:
            _PARTS[part](results, device, options)
        except (
            ImportError,
            ValueError,
        ) as error:  # ROS is not installed, or the node does not answer
            print(f"skipped: {error}")
            results[part] = f"left out: {error}"
        print(f"({time.perf_counter() - start:.0f} s)")
    text = json.dumps(_rounded(results), indent=1)
    (options.out / "bench.json").write_text(text)
    pictures = "".join(f", {part}.png" for part in ("encoder", "regions") if part in options.only)
    print(f"\nwrote {options.out}/bench.json{pictures}")
    if options.record:
        path = Path(__file__).parent / "results" / f"{kind(about)}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
        print(f"recorded {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--full", action="store_true", help="measure every size and scene; takes long"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS + MORE_PARTS,
        default=list(PARTS),
        metavar="PART",
        help=f"parts to measure: {', '.join(PARTS + MORE_PARTS)} (default: all but"
        f" {', '.join(MORE_PARTS)})",
    )
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device", default=default, help="cpu or cuda (default: cuda if there is a GPU)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/bench"),
        help="folder for the results (default out/bench)",
    )
    parser.add_argument(
        "--record", action="store_true", help="also store the results in benchmarks/results"
    )
    parser.add_argument(
        "--document",
        type=Path,
        metavar="PAGE",
        help="also write the table of commands into this page, between its lines for it",
    )
    return parser.parse_args()


def _encoder(results: dict, device: torch.device, options: argparse.Namespace) -> None:
    cases = encoder.cases(device, full=options.full)
    rows = list(tqdm(encoder.measure(cases, device), total=len(cases), unit="row"))
    name = reference.package()
    if name:
        rows += list(tqdm(reference.measure(name, device), unit="row", desc=name))
    results["encoder"] = rows
    print(report.encoder_table(rows))
    if not name:
        print(f"(the reference package, {' or '.join(reference.PACKAGES)}, is not installed)")
    about = results["machine"]
    report.plot(rows, str(about.get("gpu") or about["cpu"]), options.out / "encoder.png")


@torch.inference_mode()
def _load(results: dict, device: torch.device, options: argparse.Namespace) -> None:
    """The encoder while other processes keep every core busy."""
    model = untrained_encoder(encoder.SIZES["base 108M"], name="base")
    model.to(device=device, dtype=automatic_precision(device))
    inputs = [tensor.to(device) for tensor in model_input(dense_scene())]
    quiet = statistics.median(runs(lambda: model(*inputs), device))
    busy = [multiprocessing.Process(target=_keep_busy, daemon=True) for _ in _cores()]
    for process in busy:
        process.start()
    try:
        loaded = statistics.median(runs(lambda: model(*inputs), device))
    finally:
        for process in busy:
            process.kill()
    results["load"] = {"quiet_milliseconds": 1e3 * quiet, "loaded_milliseconds": 1e3 * loaded}
    print(
        f"base 108M, dense: {1e3 * quiet:.0f} ms; beside {len(busy)} busy processes "
        f"{1e3 * loaded:.0f} ms, {loaded / quiet:.2f} times as long (2 is a fair share)"
    )


def _profile(results: dict, device: torch.device, options: argparse.Namespace) -> None:
    precision = str(automatic_precision(device)).removeprefix("torch.")
    for scene in encoder.SCENES:
        case = encoder.Case("base 108M", precision, "auto", scene)
        parts = results.setdefault("profile", {})[str(case)] = encoder.profile(case, device)
        print(f"{case}, milliseconds of one forward pass without geometry")
        for name, spent in parts.items():
            print(f"    {name:<45}{spent:8.1f}")


def _words(results: dict, device: torch.device, options: argparse.Namespace) -> None:
    title = f"{word_scores.VOXELS:,} voxels x {word_scores.WORDS} words"
    rows = {
        f"{title}, {name}": (percentiles(spent), "ms")
        for name, spent in word_scores.measure(device).items()
    }
    results["words"] = {name: numbers | {"unit": unit} for name, (numbers, unit) in rows.items()}
    print(report.node_table(rows))


def _regions(results: dict, device: torch.device, options: argparse.Namespace) -> None:
    found = changed_regions.measure(*((10, 20.0) if options.full else (1, 4.0)))
    print(changed_regions.HEADER)
    for title, drives in found.items():
        print(drives.row(title))
    results["regions"] = {title: drives.numbers() for title, drives in found.items()}
    lines = changed_regions.lines(found)
    report.plot_lines(lines, "a prediction while a robot drives", options.out / "regions.png")


def _node(results: dict, device: torch.device, options: argparse.Namespace) -> None:
    rows: dict[str, tuple[dict, str]] = {}
    for source, spent in tqdm(intake.measure().items(), unit="input"):
        rows |= _stages(f"intake of {source}", spent)
    rows |= _stages("inference, bundled demo model", node.inference_stages())
    rows["perception_node --help"] = percentiles(node.help_seconds()), "s"
    try:
        rows[f"publish {node.POINTS:,} labelled points"] = percentiles(node.publishing()), "ms"
    except ImportError as error:
        print(f"publishing skipped: {error}")
    results["node"] = {name: numbers | {"unit": unit} for name, (numbers, unit) in rows.items()}
    print(report.node_table(rows))


def _stages(title: str, spent: list[dict[str, float]]) -> dict[str, tuple[dict, str]]:
    rows = {
        f"{title}: {stage}": (percentiles([run[stage] for run in spent]), "ms")
        for stage in spent[0]
    }
    rows[f"{title}: all"] = percentiles([sum(run.values()) for run in spent]), "ms"
    return rows


def _latency(results: dict, device: torch.device, options: argparse.Namespace) -> None:
    run_seconds = 600.0 if options.full else 20.0
    rows: dict[str, tuple[dict, str]] = {}
    found = results["latency"] = []
    for feed in tqdm(("cloud", "rgbd"), unit="sensor"):
        numbers = node.latency(feed, run_seconds)
        found.append(numbers)
        rows[f"{feed}: stamp to labels"] = numbers["latency_milliseconds"], "ms"
    print(report.node_table(rows))
    for numbers in found:
        print(
            f"{numbers['feed']}: ready in {numbers['start_seconds']:.1f} s, "
            f"{numbers['inferences']} inferences of {numbers['voxels']} voxels, "
            f"{numbers['frames_fused']} frames fused, {numbers['frames_dropped']} dropped,"
            f" {numbers['memory_megabytes']:.0f} MB, "
            f"{numbers['memory_growth_megabytes']:+.0f} MB during the run"
        )


def _commands(results: dict, device: torch.device, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = commands.measure(Path(folder) / "data")
    results["commands"] = [asdict(each) for each in found]
    about = results["machine"]
    text = (
        f"{about['cpu']}, {about['cores']} cores, load {about['load_before']} before:\n\n"
        f"{commands.table(found)}"
    )
    print(text)
    if options.document:
        write_between(options.document, "commands", text)


_PARTS: dict[str, Callable[[dict, torch.device, argparse.Namespace], None]] = {
    "encoder": _encoder,
    "load": _load,
    "profile": _profile,
    "words": _words,
    "regions": _regions,
    "node": _node,
    "latency": _latency,
    "commands": _commands,
}


def _cores() -> set[int]:
    return os.sched_getaffinity(0)


def _keep_busy() -> None:
    while True:
        pass


def _rounded(value):
    """Round every number to four digits."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return value


if __name__ == "__main__":
    main()
