# SPDX-License-Identifier: GPL-2.0-only
"""Memory barriers of one thread against another one in a boosted loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.guest.boost import booster
from tests.guest.command import regions
from tests.guest.grown import Share
from tests.guest.program import ACT, END, Program
from tests.guest.waiting import wait
from ubypass.device.uapi import Decline

__all__ = ["CASES"]

#: ``UB_SUSPENDED`` in ``kernel/region.h``.
_SUSPENDED = 2
_CALLS = 5000  # over which the share is looked at
_SECONDS = 10.0  # until the regions must be suspended; the module looks each 0.1 s


def _membarrier() -> dict[str, Any]:
    """All kinds natively and boosted, and what becomes of the regions."""
    with Program("membarrier") as program:
        wait(lambda: program.is_warm)
        acted = _act(program, wait)
        program.choose(1)
        native = {"acted": acted, **_end(program, wait)}
    with booster() as boost, Program("membarrier") as program:
        wait(lambda: program.is_warm)
        target = boost.attach(program.pid)
        boost.wait_boosted(target)
        share = Share(target, _CALLS)
        grown = boost.wait(share.is_large)
        acted = _act(program, boost.wait)
        share = Share(target, _CALLS)
        goes_on = boost.wait(share.is_large)
        before = [region["dead"] for region in regions()]
        program.choose(1)
        # The engine has no part in this.
        registered = wait(lambda: program.turns[0] >= 1)
        suspended = wait(_are_suspended, _SECONDS)
        states = [region["dead"] for region in regions()]
        dispatched = target.refresh_stats().dispatched
        declined = boost.wait(lambda: target.declined_for is Decline.RSEQ)
        boosted = {"acted": acted, **_end(program, boost.wait)}
        stats = target.refresh_stats()
        boost.detach_all()
    return {
        "native": native,
        "boosted": boosted,
        "grown": grown,
        "goes_on": goes_on,
        "before": before,
        "registered": registered,
        "suspended": suspended,
        "states": states,
        "declined": declined,
        "declines": stats.declines.get(Decline.RSEQ, 0),
        "dispatched_later": stats.dispatched - dispatched,
    }


def _are_suspended() -> bool:
    """Whether there are regions, and none of them may be entered."""
    states = [region["dead"] for region in regions()]
    return bool(states) and set(states) == {_SUSPENDED}


def _act(program: Program, waiter: Callable[..., bool]) -> bool:
    program.stage(ACT)
    return waiter(lambda: program.has_acted)


def _end(program: Program, waiter: Callable[..., bool]) -> dict[str, object]:
    """Let the barriers for rseq come to their end as well."""
    done = waiter(lambda: program.turns[0] == 2)
    program.stage(END)
    waiter(lambda: program.ended)
    return {"done": done, **program.outcome()}


CASES = {"membarrier": _membarrier}
