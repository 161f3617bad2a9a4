# SPDX-License-Identifier: GPL-2.0-only
"""Dispatched calls that wait, and signals that interrupt them."""

from __future__ import annotations

from typing import Any

from tests.guest.boost import booster
from tests.guest.grown import Share
from tests.guest.program import ACT, END, Program
from tests.guest.waiting import wait

__all__ = ["CASES"]

#: Calls over which the share is looked at; each tenth one sleeps and ends its run.
_CALLS = 3000
_SHARE = 0.75


def _restarts() -> dict[str, Any]:
    """The same waits natively and boosted; of how many a dispatch was seen."""
    with Program("restarts") as program:
        wait(lambda: program.is_warm)
        program.stage(ACT)
        wait(lambda: program.has_acted)
        program.stage(END)
        wait(lambda: program.ended)
        native = {**program.outcome(), "elsewhere": _elsewhere(program)}
    with booster() as boost, Program("restarts") as program:
        wait(lambda: program.is_warm)
        target = boost.attach(program.pid)
        boost.wait_boosted(target)
        share = Share(target, _CALLS, _SHARE)
        grown = boost.wait(share.is_large)
        program.stage(ACT)
        boost.wait(lambda: program.has_acted)
        program.stage(END)
        boost.wait(lambda: program.ended)
        boosted = {**program.outcome(), "elsewhere": _elsewhere(program)}
        boost.detach_all()
        summaries = boost.summaries()
    return {
        "native": native,
        "boosted": boosted,
        "grown": grown,
        "summaries": summaries,
    }


def _elsewhere(program: Program) -> list[int]:
    """Waits during which the kernel showed the address of another call, and all."""
    for line in program.said():
        words = line.split()
        if words[0] == "elsewhere":
            return [int(words[1]), int(words[3])]
    return []


CASES = {"restarts": _restarts}
