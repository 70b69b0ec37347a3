# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of a pre-training: what it did, and what the judge says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from concerto_ros.files.atomic_write import replacing
from concerto_ros.learning.adaptation.judge import Measures
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.viz.cloud_picture import render_cloud


def measures_table(before: Measures, after: Measures) -> str:
    """All measures before and after, as Markdown."""
    rows = [
        ("agreement of features of one place", before.agreement, after.agreement, 3),
        ("effective rank", before.effective_rank, after.effective_rank, 1),
    ]
    if before.between_frames is not None and after.between_frames is not None:
        name = "agreement of features of one place between frames"
        rows.insert(1, (name, before.between_frames, after.between_frames, 3))
    lines = ["| measure | before | after |", "| --- | --: | --: |"]
    lines += [
        f"| {name} | {old:.{digits}f} | {new:.{digits}f} |" for name, old, new, digits in rows
    ]
    lines += [
        f"| linear probe on {name}, mIoU in percent | {100 * old:.1f} | "
        f"{100 * after.probes[name]:.1f} |"
        for name, old in before.probes.items()
    ]
    return "\n".join(lines)


def write_picture(path: Path, scan: Scan, before: np.ndarray, after: np.ndarray) -> None:
    """Write a picture of a scan coloured by its features before a training and after it.

    Args:
        path: Of the .png.
        scan: The scan.
        before: (N, 3) uint8 colours of its points.
        after: Likewise.
    """
    from PIL import Image

    titled = (("before", before), ("after", after))
    images = [render_cloud(scan.points, rgb, title=title) for title, rgb in titled]
    with replacing(path) as partial:
        Image.fromarray(np.concatenate(images, axis=1)).save(partial, format="PNG")


def write_report(
    folder: Path,
    title: str,
    facts: Mapping[str, object],
    before: Measures,
    after: Measures,
    faults: Sequence[str],
) -> Path:
    """Write ``report.md`` into a folder.

    Args:
        folder: The folder.
        title: Of the report.
        facts: By name.
        before: Measures of the encoder at the start.
        after: Those of the result.
        faults: Why the result must not replace it; empty where it may.

    Returns:
        The file.
    """
    verdict = "The result is not worse than the encoder at the start by these measures."
    if faults:
        verdict = (
            "**Worse than the encoder at the start, which stays:** " + "; ".join(faults) + "."
        )
    if not before.probes:
        verdict += " They need no labels and say little about a task: labelled scans say more."
    lines = [f"# {title}", "", *(f"- **{name}**: {value}" for name, value in facts.items())]
    lines += ["", measures_table(before, after), "", verdict, ""]
    path = folder / "report.md"
    with replacing(path) as partial:
        partial.write_text("\n".join(lines), encoding="utf-8")
    return path
