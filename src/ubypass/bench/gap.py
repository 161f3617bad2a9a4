# SPDX-License-Identifier: GPL-2.0-only
"""How many user instructions lie between two calls, by stepping through them."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ubypass.errors import UbError

__all__ = ["count_gap"]

_TIMEOUT = 120.0  # seconds: stepping costs two switches of process each


def count_gap(
    gapcount: Path,
    command: Sequence[str],
    nr: int,
    *,
    skip: int = 20,
    samples: int = 3,
) -> int:
    """Instructions from the return of call ``nr`` to its next syscall instruction.

    Runs ``command`` natively; ``skip`` calls pass before the first of ``samples``
    gaps is counted. The median of them. Raises UbError if the program ends before.
    """
    try:
        done = subprocess.run(
            [str(gapcount), str(nr), str(skip), str(samples), "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise UbError(f"counting the gap of {command[0]} takes too long") from error
    if done.returncode != 0:
        raise UbError(f"cannot count the gap: {done.stderr.strip()}")
    return round(statistics.median(int(line) for line in done.stdout.split()))
