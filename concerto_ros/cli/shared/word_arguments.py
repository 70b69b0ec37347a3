# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Options of commands that compare points with words: the parameters of the group words."""

from __future__ import annotations

import argparse
from typing import Any

#: Options of words that are labels, and of a text that is looked for.
_LABELS, _FOUND = ("--words", "--word-threshold"), ("--find-threshold",)
#: The parameter that each option is.
_OPTIONS = {
    "--words": "words.names",
    "--word-threshold": "words.threshold",
    "--find-threshold": "words.find_threshold",
    "--language-head": "words.head",
    "--word-table": "words.table",
}


def add_word_arguments(parser: argparse.ArgumentParser, *, names: bool) -> None:
    """Define the options.

    Args:
        parser: the parser of the command.
        names: whether words label the points; else a text is looked for.
    """
    from concerto_ros.settings.settings import DEFAULTS, about
    from concerto_ros.words.word_list import split_words

    for option, parameter in _OPTIONS.items():
        if option in (_FOUND if names else _LABELS):
            continue
        if parameter != "words.names":
            parser.add_argument(option, type=type(DEFAULTS[parameter]), help=about(parameter).text)
        else:
            parser.add_argument(
                option,
                type=split_words,
                metavar="WORDS",
                help="words that label the points instead of the classes of --head, such as"
                ' "office chair, plant|potted plant": commas between words, | between synonyms',
            )


def word_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, by the name of their parameter.

    Raises:
        ValueError: the list of words is not accepted.
    """
    from concerto_ros.words.word_list import checked_words

    given = {
        parameter: getattr(arguments, option[2:].replace("-", "_"), None)
        for option, parameter in _OPTIONS.items()
    }
    if given["words.names"] is not None:  # before models are loaded
        given["words.names"] = checked_words(given["words.names"], "--words")
    return {name: value for name, value in given.items() if value is not None}
