# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A tiny data folder in OpenShape's layout: three kinds of coloured shapes, texts and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

#: Kinds of shapes: half extents of a box of points.
KINDS = {"bed": (1.0, 0.3, 0.6), "lamp": (0.2, 1.0, 0.2), "plate": (1.0, 0.05, 1.0)}
CHANNELS, POINTS = 16, 80


def concept(kind: str) -> np.ndarray:
    """The (D,) vector that texts and pictures of a kind have in common."""
    rng = np.random.default_rng(list(KINDS).index(kind))
    return rng.standard_normal(CHANNELS).astype(np.float32)


def cloud(kind: str, rng: np.random.Generator) -> np.ndarray:
    return (rng.uniform(-1, 1, (POINTS, 3)) * KINDS[kind]).astype(np.float32)


def shape_content(kind: str, rng: np.random.Generator, views: int = 12) -> dict:
    def near() -> np.ndarray:
        return concept(kind) + 0.1 * rng.standard_normal(CHANNELS).astype(np.float32)

    def text() -> dict:
        return {"original": near()[None], "prompt_avg": near()[None]}

    return {
        "xyz": cloud(kind, rng),
        "rgb": rng.random((POINTS, 3)).astype(np.float32),
        "image_feat": np.stack([near() for _ in range(views)]),
        "thumbnail_feat": near(),
        "text": [f"a {kind}", kind],
        "text_feat": [text(), text()],
        "blip_caption": f"a picture of a {kind}",
        "blip_caption_feat": text(),
        "msft_caption": "",
        "msft_caption_feat": {},
        "retrieval_text": [kind],
        "retrieval_text_feat": [text()],
    }


def save(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, content, allow_pickle=True)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def openshape_folder(folder: Path, count: int = 9, seed: int = 0) -> Path:
    """Write ``count`` training shapes, as many of Objaverse-LVIS, and the other two test sets."""
    rng, kinds, meta = np.random.default_rng(seed), list(KINDS), folder / "meta_data"
    train, lvis = [], []
    for row in range(2 * count):
        kind, uid = kinds[row % 3], f"id{row}"
        objaverse = row >= count or row % 2 == 0
        source = "Objaverse" if objaverse else "ABO"
        stored = f"{source}/000-000/{uid}.npy"
        save(folder / stored, shape_content(kind, rng))
        entry = {"data_path": f"/mnt/{stored}", "group": "000-000"}
        if row < count:
            train.append(entry | {"dataset": source, "id": uid})
        else:
            lvis.append(entry | {"uid": uid, "category": kind})
    write_json(meta / "split/train_all.json", train)
    write_json(meta / "split/lvis.json", lvis)
    write_json(meta / "gpt4_filtering.json", {"id0": {"flag": "N"}, "id2": {"flag": "Y"}})
    save(meta / "lvis_cat_name_pt_feat.npy", np.stack([concept(kind) for kind in sorted(kinds)]))
    names = {kind: {"open_clip_text_feat": concept(kind)[None]} for kind in kinds[::-1]}
    inner = meta / "modelnet40"
    pairs = [(f"{kind}_1", kind) for kind in kinds]
    write_json(inner / "test_split.json", [{"name": n, "category": c} for n, c in pairs])
    rgb = np.full((POINTS, 3), 102, np.uint8)
    save(inner / "test_pc.npy", [{"xyz": cloud(kind, rng), "rgb": rgb} for kind in kinds])
    save(inner / "cat_name_pt_feat.npy", names)
    return folder
