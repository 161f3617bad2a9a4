# SPDX-License-Identifier: GPL-2.0-only
"""``ub lab shell``: a root shell in a fresh guest."""

from __future__ import annotations

import argparse

from ubypass.cli.lab.machine_options import add_machine_options, machine_options
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb
from ubypass.lab.run import shell

__all__ = ["VERB", "configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_machine_options(parser)


def run(args: argparse.Namespace) -> int:
    """Boot; the shell's status. Raises UbError."""
    options = machine_options(args)
    with progress("lab") as report:
        return shell(options, report=report)


VERB = Verb("shell", "open a root shell in a fresh guest", configure, run)
