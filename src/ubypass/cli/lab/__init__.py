# SPDX-License-Identifier: GPL-2.0-only
"""``ub lab``: commands and shells in a virtual machine on a stock kernel."""

from ubypass.cli.verbs import group

__all__ = ["VERB"]

VERB = group(
    __name__, "run a command or a shell in a virtual machine on a stock kernel"
)
