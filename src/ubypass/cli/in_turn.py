# SPDX-License-Identifier: GPL-2.0-only
"""The same for each of several processes, of which some may have ended meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ubypass.cli.failure import print_error
from ubypass.errors import UbError

__all__ = ["in_turn", "print_matches"]


def in_turn(pids: Iterable[int], act: Callable[[int], None]) -> bool:
    """Call ``act`` for each of ``pids``; print its errors, in order.

    True if no call fails. Raises the last ``UbError`` instead if none succeeds.
    """
    failed: UbError | None = None
    succeeded, good = False, True
    for pid in pids:
        if failed is not None:
            print_error(failed)
            failed = None
        try:
            act(pid)
            succeeded = True
        except UbError as error:
            failed, good = error, False
    if failed is not None:
        if not succeeded:
            raise failed
        print_error(failed)
    return good


def print_matches(version: int, found: Sequence[Mapping[str, Any]]) -> None:
    """Print what ``--json`` has for a word that matches several processes.

    ``found``: what it has for each of them that did not fail.
    """
    print(json.dumps({"version": version, "matches": found}, indent=1))
