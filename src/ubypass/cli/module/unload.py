# SPDX-License-Identifier: GPL-2.0-only
"""``ub module unload``: remove the module from the running kernel."""

from __future__ import annotations

import argparse

from ubypass.cli.module.files import is_loaded
from ubypass.cli.verbs import Verb, no_options
from ubypass.module.loading import remove_module, require_root

__all__ = ["VERB", "run"]


def run(args: argparse.Namespace) -> int:
    """Unload the module; 0, also if it is not loaded. Raises UbError."""
    if not is_loaded():
        print("the module is not loaded")
        return 0
    require_root("unload")
    remove_module(b"ub")
    print("unloaded")
    return 0


VERB = Verb("unload", "remove the module from the running kernel", no_options, run)
