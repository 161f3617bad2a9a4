# SPDX-License-Identifier: GPL-2.0-only
"""``ub store``: keys and contents of the store that a fleet shares."""

from ubypass.cli.verbs import group

__all__ = ["VERB"]

VERB = group(__name__, "share translations among machines: keys, state, clean-up")
