# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Any2Point by command: from the file of a source model to an encoder that is evaluated."""

from __future__ import annotations

import numpy as np
import torch
from any2point_sources import SHAPE, write_source
from small_objects import NAMES, toys

from concerto_ros.cli import main
from concerto_ros.objects.encoders.loading import load_object_encoder

KINDS = NAMES[:2]


def test_adapters_are_trained_from_a_source_model_and_evaluated(tmp_path, capsys):
    (tmp_path / "modelnet40_shape_names.txt").write_text("\n".join(KINDS))
    for split, seed in (("train", 0), ("test", 1)):
        names = []
        data = toys(2, seed=seed, points=1024, classes=2)
        for number, (points, label) in enumerate(zip(data.points, data.labels, strict=True)):
            names.append(f"{KINDS[label]}_{split}{number:04d}")
            path = tmp_path / KINDS[label] / f"{names[-1]}.txt"
            path.parent.mkdir(exist_ok=True)
            np.savetxt(path, points, "%.5f", ",")
        (tmp_path / f"modelnet40_{split}.txt").write_text("\n".join(names))
    source, out = write_source(tmp_path, "dino_mn"), tmp_path / "out"
    common = [str(tmp_path), "--layout", "modelnet40_txt", "--device", "cpu"]
    shape = [f"--option={name}={value}" for name, value in SHAPE.items()]
    arguments = ["--variant", "dino_mn", "--checkpoint", str(source), "--out", str(out)]
    few = ["--epochs", "1", "--batch-size", "2"]
    assert main(["objects", "train", "adapters", *common, *arguments, *few, *shape]) == 0
    assert "4 training and 4 test objects of 2 classes" in capsys.readouterr().out
    options = {"heads": 2, "neighbours": 4}
    best = load_object_encoder(out / "best.pth", **options)
    assert best.class_names == KINDS
    lent = torch.load(source, weights_only=True)["blocks.0.attn.qkv.weight"]
    assert torch.equal(best.blocks[0].attn.qkv.weight, lent)  # the transformer stays as it is
    assert "change scale_shift" in (out / "report.md").read_text()
    trained = ["--checkpoint", str(out / "encoder.pth")]
    trained += [f"--option={name}={value}" for name, value in options.items()]
    assert main(["objects", "evaluate", "classify", *common, *trained]) == 0
    assert "classify, any2point on ModelNet40, test: " in capsys.readouterr().out
