# SPDX-License-Identifier: GPL-2.0-only
"""Cases of programs under seccomp filters: boosted, and each filter obeyed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.guest.boost import booster
from tests.guest.grown import Share
from tests.guest.program import ACT, END, Program
from tests.guest.waiting import wait
from ubypass.device.uapi import Decline

__all__ = ["ACTIONS", "CASES", "DEADLY"]

#: What ``programs/filtered.c`` does in stage 1.
ACTIONS = (
    *("all", "allow", "errno", "errno0", "trap", "trace", "log", "notify"),
    *("address", "tracer"),
)
#: The same, and nothing goes on after that.
DEADLY = ("kill", "killthread")

#: Calls that each must dispatch from when the filter has something to object.
_CALLS = 1000


def _filtered(kind: str) -> dict[str, Any]:
    """The same program natively and boosted; what share of its calls is dispatched
    while the filter allows them, and how many are once it does not allow all.
    """
    with Program("filtered", kind) as program:
        wait(lambda: program.is_warm)
        program.stage(ACT)
        acted = wait(lambda: program.has_acted or program.ended)
        program.stage(END)
        wait(lambda: program.ended)
        native = {"acted": acted, **program.outcome()}
    with booster() as boost, Program("filtered", kind) as program:
        target = boost.attach(program.pid)
        boost.wait_boosted(target)
        share = Share(target)
        boost.wait(share.is_large)
        boost.mark()
        program.stage(ACT)
        acted = boost.wait(lambda: program.has_acted or program.ended)
        goes_on = boost.wait(lambda: program.ended or boost.gained(_CALLS))
        program.stage(END)
        boost.wait(lambda: program.ended)
        boosted = {"acted": acted, **program.outcome()}
        boost.detach_all()
        summaries = boost.summaries()
    return {
        "native": native,
        "boosted": boosted,
        "share": share.last,
        "goes_on": goes_on,
        "summaries": summaries,
    }


def _strict() -> dict[str, Any]:
    """A program in strict mode: native, and it is said why."""
    with Program("filtered", "strict") as program:
        wait(lambda: program.is_warm)
        native = _end(program, wait)
    with booster() as boost, Program("filtered", "strict") as program:
        wait(lambda: program.is_warm)
        target = boost.attach(program.pid)
        boost.wait(lambda: target.declined_for is Decline.SECCOMP)
        boosted = _end(program, boost.wait)
        boost.detach_all()
        summaries = boost.summaries()
    return {"native": native, "boosted": boosted, "summaries": summaries}


def _end(program: Program, waiter: Callable[..., bool]) -> dict[str, object]:
    program.stage(ACT)
    acted = waiter(lambda: program.has_acted)
    program.stage(END)
    waiter(lambda: program.ended)
    return {"acted": acted, **program.outcome()}


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "filtered-strict": _strict,
    **{f"filtered-{kind}": partial(_filtered, kind) for kind in (*ACTIONS, *DEADLY)},
}
