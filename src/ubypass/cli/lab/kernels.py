# SPDX-License-Identifier: GPL-2.0-only
"""``ub lab kernels``: the kernels of the lab."""

from __future__ import annotations

import argparse

from ubypass.cli.verbs import Verb, no_options
from ubypass.lab import kernels

__all__ = ["VERB", "run"]


def run(args: argparse.Namespace) -> int:
    """Print a line for each kernel; 0."""
    for release in kernels.cached_releases():
        print(release)
    return 0


VERB = Verb("kernels", "list the cached kernels", no_options, run)
