# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ShapeNet55 as object encoders are pre-trained on it: lists, clouds, pictures and captions.

``ShapeNet-55/train.txt`` and ``test.txt`` name the clouds, one ``<taxonomy>-<model>.npy`` a line;
``shapenet_pc`` holds them, ``shapenet_img`` a ``.png`` of each, and ``shapenet55.json`` a caption
of each taxonomy. Pictures may be missing, and the file of captions, which then are empty.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from concerto_ros.files.numpy_file import read_npy
from concerto_ros.learning.objects.data.scanobjectnn import read_lines
from concerto_ros.learning.objects.data.shape_set import ShapeSet

#: Folders and files below the published folder.
LISTS, CLOUDS, PICTURES, CAPTIONS = "ShapeNet-55", "shapenet_pc", "shapenet_img", "shapenet55.json"

#: Lists of names.
SPLITS = ("train", "test")

#: Digits of a taxonomy, an offset of WordNet.
DIGITS = 8


class ShapeNet55(ShapeSet):
    """The shapes of some lists, each read when it is asked for.

    Args:
        folder: The published folder, ``ShapeNet55-34``.
        splits: Of :data:`SPLITS`; published pre-trainings take ``train`` (I2P-MAE) or both
            (ReCon).

    Raises:
        ValueError: If a list is missing or names something else, a cloud is missing, or the
            captions cannot be read; the message names the file.
    """

    def __init__(self, folder: Path, splits: Sequence[str] = SPLITS):
        self.folder = Path(folder)
        ids: list[str] = []
        for split in splits:
            path = self.folder / LISTS / f"{split}.txt"
            for line in read_lines(path):
                ids.append(line.removesuffix(".npy"))
                if not _taxonomy(ids[-1]).isdigit() or "-" not in ids[-1]:
                    raise ValueError(
                        f"{path}: got the line {line!r}, expected <taxonomy>-<model>.npy, such as"
                        " 02691156-1a04e3eab45ca15dd86060f189eb133.npy"
                    )
        captions = read_captions(self.folder / CAPTIONS)
        unknown = [one for one in ids if captions and _taxonomy(one) not in captions]
        if unknown:
            raise ValueError(
                f"{self.folder / CAPTIONS}: has no 'catalogue' {_taxonomy(unknown[0])}, expected"
                f" one for {unknown[0]}"
            )
        texts = [captions.get(_taxonomy(one), "") for one in ids]
        super().__init__(f"ShapeNet55, {' and '.join(splits)}", ids, texts)
        missing = next((path for path in map(self.cloud_file, ids) if not path.is_file()), None)
        if missing is not None:
            raise ValueError(f"{missing} is not a file, expected it as the lists name it")

    def cloud_file(self, name: str) -> Path:
        """Return the path of the cloud of a shape."""
        return self.folder / CLOUDS / f"{name}.npy"

    def read(self, row: int) -> np.ndarray:
        """Read the shape at ``row``: (P, 3) float32.

        Raises:
            ValueError: If its file is damaged or holds anything else; the message names it.
        """
        path = self.cloud_file(self.ids[row])
        cloud = read_npy(path)
        if (
            cloud.ndim != 2
            or cloud.shape[1] < 3
            or not len(cloud)
            or cloud.dtype.kind not in "fiu"
        ):
            raise ValueError(
                f"{path}: got {cloud.dtype} of shape {cloud.shape}, expected numbers of shape"
                " (8192, 3)"
            )
        cloud = np.ascontiguousarray(cloud[:, :3], np.float32)
        if not np.isfinite(cloud).all():
            raise ValueError(f"{path}: has points that are not finite, expected none")
        return cloud

    def picture(self, row: int) -> np.ndarray | None:
        """Read the picture of the shape at ``row``: (H, W, 3) uint8 RGB; None without one.

        Raises:
            ValueError: If its file is no picture; the message names it.
        """
        path = self.folder / PICTURES / f"{self.ids[row]}.png"
        if not path.is_file():
            return None
        import cv2

        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"{path}: not a readable picture, expected a .png")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def read_captions(path: Path) -> dict[str, str]:
    """Read the caption of each taxonomy: a list of records, or columns, with two fields.

    The fields are ``catalogue``, the taxonomy as text or number (then without its leading zero),
    and ``describe``, the caption. Without the file there are none.

    Raises:
        ValueError: If the file is not of this form.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if isinstance(content, dict) and {"catalogue", "describe"} <= content.keys():
        numbers, texts = (_values(content[name]) for name in ("catalogue", "describe"))
    elif isinstance(content, list) and all(isinstance(row, dict) for row in content):
        numbers, texts = ([row.get(name) for row in content] for name in ("catalogue", "describe"))
    else:
        numbers, texts = [], []
    known = [isinstance(number, (int, str)) for number in numbers]
    if not known or len(numbers) != len(texts) or not all(known):
        raise ValueError(
            f"{path}: expected a list of records with the fields 'catalogue' (a taxonomy) and"
            " 'describe' (its caption)"
        )
    for number, text in zip(numbers, texts, strict=True):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"{path}: 'describe' of {number!r} is {text!r}, expected a text that is not empty"
            )
    return {str(number).zfill(DIGITS): text for number, text in zip(numbers, texts, strict=True)}


def _values(column: Any) -> list[Any]:
    return list(column.values()) if isinstance(column, dict) else list(column)


def _taxonomy(name: str) -> str:
    return name.partition("-")[0]
