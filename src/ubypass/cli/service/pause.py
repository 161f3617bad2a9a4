# SPDX-License-Identifier: GPL-2.0-only
"""``ub service pause``: leave all programs native for now."""

from __future__ import annotations

import argparse

from ubypass.cli.service.asking import ask
from ubypass.cli.verbs import Verb, no_options

__all__ = ["VERB", "run"]


def run(args: argparse.Namespace) -> int:
    """Send the request; 0. Raises UbError."""
    ask("pause")
    print("paused: all programs run natively until 'ub service resume'")
    return 0


VERB = Verb("pause", "run all programs natively until 'resume'", no_options, run)
