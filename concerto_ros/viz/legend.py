# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The legend of a label set: a picture of its classes and their colours."""

from __future__ import annotations

import math

import numpy as np

from concerto_ros.labels.label_set import UNLABELLED, UNLABELLED_COLOR, LabelSet


def legend(labels: LabelSet, title: str) -> np.ndarray:
    """Draw the palette of ``labels``: the colour, label and name of each class.

    Args:
        labels: the label set.
        title: a line above it; empty: none.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    from PIL import Image, ImageDraw, ImageFont

    row, margin, swatch = 30, 14, 34
    heading_font, font = ImageFont.load_default(24), ImageFont.load_default(19)
    entries = [(str(entry.id), entry.name, entry.color) for entry in labels.classes]
    entries.append((str(UNLABELLED), "unlabelled", UNLABELLED_COLOR))
    name_at = swatch + 12 + math.ceil(font.getlength("255")) + 10
    widest = max(font.getlength(name) for _, name, _ in entries)
    column = name_at + math.ceil(widest) + 2 * margin

    # as many rows as make the picture about as wide as an RViz panel is: 4 to 3
    def unlike_panel(rows: int) -> float:
        width, height = math.ceil(len(entries) / rows) * column, rows * row
        return abs(math.log(width / height / (4 / 3)))

    rows = min(range(1, len(entries) + 1), key=unlike_panel)
    columns = math.ceil(len(entries) / rows)
    top = margin + (40 if title else 0)
    width = max(columns * column, math.ceil(heading_font.getlength(title)) + margin) + margin
    image = Image.new("RGB", (width, top + rows * row + margin), "white")
    draw = ImageDraw.Draw(image)
    draw.text((margin, margin), title, "black", heading_font)
    for index, (label, name, color) in enumerate(entries):
        left = margin + index // rows * column
        upper = top + index % rows * row
        middle = upper + row // 2
        box = (left, upper + 4, left + swatch, upper + row - 5)
        draw.rectangle(box, fill=color, outline=(96, 96, 96))
        draw.text((left + name_at - 10, middle), label, (96, 96, 96), font, anchor="rm")
        draw.text((left + name_at, middle), name, "black", font, anchor="lm")
    return np.array(image)
