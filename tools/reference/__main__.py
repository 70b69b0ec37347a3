# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the parts of the documentation that the code knows better than a person.

    python tools/reference            rewrite them, in docs/
    python tools/reference --check    only say which are out of date; exit status 1 if any is

A generated part stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``; the text
around it is written by hand. Everything is read without ROS: parameters, reasons and commands from
the modules of the package, messages and services from their files, rooms from the imports.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from cloud_layouts import layout_blocks  # noqa: E402
from command_options import command_blocks  # noqa: E402
from example_code import example_blocks  # noqa: E402
from message_fields import message_blocks, service_blocks  # noqa: E402
from parameter_tables import parameter_blocks, preset_blocks  # noqa: E402
from reason_table import reason_blocks  # noqa: E402
from room_imports import room_blocks  # noqa: E402

#: What is generated for each page: functions of the repository's root that return
#: ``{name of the part: Markdown}``.
PAGES = {
    "architecture.md": (room_blocks,),
    "commands.md": (command_blocks,),
    "inputs.md": (reason_blocks,),
    "messages.md": (message_blocks,),
    "planners.md": (example_blocks,),
    "parameters.md": (parameter_blocks, preset_blocks),
    "services.md": (service_blocks,),
    "topics.md": (layout_blocks,),
}


def main() -> int:
    """Write the pages, or check them; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = []
    for name, sources in PAGES.items():
        page = ROOT / "docs" / name
        old = new = page.read_text(encoding="utf-8")
        for source in sources:
            for part, text in source(ROOT).items():
                new = replaced(new, part, text, page)
        if new != old:
            stale.append(f"docs/{name}")
            if not check:
                page.write_text(new, encoding="utf-8")
    for name in stale:
        print(f"{name}: {'out of date; run make reference' if check else 'written'}")
    return 1 if check and stale else 0


def replaced(page: str, part: str, text: str, path: Path) -> str:
    """``page`` with ``text`` between the markers of ``part``."""
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{path}: expected one pair of markers of the part {part!r}")
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{text.strip()}\n\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    sys.exit(main())
