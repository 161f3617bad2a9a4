# SPDX-License-Identifier: GPL-2.0-only
"""Every system call of the module's list from regions, with all kinds of arguments.

``programs/everycall.c`` makes one row of its table at a time. A row is compared with
what it gives natively. It is dispatched if most calls of the loop are meanwhile: the
loop makes one more call in each turn, and would be native behind a native one.
"""

from __future__ import annotations

from typing import Any

from tests.guest.boost import Booster, booster
from tests.guest.grown import Share, call_numbers
from tests.guest.program import END, Program
from tests.guest.waiting import wait
from ubypass.abi import ExitReason
from ubypass.engine.target import Target

__all__ = ["CASES", "DISPATCHED", "ENDED"]

#: Of the calls of a row's turns, more than there would be without the row's own call.
DISPATCHED = 0.75

#: A call that sleeps ends its run, for a switch leaves work: of those dispatched, how
#: many do, if the other call in each turn is not among them.
ENDED = 0.9

#: Turns of each row, so many that one of them cannot be the only one that is native.
_TURNS = 200
#: Calls over which a row is looked at, and seconds for which it is.
_CALLS = 300
_SECONDS = 90.0


def _every_call() -> dict[str, Any]:
    """The table natively and boosted; of each row, whether it was dispatched."""
    with Program("everycall") as program:
        wait(lambda: program.is_warm)
        for row in range(1, program.choices + 1):
            program.choose(row)
            wait(lambda row=row: _is_made(program, row))
        program.stage(END)
        wait(lambda: program.ended)
        native = program.outcome()
    with booster() as boost, Program("everycall") as program:
        wait(lambda: program.is_warm)
        target = boost.attach(program.pid)
        boost.wait_boosted(target)
        share = Share(target)
        grown = boost.wait(share.is_large)
        looks = [
            _look(boost, target, program, row) for row in range(1, program.choices + 1)
        ]
        numbers = call_numbers(target)
        program.stage(END)
        boost.wait(lambda: program.ended)
        boosted = program.outcome()
        boost.detach_all()
        summaries = boost.summaries()
    return {
        "native": native,
        "boosted": boosted,
        "grown": grown,
        "looks": looks,
        "numbers": numbers,
        "summaries": summaries,
    }


def _look(
    boost: Booster, target: Target, program: Program, row: int
) -> dict[str, float]:
    """What became of the calls of this row, over the last ones; until enough of them
    were dispatched, or ended their runs behind them.
    """
    program.choose(row)
    boost.wait(lambda: _is_made(program, row))
    look = _Look(target)
    boost.wait(look.is_good, _SECONDS)
    return {"share": look.share.last, "ended": look.ended}


class _Look:
    """``share`` of dispatched calls, and ``ended``: how many runs ended behind a
    dispatched call, for each call dispatched.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.share = Share(target, _CALLS, DISPATCHED)
        self._before = self._ends()
        self.ended = 0.0

    def _ends(self) -> tuple[int, int]:
        stats = self._target.refresh_stats()
        return stats.exits.get(ExitReason.DISPATCHED, 0), stats.dispatched

    def is_good(self) -> bool:
        large = self.share.is_large()
        (ends, dispatched), (ends_before, before) = self._ends(), self._before
        if dispatched - before < _CALLS:
            return False
        self._before = ends, dispatched
        self.ended = (ends - ends_before) / (dispatched - before)
        return large or self.ended >= ENDED


def _is_made(program: Program, row: int) -> bool:
    chosen, turns = program.turns
    return chosen == row and turns >= _TURNS


CASES = {"every-call": _every_call}
