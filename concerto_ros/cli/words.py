# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of the vectors of words, by which a robot without a text encoder knows them.

concerto-ros words encode "office chair" "sofa|couch" -o words.safetensors
concerto-ros words encode --file list.txt -o words.safetensors
concerto-ros words show words.safetensors

Each synonym is a word of the table by itself. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from pathlib import Path

HELP = "write and show tables of words for robots without a text encoder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand for each action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    encode = actions.add_parser("encode", help="encode words and write them as a table")
    encode.add_argument(
        "names", nargs="*", metavar="NAME", help="words, with | between those that mean the same"
    )
    encode.add_argument(
        "--file",
        type=Path,
        action="append",
        default=[],
        metavar="LIST",
        help="a text file with one word per line; # begins a comment; may be given again",
    )
    encode.add_argument(
        "--encoder",
        default="minilm",
        help="the text encoder: minilm, open_clip:MODEL/WEIGHTS or siglip2:MODEL (default:"
        " %(default)s, that of the bundled language head)",
    )
    encode.add_argument(
        "--template",
        help="the prompt, with {name} in the place of the word (default: that of the encoder)",
    )
    encode.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="TABLE",
        help="the table to write, a .safetensors or .npz file",
    )
    encode.set_defaults(run_action=_encode)
    show = actions.add_parser("show", help="show what a table holds")
    show.add_argument("table", type=Path, metavar="TABLE", help="the table")
    show.set_defaults(run_action=_show)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    return arguments.run_action(arguments)


def _encode(arguments: argparse.Namespace) -> int:
    from concerto_ros.words.table import make_table, read_word_list
    from concerto_ros.words.text_encoder import load_text_encoder
    from concerto_ros.words.vocabulary import checked_table_path
    from concerto_ros.words.word_list import checked_words

    words = checked_words(arguments.names, "NAME", most=None) if arguments.names else ()
    words += tuple(word for path in arguments.file for word in read_word_list(path))
    if not words:
        raise ValueError("NAME: got no word, expected at least one, or --file LIST")
    checked_table_path(arguments.out)
    encoder = load_text_encoder(arguments.encoder)
    table = make_table(words, encoder, arguments.template)
    table.save(arguments.out, half=True)
    print(f"wrote {arguments.out}: {len(table.names)} words of {table.width} channels")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from concerto_ros.words.vocabulary import read_vocabulary

    table = read_vocabulary(arguments.table)
    print(f"text encoder  {table.encoder or 'not noted'}")
    print(f"template      {table.template or 'not noted'}")
    print(f"channels      {table.width}")
    print(f"words         {len(table.names)}")
    columns = shutil.get_terminal_size().columns
    print(textwrap.fill(", ".join(table.names), columns, break_on_hyphens=False))
    return 0
