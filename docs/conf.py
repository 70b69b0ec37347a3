# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The documentation site: ``make docs``, or rosdoc2 on the ROS build farm.

Only rooms that need no ROS are read by autodoc, and libraries that are not installed are replaced,
so the extra ``docs`` and NumPy are enough to build it.
"""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

project = "concerto_ros"
author = "concerto_ros contributors"
copyright = f"2026 {author}"
_manifest = Path("..", "package.xml")  # Sphinx runs this file in its own folder
if _manifest.is_file():
    release = version = ElementTree.parse(_manifest).getroot().findtext("version")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "concerto_ros"
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "monokai"

# Options are written --like-this, and a topic's name ends in no typographic quote.
smartquotes = False

# As deep as the pages link to headings; the anchors are those of a git forge.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# Every reference must lead somewhere: see _known_name for what has no page here.
nitpicky = True

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_mock_imports = [
    name
    for name in (
        "cv2",
        "huggingface_hub",
        "open3d",
        "PIL",
        "rosbags",
        "safetensors",
        "torch",
        "tqdm",
        "yaml",
    )
    if importlib.util.find_spec(name) is None
]
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 120  # one parameter a line where it is longer

# Google's sections, and NumPy's until every docstring has Google's.
napoleon_google_docstring = True
napoleon_numpy_docstring = True
napoleon_use_ivar = True  # autodoc documents the attributes of dataclasses
napoleon_use_rtype = False
napoleon_attr_annotations = False  # the signature has the types

toc_object_entries_show_parents = "hide"

suppress_warnings = ["autosummary.import_cycle"]


def setup(app: Any) -> None:
    """Hook in what Sphinx and its extensions leave open."""
    app.connect("autodoc-process-docstring", _google_sections, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", _readable_signature)
    app.connect("missing-reference", _known_name, priority=900)


def _google_sections(
    _app: Any, what: str, _name: str, _obj: Any, _options: Any, lines: list[str]
) -> None:
    """Sections that are underlined as NumPy's, with entries ``name: text``, become Google's.

    And a paragraph that begins with "Returns" becomes the section of that name.
    """
    if what in ("attribute", "data", "property"):
        # Else napoleon takes what stands before a colon in it for the type.
        lines.insert(0, "\\ ")
        return
    row = 0
    while row < len(lines):
        underlined = row + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[row + 1])
        if underlined and re.fullmatch(r"[A-Z]\w+", lines[row]):
            end = _end_of_section(lines, row + 2)
            lines[row:end] = [f"{lines[row]}:", *_indented(lines[row + 2 : end])]
        elif lines[row].startswith("Returns ") and (row == 0 or not lines[row - 1]):
            end = lines.index("", row) if "" in lines[row:] else len(lines)
            first = lines[row].removeprefix("Returns ")
            lines[row:end] = ["Returns:", *_indented([first, *lines[row + 1 : end]])]
        row += 1


def _end_of_section(lines: list[str], row: int) -> int:
    """The line after the entries that begin at ``row``."""
    while row < len(lines):
        entry = re.match(r"\s|[*\w][\w*, .]*:(?!:)", lines[row])
        if lines[row] and not entry:
            return row
        row += 1
    return row


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _readable_signature(
    _app: Any,
    _what: str,
    _name: str,
    _obj: Any,
    _options: Any,
    signature: str | None,
    returns: Any,
) -> tuple[str | None, Any]:
    """Defaults of dataclasses that are made for each object are no Python: ``<factory>``."""
    return signature and signature.replace("<factory>", "..."), returns


def _known_name(_app: Any, _env: Any, node: Any, text: Any) -> Any:
    """Names of Python without a page here: plain text where they exist, a warning where not.

    They are types of other libraries, and modules of the package that are no part of its face.
    """
    if node.get("refdomain") != "py":
        return None
    if autodoc_mock_imports:  # what exists cannot be told without the libraries
        return text
    target, module, owner = node["reftarget"], node.get("py:module"), node.get("py:class")
    places = [f"{module}.{owner}", module, "builtins"] if owner else [module, "builtins"]
    for name in (target, *(f"{place}.{target}" for place in places if place)):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError, ValueError):
            continue
        return text
    return None
