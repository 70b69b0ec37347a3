# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages and services: their files, and the names under which the node offers services."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown import code, prose, sentence, table


@dataclass
class Part:
    """Fields that stand together, below the comment that stands above them."""

    comment: str = ""
    rows: list[tuple[str, str, str]] = field(default_factory=list)


def message_blocks(root: Path) -> dict[str, str]:
    """A section for each message of ``msg/``."""
    files = sorted((root / "msg").glob("*.msg"))
    own = {path.stem for path in files}
    sections = []
    for path in files:
        text = path.read_text(encoding="utf-8")
        sections.append(f"## {path.stem}\n\n{definition(text, own, '')}")
    return {"messages": "\n\n".join(sections)}


def service_blocks(root: Path) -> dict[str, str]:
    """A section for each service of the node."""
    own = {path.stem for path in (root / "msg").glob("*.msg")}
    sections, summary = [], []
    for name, package, kind, docstring in services(root):
        heading, full = f"~/{name}", f"{package}/srv/{kind}"
        text = f"## `{heading}`\n\nType {full}. "
        file = root / "srv" / f"{kind}.srv"
        if package == "concerto_ros":
            request, answer = file.read_text(encoding="utf-8").split("---\n")
            about = first_comment(request)
            text += definition(request, own, "Request")
            text += f"\n\n{definition(answer, own, 'Response')}"
        else:
            about = docstring
            text += sentence(prose(about))
        sections.append(text)
        anchor = re.sub(r"[^\w-]", "", heading)
        summary.append((f"[{code(heading)}](#{anchor})", full, prose(about)))
    overview = table(("service", "type", "what it does"), summary)
    return {"services overview": overview, "services": "\n\n".join(sections)}


def services(root: Path) -> Iterator[tuple[str, str, str, str]]:
    """Name, package, type and docstring of each service, from the modules that offer them.

    They list them as ``("reset", Trigger, self._reset)``.
    """
    for path in sorted((root / "concerto_ros" / "ros" / "services").glob("*_services.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        packages, docstrings = {}, {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.endswith(".srv"):
                for alias in node.names:
                    packages[alias.name] = node.module.removesuffix(".srv")
            elif isinstance(node, ast.AsyncFunctionDef):
                text = " ".join((ast.get_docstring(node) or "").split())
                docstrings[node.name] = text.replace("``", "`")
        for node in ast.walk(tree):
            match node:
                case ast.Tuple(
                    elts=[ast.Constant(value=str(name)), ast.Name(id=kind), ast.Attribute(attr=do)]
                ):
                    yield name, packages[kind], kind, docstrings[do]


def first_comment(text: str) -> str:
    """The comment that heads a file, without its signs."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines)


def definition(text: str, own: set[str], label: str) -> str:
    """Fields with their types and comments; ``own`` are the messages of this package."""
    found = []
    for part in parts(text):
        if part.comment:
            found.append(sentence(prose(part.comment)))
        if part.rows:
            if label:
                found.append(f"{label}:")
            rows = [(code(n), linked(kind, own), prose(about)) for n, kind, about in part.rows]
            found.append(table(("field", "type", "meaning"), rows))
    return "\n\n".join(found)


def parts(text: str) -> list[Part]:
    """The fields of a message, or of one half of a service."""
    found = [Part()]
    for line in text.splitlines():
        line = line.strip()
        if not line:
            if found[-1].rows:
                found.append(Part())
        elif line.startswith("#"):
            if found[-1].rows:
                found.append(Part())
            found[-1].comment = f"{found[-1].comment} {line.lstrip('# ')}".strip()
        else:
            declared, _, about = line.partition("#")
            kind, name = declared.split(maxsplit=1)
            found[-1].rows.append((name.strip(), kind, about.strip()))
    return joined(found)


def joined(found: list[Part]) -> list[Part]:
    """Blank lines between fields without a comment above them start no new table."""
    kept: list[Part] = []
    for part in found:
        if kept and kept[-1].rows and not part.comment:
            kept[-1].rows += part.rows
        else:
            kept.append(part)
    return kept


def linked(kind: str, own: set[str]) -> str:
    """A type; one of this package as a link to its section."""
    base, _, array = kind.partition("[")
    if base not in own:
        return code(kind)
    return f"[{code(base)}](messages.md#{base.lower()}){'[' + array if array else ''}"
