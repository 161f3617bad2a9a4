# SPDX-License-Identifier: GPL-2.0-only
"""How many user instructions lie between two calls, by stepping through them."""

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
    """Instructions from the return of call ``nr`` to its next syscall instruction.

    Runs ``command`` natively; ``skip`` calls pass before the first of ``samples``
    gaps is counted. The median of them. Raises UbError if the program ends before.
    """
    # No time limit: where instructions are counted, an idle machine's clock jumps
    # ahead to the next timer, so one slow read from the host could be the end.
    done = child.run(
        [str(gapcount), str(nr), str(skip), str(samples), "--", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise UbError(f"cannot count the gap: {done.stderr.strip()}")
    return round(statistics.median(int(line) for line in done.stdout.split()))
