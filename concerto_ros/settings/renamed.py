# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that had another name in version 0.1, which is still read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The present name by the one of 0.1, which was a list and the prefix of ``clouds.<name>.topic``.
RENAMED = {"clouds": "cloud_names", "cameras": "camera_names", "filters": "filter_names"}


def with_new_names(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Replace the names of 0.1.

    A value under the old name counts where the new name is missing or lists nothing, as in the
    file of defaults that another file or an argument adds to.

    Args:
        values: Parameters by full name; lists of names, of which ``['']`` and None mean none.

    Returns:
        The parameters by their present names, and a sentence for the user on each old name.
    """
    present = {name: value for name, value in values.items() if name not in RENAMED}
    notices = []
    for old, new in RENAMED.items():
        if old not in values:
            continue
        if lists_nothing(present.get(new)):
            present[new] = values[old]
            notices.append(
                f"{old}: got the name that this parameter had in version 0.1, expected {new};"
                f" it is read this time, but not by the next version: rename it"
            )
        elif not lists_nothing(values[old]):
            notices.append(
                f"{old}: got {values[old]!r}, which is not used, because {new} is set to"
                f" {present[new]!r}; remove {old}"
            )
    return present, notices


def lists_nothing(value: Any) -> bool:
    """Return whether a list of names is empty: None, ``[]`` or ``['']``."""
    return value is None or (isinstance(value, (list, tuple)) and not any(value))
