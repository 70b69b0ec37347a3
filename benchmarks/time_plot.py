# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers over time as a picture, one panel below the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _GAP = 1100, 220, 90, 30, 50, 50
_COLOR = "#1f77b4"

Line = Sequence[tuple[float, float]]


def plot_over_time(lines: Mapping[str, Line], title: str, path: Path) -> None:
    """Save a picture of ``lines``: (seconds, number) by what the number is."""
    height = _TOP + len(lines) * (_PANEL + _GAP) + 10
    picture = Image.new("RGB", (_WIDTH, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    draw.text((_LEFT, 10), title, "black", ImageFont.load_default(18))
    for i, (name, line) in enumerate(lines.items()):
        finite = [point for point in line if math.isfinite(point[1])]
        _panel(draw, font, name, finite, _TOP + i * (_PANEL + _GAP))
    picture.save(path)


def _panel(draw, font, name: str, line: Line, top: int) -> None:
    left, right, bottom = _LEFT, _WIDTH - _RIGHT, top + _PANEL
    draw.rectangle((left, top + 20, right, bottom), outline="black")
    draw.text((left, top), name, "black", font)
    if not line:
        return
    longest = max(seconds for seconds, _ in line) or 1.0
    highest = max(number for _, number in line) * 1.05 or 1.0

    def place(seconds: float, number: float) -> tuple[float, float]:
        return (
            left + seconds / longest * (right - left),
            bottom - number / highest * (bottom - top - 20),
        )

    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = place(part * longest, part * highest)
        if 0 < part < 1:
            draw.line((left, y, right, y), "#dddddd")
            draw.line((x, top + 20, x, bottom), "#dddddd")
        draw.text((left - 8, y), f"{part * highest:,.0f}", "black", font, anchor="rm")
        draw.text((x, bottom + 6), f"{part * longest / 60:.1f} min", "black", font, anchor="mt")
    draw.line([place(*point) for point in line], _COLOR, 2)
