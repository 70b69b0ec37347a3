# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as tables on the screen, and the scaling plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.encoder import SCANNED

Row = dict[str, object]

#: Heading and key of each column, and how its numbers are written.
_ENCODER = (
    ("size", "size", "{}"),
    ("precision", "precision", "{}"),
    ("backend", "backend", "{}"),
    ("scene", "scene", "{}"),
    ("voxels", "voxels", "{:,}"),
    ("ms", "milliseconds", "{:.1f}"),
    ("min", "least_milliseconds", "{:.1f}"),
    ("geometry", "geometry_milliseconds", "{:.1f}"),
    ("peak MB", "peak_megabytes", "{:.0f}"),
    ("error", "distance_from_float32", "{:.1e}"),
    ("x bound", "times_floor", "{:.2f}"),
)

_COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 1100, 760, 110, 70, 300, 90


def encoder_table(rows: Sequence[Row]) -> str:
    """The encoder's rows; ``error``: relative to float32; ``x bound``: multiple of the time of"
    " its matmuls alone."""
    lines = [[heading for heading, _, _ in _ENCODER]]
    for row in rows:
        cells = [
            style.format(row[key]) if row.get(key) is not None else "-"
            for _, key, style in _ENCODER
        ]
        lines.append(cells)
    return _aligned(lines) + "".join(f"\n{_failure(row)}" for row in rows if "failed" in row)


def node_table(results: dict[str, object]) -> str:
    """The measurements around the encoder."""
    lines = [["what", "p50", "p95", "p99", "unit"]]
    for name, (numbers, unit) in results.items():
        lines.append([name, *(f"{numbers[p]:.1f}" for p in ("p50", "p95", "p99")), unit])
    return _aligned(lines)


def plot(rows: Sequence[Row], title: str, path: Path) -> None:
    """Milliseconds against voxels, both logarithmic, one line for each size and precision."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["scene"] == SCANNED and "milliseconds" in row:
            name = f"{row['size']} {row['precision']} {row['backend']}"
            lines.setdefault(name, []).append((row["voxels"], row["milliseconds"]))
    plot_lines(lines, title, path)


def plot_lines(lines: Mapping[str, Sequence[tuple[float, float]]], title: str, path: Path) -> None:
    """Milliseconds against voxels, both logarithmic, of lines by name; nothing without points."""
    points = [point for line in lines.values() for point in line]
    if not points:
        return
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    place = _axes(draw, font, points)
    draw.text((_LEFT, 10), title, "black", ImageFont.load_default(18))
    for i, (name, line) in enumerate(sorted(lines.items())):
        color = _COLORS[i % len(_COLORS)]
        spots = [place(*point) for point in sorted(line)]
        draw.line(spots, color, 3)
        for x, y in spots:
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), color)
        draw.text((_WIDTH - _RIGHT + 20, _TOP + 24 * i), name, color, font)
    picture.save(path)


def _axes(draw, font, points):
    """Draw axes with grid lines at 1, 2, 5, 10, ...; the function from values to pixels."""
    bounds = [_bounds([point[axis] for point in points]) for axis in (0, 1)]
    area = ((_LEFT, _WIDTH - _RIGHT), (_HEIGHT - _BOTTOM, _TOP))

    def along(axis: int, value: float) -> float:
        low, high = (math.log(bound) for bound in bounds[axis])
        start, end = area[axis]
        return start + (math.log(value) - low) / (high - low) * (end - start)

    for axis in (0, 1):
        for tick in _ticks(*bounds[axis]):
            at = along(axis, tick)
            if axis == 0:
                draw.line((at, area[1][0], at, area[1][1]), "#dddddd")
                draw.text((at, area[1][0] + 8), f"{tick:,.0f}", "black", font, anchor="mt")
            else:
                draw.line((area[0][0], at, area[0][1], at), "#dddddd")
                draw.text((area[0][0] - 8, at), f"{tick:,g}", "black", font, anchor="rm")
    draw.rectangle((area[0][0], area[1][1], area[0][1], area[1][0]), outline="black")
    draw.text((area[0][0], area[1][0] + 44), "voxels", "black", font)
    draw.text((area[0][0], area[1][1] - 10), "milliseconds", "black", font, anchor="ls")
    return lambda x, y: (along(0, x), along(1, y))


def _bounds(values: list[float]) -> tuple[float, float]:
    return min(values) / 1.3, max(values) * 1.3


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    return [tick for tick in every if low <= tick <= high]


def _failure(row: Row) -> str:
    return f"{row['size']} {row['precision']} {row['backend']} {row['scene']}: {row['failed']}"


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [all(_is_number(cell) for cell in column[1:]) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_number(cell: str) -> bool:
    return cell == "-" or cell[:1].isdigit()
