# SPDX-License-Identifier: GPL-2.0-only
"""The number of user instructions between two calls, by single-stepping."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError

__all__ = ["count_gap"]


def count_gap(
    gapcount: Path,
    command: Sequence[str],
    nr: int,
    *,
    skip: int = 20,
    samples: int = 3,
) -> int:
    """The instructions from the return of call ``nr`` to its next syscall instruction.

    Runs ``command`` natively. ``skip`` calls pass before the first of ``samples`` gaps
    is counted; returns the median of the samples. Raises UbError if the program ends
    before.
    """
    # No time limit: under icount the clock of an idle guest jumps ahead to the next
    # timer, so a single slow read from the host could exceed any limit.
    done = child.run(
        [str(gapcount), str(nr), str(skip), str(samples), "--", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise UbError(f"cannot count the gap: {done.stderr.strip()}")
    return round(statistics.median(int(line) for line in done.stdout.split()))
