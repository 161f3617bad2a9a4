# SPDX-License-Identifier: GPL-2.0-only
"""The same for each of several processes, of which some may have ended meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ubypass.cli.failure import print_error
from ubypass.errors import UbError

__all__ = ["in_turn"]


def in_turn(pids: Iterable[int], act: Callable[[int], None]) -> None:
    """Call ``act`` for each of ``pids``; print its errors, in order.

    Raises the last ``UbError`` instead if no call succeeds.
    """
    failed: UbError | None = None
    succeeded = False
    for pid in pids:
        if failed is not None:
            print_error(failed)
            failed = None
        try:
            act(pid)
            succeeded = True
        except UbError as error:
            failed = error
    if failed is None:
        return
    if not succeeded:
        raise failed
    print_error(failed)
