# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The subcommands of ``concerto-ros`` and their options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from markdown import code, prose, sentence, table


def command_blocks(_root: Path) -> dict[str, str]:
    """An overview, and a section for each subcommand."""
    from concerto_ros.cli import COMMANDS, module_of

    overview, sections = [], []
    for name in COMMANDS:
        module = module_of(name)
        parser = argparse.ArgumentParser(prog=f"concerto-ros {name}", add_help=False)
        module.add_arguments(parser)
        heading = f"concerto-ros {name}"
        anchor = heading.replace(" ", "-")
        overview.append((f"[{code(heading)}](#{anchor})", prose(module.HELP)))
        sections.append(f"## {heading}\n\n{described(module.__doc__)}")
        sections += options(parser, "###")
    return {
        "commands overview": table(("command", "what it does"), overview),
        "commands": "\n\n".join(sections),
    }


def described(text: str) -> str:
    """The description of a module: its prose, and its lines of commands as they are."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        lines = paragraph.splitlines()
        if all(line.lstrip().startswith("concerto-ros ") for line in lines):
            if found and found[-1].endswith("."):
                found[-1] = found[-1][:-1] + ":"
            found.append("```text\n" + "\n".join(line.strip() for line in lines) + "\n```")
        else:
            joined = " ".join(line.strip() for line in lines)
            found.append(sentence(prose(joined.replace("``", "`"))))
    return "\n\n".join(found)


def options(parser: argparse.ArgumentParser, level: str) -> Iterator[str]:
    """A table of the parser's options, and a section for each of its subcommands."""
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help for choice in action._choices_actions}
            for name, child in action.choices.items():
                yield f"{level} {child.prog}\n\n{sentence(prose(helps.get(name) or ''))}"
                yield from options(child, level + "#")
        elif action.dest != "help" and action.help != argparse.SUPPRESS:
            rows.append((code(usage(action)), prose(helped(action)), default(action)))
    if rows:
        yield table(("argument", "meaning", "default"), rows)


def usage(action: argparse.Action) -> str:
    """As it is typed."""
    value = ""
    if action.nargs != 0:
        names = action.metavar
        if isinstance(names, tuple):
            value = " ".join(names)
        elif action.choices is not None:
            value = "{" + ",".join(str(choice) for choice in action.choices) + "}"
        else:
            value = names or action.dest.upper()
        if action.nargs in ("*", "?"):
            value = f"[{value}{' ...' if action.nargs == '*' else ''}]"
        elif action.nargs == "+":
            value += " ..."
    if not action.option_strings:
        return value
    return f"{', '.join(action.option_strings)} {value}".strip()


def helped(action: argparse.Action) -> str:
    """What ``--help`` says of it, without the default, which has a column of its own."""
    text = " ".join((action.help or "").split()) % {"default": action.default}
    return re.sub(r"\s*\(?default:? [^()]*\)?$", "", text)


def default(action: argparse.Action) -> str:
    """The value that is used when nothing is said."""
    said = re.search(r"\(?default:? ([^()]*)\)?$", " ".join((action.help or "").split()))
    if said:
        return prose(said[1] % {"default": action.default})
    if not action.option_strings:
        return "" if action.nargs in ("*", "?") else "required"
    if action.required:
        return "required"
    if action.nargs == 0 or action.default in (None, ""):
        return ""
    if isinstance(action.default, (list, tuple)):
        return code(" ".join(str(value) for value in action.default)) if action.default else ""
    return code(str(action.default))
