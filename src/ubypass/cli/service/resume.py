# SPDX-License-Identifier: GPL-2.0-only
"""``ub service resume``: end a pause."""

from __future__ import annotations

import argparse

from ubypass.cli.service.asking import ask
from ubypass.cli.verbs import Verb, no_options

__all__ = ["VERB", "run"]


def run(args: argparse.Namespace) -> int:
    """Send the request; 0. Raises UbError."""
    ask("resume")
    print("resumed")
    return 0


VERB = Verb("resume", "end a pause", no_options, run)
