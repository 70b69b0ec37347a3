# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of data sets of objects and of methods to train on them, known without PyTorch."""

from __future__ import annotations

#: What each method of fine-tuning trains.
METHODS = {
    "full": "the whole encoder and a new head of three layers",
    "mlp3": "a new head of three layers, and ReCon's class token, on a frozen encoder",
    "linear": "a new linear head, and ReCon's class token, on a frozen encoder",
    "adapters": "Any2Point's adapters, tokens and head around a frozen transformer",
}

#: Layouts of data sets with two splits.
LAYOUTS = (
    "synthetic",
    "modelnet40_h5",
    "modelnet40_txt",
    "modelnet40_dat",
    "modelnet40_off",
    "modelnet10_txt",
    "modelnet10_dat",
    "modelnet10_off",
    "shapenetpart",
    "scanobjectnn_obj_bg",
    "scanobjectnn_obj_only",
    "scanobjectnn_pb_t50_rs",
)

#: Published few-shot folds, which have no splits; see ``published_folds``.
FEW_SHOT_LAYOUT = "modelnet40_few_shot"

#: Presets of each pre-training, the published one first.
PRESETS = {
    "recon": ("recon", "recon_small", "recon_tiny", "demo"),
    "i2p-mae": ("i2p_mae_cvpr2023", "i2p_mae_single_scale", "i2p_mae_small"),
}

#: Kinds of masks of ReCon's pre-training: patches anywhere, or those around one of them.
MASKS = ("random", "block")

#: What I2P-MAE's pre-training uses its image model for: to choose visible groups and as targets,
#: for one of both, or not at all.
GUIDANCE = ("both", "masking", "targets", "none")

#: OpenShape's test sets, the first as the one that chooses the best weights in training, and their
#: layouts: objects have colours, and classes vectors of their names; see ``openshape_tests``.
WORD_TEST_NAMES = ("lvis", "modelnet40", "scanobjectnn")
WORD_LAYOUTS = tuple(f"openshape_{name}" for name in WORD_TEST_NAMES)

#: What is compared with the words: clouds; the mean of the pictures; the sum of both cosines; the
#: joint representation of both.
EVIDENCE = ("points", "images", "merged", "fused")

#: Passes of one vote over views of an object, as published.
VOTE_PASSES = 10
