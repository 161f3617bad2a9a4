# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for what happens in the guest, and to servers that ``ub attach`` boosts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["HANG", "TUNE", "UB", "is_alive", "wait", "wait_for_more"]

#: Under emulation what is hot is called less often than elsewhere, its heat comes and
#: goes with the turns of those that share the processor, and gaps are long.
TUNE = (
    *("--tune=hot_calls=8", "--tune=window_ms=2000", "--tune=gap_ns=1000000"),
    *("--tune=grace_ms=0", "--tune=share_bits=0"),
)

#: A ``ub`` that goes on boosting what does not pay off.
UB = "tests.guest.stubborn"

#: Seconds after which something has failed. Where it works it never decides anything:
#: what is waited for comes sooner, however busy the machine is.
HANG = 300.0
_LOOK = 0.02


def wait(
    done: Callable[[], bool], seconds: float = HANG, *, look: float = _LOOK
) -> bool:
    """Whether ``done()`` comes true in time; ``look``: seconds between two calls."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(look)
    return True


def wait_for_more(count: Callable[[], int], more: int) -> None:
    """Wait until ``count()`` has grown by ``more``. Raises TimeoutError."""
    goal = count() + more
    if not wait(lambda: count() >= goal):
        raise TimeoutError(f"nothing is dispatched: {count()}, wanted {goal}")


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
