# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of a language head on labelled scans, that all ways to train one end with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from concerto_ros.heads.language import LanguageHead
    from concerto_ros.learning.data.collate import ScanCollate
    from concerto_ros.learning.data.formats import Cached
    from concerto_ros.ptv3 import Encoder


def zero_shot_report(
    folder: Path,
    encoder: Encoder,
    head: LanguageHead,
    scans: Cached,
    words: torch.Tensor,
    collate: ScanCollate,
    title: str,
    facts: Mapping[str, Any],
) -> list[Path]:
    """Label scans by the names of their classes, print and write how right that is.

    Args:
        folder: Of the report.
        encoder: Gives the features.
        head: The language head.
        scans: Labelled scans; without any there is no score.
        words: (K, D) vectors of the classes' names, in label order.
        collate: Convention and voxel size of the encoder's input.
        title: Of the report.
        facts: What else it lists, by name.

    Returns:
        The files written.
    """
    from concerto_ros.learning.evaluation.evaluate import evaluate
    from concerto_ros.learning.evaluation.report import class_table, summary, write_report
    from concerto_ros.learning.language.zero_shot import head_for_words
    from concerto_ros.learning.methods.segmenter import Segmenter

    if not len(scans):
        print("no score: there is no scan to validate on; --validation FILE names one")
        return []
    score = evaluate(
        Segmenter(encoder, head_for_words(head, words)),
        scans,
        collate.convention,
        collate.voxel_size,
        device=next(encoder.parameters()).device,
        progress=True,
    )
    how = "the nearest of the classes' names: no label was looked at to tell them"
    facts = {**facts, "labels": how}
    print(class_table(score, scans.classes))
    print(summary(score))
    return write_report(folder, score, scans.classes, title=title, facts=facts)
