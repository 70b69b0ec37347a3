# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables and code marks in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: Names of topics and the empty list of names, which descriptions hold as plain text.
_CODE = re.compile(
    r"""(?<![\w`/~])(
        ~?/[a-z][\w/]*(?:<\w+>)?   # ~/labels, /diagnostics
        | \[''\]
        | [a-z_]+\.[a-z_]+(?=[\s,;:)]|$)(?<!e\.g)(?<!i\.e)   # teach.radius
    )""",
    re.VERBOSE,
)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars inside cells are escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def code(text: str) -> str:
    """``text`` as code."""
    return f"`{text}`"


def prose(text: str) -> str:
    """A description of the code as Markdown: the names in it as code, HTML escaped."""
    marked = _CODE.sub(lambda found: code(found[1]), text)
    # Outside of code, <name> would be a tag.
    parts = re.split(r"(`[^`]*`)", marked)
    return "".join(p if p.startswith("`") else p.replace("<", "&lt;") for p in parts)


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text.strip()
    if text[:1].islower():
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?", "!", ":")) else text + "."
