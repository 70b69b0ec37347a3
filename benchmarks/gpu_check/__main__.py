# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``make gpu-check``: is everything right on this GPU, how fast is it, does memory grow.

    make gpu-check                                    all of it, some minutes
    make gpu-check GPU_CHECK_ARGS="--only encoder"    one part of it

Writes gpu-check.json and gpu-check.md. A part that fails says so, and the next one begins. The
exit status is 1 if a condition does not hold.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.gpu_check import choosing, correctness, long_run, steps, timings
from benchmarks.gpu_check.page import page
from benchmarks.gpu_check.scope import Findings, Scope
from benchmarks.measure import machine
from benchmarks.soak_verdict import table
from concerto_ros.ptv3.kernels.backends import BACKENDS, BackendError, choose_backend

#: In the order in which they run; the last one changes how much memory there is.
PARTS: dict[str, Callable[[Scope], Findings]] = {
    "attention": correctness.attention,
    "steps": steps.steps,
    "features": correctness.features,
    "graphs": correctness.graphs,
    "objects": correctness.objects,
    "encoder": timings.encoder,
    "package": timings.package,
    "choices": choosing.choose,
    "node": timings.node,
    "leaks": long_run.leaks,
    "out of memory": long_run.out_of_memory,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; the exit status."""
    options = _options(arguments)
    device = torch.device(options.device)
    scope = (Scope.tiny if options.tiny else Scope.whole)(device)
    results: dict[str, dict] = {"machine": machine(device) | _kernels(scope)}
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only or PARTS:
        print(f"== {name}", flush=True)
        results[name] = run(PARTS[name], scope)
        # After each part: what was found is kept if a later one takes the process along.
        (options.out / "gpu-check.json").write_text(json.dumps(results, indent=1))
        (options.out / "gpu-check.md").write_text(page(results))
    print(f"wrote {options.out}/gpu-check.json, gpu-check.md")
    parts = [part for name, part in results.items() if name != "machine"]
    right = all(check["held"] for part in parts for check in part["checks"])
    return 0 if right and not any(part["failed"] for part in parts) else 1


def run(part: Callable[[Scope], Findings], scope: Scope) -> dict:
    """Run a part; whatever it raises is its result."""
    start, found, failed = time.perf_counter(), Findings(), ""
    try:
        found = part(scope)
    except Exception as error:  # of the driver, of a library: the other parts still run
        failed = f"{type(error).__name__}: {str(error)[:400]}"
        traceback.print_exc()
    if found.checks:
        print(table(found.checks), flush=True)
    gc.collect()
    return {
        "checks": [vars(check) for check in found.checks],
        "rows": found.rows,
        "failed": failed,
        "seconds": time.perf_counter() - start,
    }


def _kernels(scope: Scope) -> dict[str, object]:
    """What there is to compute with."""
    about: dict[str, object] = {"precision auto": str(scope.fast).removeprefix("torch.")}
    for name in BACKENDS:
        try:
            about[f"backend {name}"] = choose_backend(name, scope.device).name
        except BackendError as error:
            about[f"backend {name}"] = str(error)[:160]
    if scope.on_gpu:
        about["capability"] = ".".join(map(str, torch.cuda.get_device_capability(scope.device)))
        about["cudnn"] = torch.backends.cudnn.version()
    return about


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device", default=default, help="cuda, cuda:N or cpu (default: cuda if there is a GPU)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, metavar="PART", help=f"parts: {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--tiny", action="store_true", help="small sizes, to try the check itself without a GPU"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/gpu-check"),
        help="folder for the results (default out/gpu-check)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
