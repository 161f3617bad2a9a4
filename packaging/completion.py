#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Prints the completion of ``ub`` for bash: it asks ``ub`` itself, by argcomplete."""

from __future__ import annotations

from argcomplete import shell_integration


def completion() -> str:
    """The file that bash-completion loads when somebody completes ``ub``."""
    text: str = shell_integration.shellcode(["ub"], shell="bash")
    return text


if __name__ == "__main__":
    print(completion())
