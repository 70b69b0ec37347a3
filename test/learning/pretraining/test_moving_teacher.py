# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The teacher as the moving average of the student."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from concerto_ros.learning.pretraining.teacher import teacher_of, update_teacher


class Small(nn.Module):
    def __init__(self, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.backbone, self.head = nn.Linear(3, 2), nn.Linear(2, 2)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_the_teacher_keeps_of_its_start_the_product_of_the_momenta(seed, momenta):
    student, teacher = Small(seed), Small(seed + 1)
    start = teacher_of(teacher)
    kept = 1.0
    for momentum in momenta:
        update_teacher(teacher, student, momentum)
        kept *= momentum
    for new, old, own in zip(
        teacher.parameters(), start.parameters(), student.parameters(), strict=True
    ):
        torch.testing.assert_close(new, kept * old + (1 - kept) * own, rtol=1e-4, atol=1e-5)


def test_a_fixed_part_stays_bit_for_bit_while_the_others_follow():
    student, teacher = Small(0), Small(1)
    start = teacher_of(teacher)
    update_teacher(teacher, student, 0.5, fixed="backbone.")
    assert torch.equal(teacher.backbone.weight, start.backbone.weight)
    assert not torch.equal(teacher.head.weight, start.head.weight)


def test_the_first_teacher_is_a_copy_that_does_not_learn():
    student = Small(0)
    teacher = teacher_of(student)
    assert all(
        torch.equal(a, b) for a, b in zip(teacher.parameters(), student.parameters(), strict=True)
    )
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    with torch.no_grad():
        student.head.weight.zero_()
    assert teacher.head.weight.any()
