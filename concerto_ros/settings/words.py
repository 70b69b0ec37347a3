# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of words as labels of points, ``words.<name>`` in ROS."""

from __future__ import annotations

from dataclasses import dataclass

from concerto_ros.settings.field import setting
from concerto_ros.settings.group import SettingsGroup


@dataclass(frozen=True)
class WordSettings(SettingsGroup):
    """Which words label the points, and the models that compare both."""

    PREFIX = "words."

    names: tuple[str, ...] = setting(
        (),
        "words that label the points instead of the classes of head, each possibly with synonyms"
        " (sofa|couch); ['']: none",
    )
    threshold: float = setting(
        0.0,
        "probability that a word must have to be the label of a point; 0: that of words.head",
        unit="(probability)",
        low=0.0,
        high=1.0,
    )
    find_threshold: float = setting(
        0.0,
        "probability that a voxel of what is looked for must have, against the names of all other"
        " things; 0: that of words.head",
        unit="(probability)",
        low=0.0,
        high=1.0,
    )
    head: str = setting(
        "demo",
        "language head, which compares points with words: demo (bundled, for the bundled indoor"
        " model) or a file",
        required=True,
    )
    table: str = setting(
        "",
        "file with the vectors of more words, as concerto-ros words encode writes it; empty: none",
    )
