# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The page of a check: what held, what did not, and the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = Mapping[str, object]


def page(results: Mapping[str, dict]) -> str:
    """Write all results as Markdown.

    Args:
        results: ``machine``, and by the name of each part ``checks``, ``rows``, ``seconds``, and
            ``failed`` where it ended with an error.
    """
    parts = {name: part for name, part in results.items() if name != "machine"}
    checks = [check for part in parts.values() for check in part["checks"]]
    missed = [check for check in checks if not check["held"]]
    failed = [name for name, part in parts.items() if part["failed"]]
    lines = ["# GPU check", ""]
    lines += [f"- {name}: {value}" for name, value in results["machine"].items()]
    lines += ["", f"{len(checks) - len(missed)} of {len(checks)} conditions hold."]
    if failed:
        lines += ["", f"**Parts that failed: {', '.join(failed)}.**"]
    for name, part in parts.items():
        lines += ["", f"## {name}", ""]
        if part["failed"]:
            lines += [f"**{part['failed']}**", ""]
        for check in part["checks"]:
            mark = "ok" if check["held"] else "**NOT**"
            lines.append(f"- {mark}: {check['name']}: {check['measured']}")
        lines += ["", *_table(part["rows"]), f"({part['seconds']:.1f} s)"]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
