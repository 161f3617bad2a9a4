# SPDX-License-Identifier: GPL-2.0-only
"""``ub service reload``: read the configuration again."""

from __future__ import annotations

import argparse

from ubypass.cli.service.asking import ask
from ubypass.cli.verbs import Verb, no_options

__all__ = ["VERB", "run"]


def run(args: argparse.Namespace) -> int:
    """Send the request; 0. Raises UbError."""
    answer = ask("reload")
    print(f"reloaded: {len(answer['rules'])} rules")
    return 0


VERB = Verb("reload", "read the configuration again", no_options, run)
