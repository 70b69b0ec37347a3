# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pre-training of ReCon by command, its teachers, and what it writes."""

from __future__ import annotations

import pytest
from shape_folders import TAXONOMIES, write_shapenet55, write_teacher

from concerto_ros.cli import main
from concerto_ros.objects import load_object_encoder

FAST = ["--preset", "demo", "--epochs", "2", "--batch-size", "6", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path):
    names = write_shapenet55(tmp_path / "shapes")
    write_teacher(tmp_path / "image.npz", names, 12)
    write_teacher(tmp_path / "text.npz", list(TAXONOMIES.values()), 5, views=3)
    return tmp_path


def command(folder, *more: str) -> list[str]:
    start = ["objects", "pretrain", "recon", str(folder / "shapes"), "--layout", "shapenet55"]
    return [*start, "--out", str(folder / "out"), *FAST, *more]


def taught(folder) -> list[str]:
    files = [("--image-teacher", "image.npz"), ("--text-teacher", "text.npz")]
    return [word for option, name in files for word in (option, str(folder / name))]


def test_the_command_writes_the_last_and_the_best_weights_and_a_report(folder, capsys):
    assert main(command(folder, *taught(folder))) == 0
    assert "12 shapes of ShapeNet55, train" in capsys.readouterr().out
    out = folder / "out"
    encoder = load_object_encoder(out / "pretrained.pth", heads=4, points=64, group_size=16)
    assert encoder.img_proj.out_features == 12 and encoder.text_proj.out_features == 5
    assert load_object_encoder(out / "pretrained_best.pth", heads=4).knows_words
    report = (out / "report.md").read_text()
    assert "| epoch | loss | reconstruction | image | text | score |" in report
    assert any(path.name.startswith("events.out.tfevents") for path in out.iterdir())
