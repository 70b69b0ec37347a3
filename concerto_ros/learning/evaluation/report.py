# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reports of an evaluation: Markdown, JSON and a picture of the confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from concerto_ros.labels.confusion import Confusion
from concerto_ros.labels.label_set import LabelSet

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

    _Font = FreeTypeFont | ImageFont


def class_table(score: Confusion, classes: LabelSet) -> str:
    """IoU, accuracy (recall) and precision in percent and points of each class, as Markdown.

    A dash means that the class occurs neither in the ground truth nor in the predictions.
    """
    predicted = score.matrix[:, :-1].sum(axis=0)
    precision = np.diagonal(score.matrix) / np.maximum(predicted, 1)
    rows = ["| class | IoU | accuracy | precision | points |", "| --- | --: | --: | --: | --: |"]
    for c in classes.classes:
        known = score.present[c.id]
        values = (score.iou[c.id], score.accuracy[c.id], precision[c.id])
        shown = " | ".join(f"{100 * value:.1f}" if known else "–" for value in values)
        rows.append(f"| {c.name} | {shown} | {score.support[c.id]} |")
    return "\n".join(rows)


def summary(score: Confusion) -> str:
    """mIoU, mAcc and allAcc in one line; also mIoU without classes that never occur, if any."""
    line = (
        f"mIoU {100 * score.mean_iou:.1f} %, mAcc {100 * score.mean_accuracy:.1f} %, "
        f"allAcc {100 * score.all_accuracy:.1f} %"
    )
    absent = int((~score.present).sum())
    if absent:
        line += (
            f"; {absent} of {score.num_classes} classes never occur and count as 0, without them "
            f"mIoU {100 * score.present_mean_iou:.1f} %"
        )
    return line


def confusion_picture(score: Confusion, classes: LabelSet) -> np.ndarray:
    """The confusion matrix as an image, (H, W, 3) uint8 RGB; each row is normalised to its sum."""
    from PIL import Image, ImageDraw, ImageFont

    count = score.num_classes
    names = [c.name for c in classes.classes]
    cell = 44 if count <= 24 else 14
    font, small = ImageFont.load_default(16), ImageFont.load_default(13)
    margin = 16
    left = margin + 12 + max(int(font.getlength(name)) for name in names) if cell > 20 else 48
    top = left + 26
    size = (left + cell * count + margin, top + cell * count + margin)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.text((margin, margin), "true (rows) against predicted, percent of row", "black", font)
    share = score.matrix[:, :-1] / np.maximum(score.support, 1)[:, None]
    for row in range(count):
        for column in range(count):
            x, y = left + column * cell, top + row * cell
            value = share[row, column]
            right, wrong = (40, 110, 190), (200, 70, 40)
            strong = np.array(right if row == column else wrong)
            color = tuple(int(v) for v in 255 + (strong - 255) * min(1.0, value**0.6))
            draw.rectangle((x, y, x + cell - 2, y + cell - 2), fill=color)
            if cell > 20 and value >= 0.005:
                ink = "white" if value > 0.5 else "black"
                center = (x + cell // 2 - 1, y + cell // 2 - 1)
                draw.text(center, f"{100 * value:.0f}", ink, small, anchor="mm")
        if cell > 20:
            middle = top + row * cell + cell // 2
            draw.text((left - 8, middle), names[row], "black", font, anchor="rm")
            _write_upwards(image, names[row], (left + row * cell + cell // 2, top - 8), font)
        elif row % 10 == 0:
            draw.text((left - 6, top + row * cell), str(row), "black", small, anchor="ra")
            draw.text((left + row * cell, top - 6), str(row), "black", small, anchor="ls")
    return np.array(image)


def write_report(
    folder: Path, score: Confusion, classes: LabelSet, *, title: str, facts: Mapping[str, Any]
) -> list[Path]:
    """Write ``report.md``, ``report.json`` and ``confusion.png``.

    Args:
        folder: Where to write; created if it does not exist.
        score: The confusion matrix.
        classes: The label set.
        title: Title of the report.
        facts: What else to list, by name.

    Returns:
        The paths of the three files.
    """
    from PIL import Image

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("report.md", "report.json", "confusion.png")]
    lines = [f"# {title}", "", summary(score) + ".", "", class_table(score, classes), ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "![confusion matrix](confusion.png)", ""]
    paths[0].write_text("\n".join(lines), encoding="utf-8")
    content = {
        "title": title,
        "facts": {name: str(value) for name, value in facts.items()},
        "mIoU": score.mean_iou,
        "mAcc": score.mean_accuracy,
        "allAcc": score.all_accuracy,
        "classes": [
            {
                "name": c.name,
                "iou": score.iou[c.id],
                "accuracy": score.accuracy[c.id],
                "points": int(score.support[c.id]),
            }
            for c in classes.classes
        ],
        "confusion": score.matrix.tolist(),
    }
    paths[1].write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    Image.fromarray(confusion_picture(score, classes)).save(paths[2])
    return paths


def _write_upwards(image: Image.Image, text: str, start: tuple[int, int], font: _Font) -> None:
    """Draw text that reads from bottom to top, starting at ``start`` (x, y)."""
    from PIL import Image, ImageDraw

    width, height = int(font.getlength(text)) + 2, 22
    strip = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(strip).text((0, height // 2), text, "black", font, anchor="lm")
    turned = strip.rotate(90, expand=True)
    image.paste(turned, (start[0] - height // 2, start[1] - width))
