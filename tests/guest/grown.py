# SPDX-License-Identifier: GPL-2.0-only
"""Cases of programs that are dispatched as a whole once their regions have grown: one
instruction makes several system calls in turn, registers hold no addresses, calls leave
task work, or functions do not return to their callers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tests.guest.boost import Booster, booster
from tests.guest.cases import DATA_FILE
from tests.guest.libc import NEWER
from tests.guest.program import END, Program
from tests.guest.waiting import wait
from ubypass.engine.target import Target

__all__ = ["CASES", "PART", "SHARE", "Share", "call_numbers"]

#: Of all calls, those that are to be dispatched once the region has grown.
SHARE = 0.9

#: The same of ``turns.c``: of ten calls one begins a run of four, five have long gaps.
PART = 0.35

#: Calls over which the share is looked at.
_CALLS = 20_000


def _grown(
    name: str,
    *arguments: str,
    least: float = SHARE,
    prefix: Sequence[str] = (),
) -> dict[str, Any]:
    """The same program natively and boosted, and what share of its calls came to be
    dispatched; it is asked for until it is large enough, or nothing moves any more.
    """
    start = partial(Program, name, *arguments, prefix=prefix)
    with start() as program:
        wait(lambda: program.is_warm)
        native = _end(program, None)
    with booster() as boost, start() as program:
        target = boost.attach(program.pid)
        boost.wait_boosted(target)
        share = Share(target, enough=least)
        grown = boost.wait(share.is_large)
        numbers = call_numbers(target)
        learned = [bin(mask) for mask in target.profile.nonpointers.values()]
        sites = [
            (*key, site.verdict.name) for key, site in target.refresh_sites().items()
        ]
        boosted = _end(program, boost)
        boost.detach_all()
        summaries = boost.summaries()
    return {
        "native": native,
        "boosted": boosted,
        "learned": learned,
        "grown": grown,
        "share": share.last,
        "numbers": numbers,
        "sites": sites,
        "summaries": summaries,
    }


def call_numbers(target: Target) -> list[int]:
    """The calls that its live regions dispatch."""
    loaded = [group.loaded for group in target.groups if group.loaded is not None]
    return sorted({call.nr for each in loaded for call in each.dispatches})


class Share:
    """The share of dispatched calls, over so many calls at a time, from now on."""

    def __init__(
        self, target: Target, calls: int = _CALLS, enough: float = SHARE
    ) -> None:
        self._target = target
        self._calls = calls
        self._enough = enough
        stats = target.refresh_stats()
        self._before = stats.native, stats.dispatched
        self.last = 0.0

    def is_large(self) -> bool:
        """Whether it was large enough, over the last calls."""
        stats = self._target.refresh_stats()
        native, dispatched = (
            now - before
            for now, before in zip(
                (stats.native, stats.dispatched), self._before, strict=True
            )
        )
        if native + dispatched < self._calls:
            return False
        self._before = (stats.native, stats.dispatched)
        self.last = dispatched / (native + dispatched)
        return self.last >= self._enough


def _end(program: Program, boost: Booster | None) -> dict[str, object]:
    program.stage(END)
    (boost.wait if boost else wait)(lambda: program.ended)
    return program.outcome()


#: What is linked with another C library is compiled elsewhere.
CASES = {
    "one-site": partial(_grown, "onesite", DATA_FILE),
    "one-site-musl": partial(_grown, "onesite-musl", DATA_FILE),
    "one-address": partial(_grown, "turns", least=PART, prefix=NEWER),
    "biased": partial(_grown, "biased", DATA_FILE),
    "closes": partial(_grown, "closes", DATA_FILE),
    "closes-vector": partial(_grown, "closes", DATA_FILE, "vector"),
    "stack-switch": partial(_grown, "stacks", DATA_FILE, "switch"),
    "pushed-return": partial(_grown, "stacks", DATA_FILE, "pushed"),
    "get-pc": partial(_grown, "stacks", DATA_FILE, "getpc"),
}
