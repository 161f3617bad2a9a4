# SPDX-License-Identifier: GPL-2.0-only
"""``ub module``: build the kernel module, load it into this kernel, unload it."""

from ubypass.cli.verbs import group

__all__ = ["VERB"]

VERB = group(__name__, "build, load, unload and check the kernel module")
