# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The label space of Hydra and Khronos: what their scene graphs make of each label.

Both (Hughes et al. 2022, Schmid et al. 2024) read the same files: the roles of the labels in YAML,
their colours as CSV, and a YAML that maps labels beyond the space into it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from concerto_ros.files.atomic_write import replacing
from concerto_ros.labels.label_set import UNLABELLED, UNLABELLED_COLOR, LabelSet
from concerto_ros.objects.finding.class_roles import ClassRoles

#: Classes that move by themselves.
MOVING = frozenset({"person", "pedestrian", "bicyclist", "motorcyclist"})

#: Classes that a robot may stand on: the places of the scene graph.
WALKABLE = frozenset(
    (
        *("floor", "ground", "road", "parking", "sidewalk", "other-ground", "terrain", "stairs"),
        *("mat", "rug", "driveable_surface", "other_flat"),
    )
)


def label_space(labels: LabelSet) -> dict[str, Any]:
    """Return the content of the YAML file: labels as on ``~/labels``, then one for none.

    Args:
        labels: The classes.

    Raises:
        ValueError: There are no classes.
    """
    if not labels.classes:
        raise ValueError(f"the label set {labels.name} has no classes, expected at least one")
    roles = ClassRoles.of(labels)
    moving = {entry.id for entry in labels.classes if entry.name in MOVING}
    walkable = {entry.id for entry in labels.classes if entry.name in WALKABLE}
    names = [*(entry.name for entry in labels.classes), "unlabelled"]
    return {
        "total_semantic_labels": len(names),
        "dynamic_labels": sorted(moving),
        "invalid_labels": [len(labels)],
        "object_labels": sorted(roles.things - moving - walkable),
        "surface_places_labels": sorted(walkable),
        "label_names": [{"label": label, "name": name} for label, name in enumerate(names)],
    }


def write_label_space(labels: LabelSet, folder: Path, name: str) -> list[Path]:
    """Write ``<name>_label_space.yaml``, ``<name>_colors.csv`` and ``<name>_remap.yaml``.

    Returns:
        The files.

    Raises:
        ValueError: There are no classes.
        OSError: A file cannot be written.
    """
    content = label_space(labels)
    colors = [*(entry.color for entry in labels.classes), UNLABELLED_COLOR]
    rows = ["name,red,green,blue,alpha,id"]
    for entry, color in zip(content["label_names"], colors, strict=True):
        plain = entry["name"].replace(",", " ").replace('"', "")
        rows.append(f"{plain},{','.join(map(str, color))},255,{entry['label']}")
    remap = [{"sub_id": label, "super_id": label} for label in range(len(labels))]
    remap.append({"sub_id": UNLABELLED, "super_id": len(labels)})
    texts = {
        f"{name}_label_space.yaml": yaml.safe_dump(content, sort_keys=False),
        f"{name}_colors.csv": "\n".join(rows) + "\n",
        f"{name}_remap.yaml": yaml.safe_dump(remap, sort_keys=False),
    }
    written = [folder / file for file in texts]
    for path, text in zip(written, texts.values(), strict=True):
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    return written
