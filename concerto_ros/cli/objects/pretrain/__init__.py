# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``concerto-ros objects pretrain``: a subcommand for each published pre-training."""

from __future__ import annotations

import argparse
import importlib

HELP = "pre-train an object encoder as published, without labels"

#: Pre-trainings in the order in which ``--help`` lists them. The module of each (with ``_`` for
#: ``-``) has ``HELP``, ``add_arguments(parser)`` and ``run(arguments) -> exit status``.
METHODS = ("recon", "i2p-mae")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand for each method."""
    methods = parser.add_subparsers(dest="method", required=True, metavar="METHOD")
    for name in METHODS:
        module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
        method = methods.add_parser(
            name, help=module.HELP, description=f"Pre-train {module.HELP}."
        )
        module.add_arguments(method)
        method.set_defaults(run_method=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Pre-train by the chosen method."""
    return arguments.run_method(arguments)
