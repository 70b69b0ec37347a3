# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of ``docs/reliability.md`` from the results of the tests and of the soak.

    make nightly soak reliability
    python tools/reliability.py --faults out/reliability/faults.json --soak out/soak/soak.json

Refuses results with a failed test. A table whose results are not passed stays as it is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

HEADINGS = ("fault", "cases tried", "what the node did", "lost")

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"


def main() -> int:
    options = _options()
    text = options.page.read_text(encoding="utf-8")
    try:
        if options.faults is not None:
            tests: dict[str, dict] = {}
            for path in options.faults:
                tests |= json.loads(path.read_text(encoding="utf-8"))["tests"]
            text = replaced(text, "faults", table(HEADINGS, fault_rows(tests)))
        for part, path in (("soak", options.soak), ("recording", options.recording)):
            if path is None:
                continue
            soak = json.loads(path.read_text(encoding="utf-8"))
            text = replaced(text, part, soak_table(soak))
            picture = path.with_suffix(".png")
            if picture.is_file():
                images = options.page.parent / "images"
                images.mkdir(exist_ok=True)
                shutil.copy(picture, images / f"{part}.png")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    options.page.write_text(text, encoding="utf-8")
    print(f"wrote {options.page}")
    return 0


def fault_rows(tests: dict[str, dict]) -> list[tuple[str, str, str, str]]:
    """One row per fault, with the number of cases over all tests that injected it.

    Raises ValueError if a test failed.
    """
    failed = [name for name, test in tests.items() if not test["passed"]]
    if failed:
        raise ValueError(
            "the page is not written because these tests failed:\n  " + "\n  ".join(failed)
        )
    rows: dict[str, dict] = {}
    for test in tests.values():
        for found in test["found"]:
            row = rows.setdefault(found["fault"], {"cases": 0, "did": [], "lost": []})
            row["cases"] += found["cases"]
            for key in ("did", "lost"):
                if found[key] not in row[key]:
                    row[key].append(found[key])
    return [
        (name, f"{row['cases']:,}", "; ".join(row["did"]), "; ".join(row["lost"]))
        for name, row in rows.items()
    ]


def soak_table(soak: dict) -> str:
    """The numbers and the verdict of the soak, in Markdown."""
    rows = [(name, number) for name, number in soak["numbers"].items()]
    return f"{soak['about']}\n\n{table(('number', 'measured'), rows)}\n\n{soak['verdict']}"


def table(headings: tuple[str, ...], rows: list[tuple]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def replaced(text: str, part: str, content: str) -> str:
    """``text`` with ``content`` between the markers of ``part``."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    if begin not in text or end not in text:
        raise ValueError(f"the page has no lines {begin} and {end} to write the table between")
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--faults",
        type=Path,
        nargs="+",
        help="faults.json of `make nightly`; if a test is in several files, the last one counts",
    )
    parser.add_argument("--soak", type=Path, help="soak.json of `make soak`: sensors")
    parser.add_argument("--recording", type=Path, help="recording.json of `make soak`")
    parser.add_argument(
        "--page",
        type=Path,
        default=PAGE,
        help="page with the tables (default docs/reliability.md)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
