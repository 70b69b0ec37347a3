# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node in a scene that does not look like what its model was trained on: a person is told."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import ONE_CLOUD, START
from strange_head import strange_head

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.ros.monitoring.statistics import IN_A_ROW


@pytest.mark.parametrize("unfamiliar", ["keep", "unlabel"])
def test_voxels_unlike_the_training_are_counted_and_a_warning(harness, tmp_path, unfamiliar):
    head = strange_head(tmp_path / "head.pth")
    one = harness(**ONE_CLOUD, head=str(head), unfamiliar=unfamiliar)
    one.listen_to_labels()
    one.start()
    for number in range(IN_A_ROW):
        one.send_room(START + number)
        labels = one.labels(START + number)["label"]
        assert (labels == UNLABELLED).all() == (unfamiliar == "unlabel")
    one.wait(lambda: one.status.inferences == IN_A_ROW, "the status")
    assert one.status.voxels_unfamiliar == len(labels) and one.status.voxels_not_finite == 0

    def warning():
        entry = one.diagnosis("inference")()
        return entry if entry is not None and entry.level == DiagnosticStatus.WARN else None

    said = one.wait(warning, "a WARN of inference").message
    assert "does not look like what the model was trained on (indoor model, outdoor scan?)" in said
    assert f"{len(labels)} of {len(labels)} voxels" in said
