# SPDX-License-Identifier: GPL-2.0-only
"""``ub service check``: whether a configuration is valid."""

from __future__ import annotations

import argparse
import sys

from ubypass.cli.service.config_option import add_config_option
from ubypass.cli.verbs import Verb

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_config_option(parser)


def run(args: argparse.Namespace) -> int:
    """Read the configuration; 0. Raises UbError with file, line and reason."""
    from ubypass.service.config import load

    config = load(args.config)
    for warning in config.warnings:
        print(f"{args.config}: {warning}", file=sys.stderr)
    print(f"{args.config} is valid: {len(config.rules)} rules")
    return 0


VERB = Verb("check", "check a configuration", configure, run)
