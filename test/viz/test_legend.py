# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The legend shows every colour with its class, in a picture that fits a panel."""

from __future__ import annotations

import numpy as np
import pytest

from concerto_ros.labels.label_set import UNLABELLED_COLOR, LabelSet
from concerto_ros.viz.legend import legend


@pytest.mark.parametrize("name", LabelSet.shipped())
def test_the_legend_shows_every_colour_and_fits_a_panel(name):
    labels = LabelSet.load(name)
    picture = legend(labels, "demo (untrained)")
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    shown = np.unique(picture @ [65536, 256, 1])
    colors = np.array([entry.color for entry in labels.classes] + [UNLABELLED_COLOR])
    assert np.isin(colors @ [65536, 256, 1], shown).all()
    height, width, _ = picture.shape
    assert 0.7 < width / height < 2.5


def test_the_title_is_part_of_the_legend():
    labels = LabelSet.from_generic(1)
    assert not np.array_equal(legend(labels, "trained"), legend(labels, "untrait"))
    assert legend(labels, "a very long title " * 9).shape[1] > legend(labels, "short").shape[1]
    assert legend(labels, "").shape[0] < legend(labels, "short").shape[0]
