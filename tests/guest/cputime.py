# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what measures user and system time together, natively and boosted.

Prints a line of JSON: ``native`` and ``boosted``, by what ``programs/cputime.c`` names,
in ns; and ``share``, of the calls that were dispatched while it measured. Instructions
are the clock, so that nothing else on the machine is in the figures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.guest.boost import booster
from tests.guest.grown import Share
from tests.guest.program import ACT, END, Program
from tests.guest.waiting import wait

_CALLS = 5000  # over which the share is looked at


def main(path: str) -> int:
    name = Path(path).name
    with Program(name) as program:
        wait(lambda: program.is_warm)
        native = _measure(program, wait)
    with booster() as boost, Program(name) as program:
        wait(lambda: program.is_warm)
        target = boost.attach(program.pid)
        boost.wait_boosted(target)
        boost.wait(Share(target, _CALLS).is_large)
        before = target.refresh_stats()
        boosted = _measure(program, boost.wait)
        after = target.refresh_stats()
        boost.detach_all()
    dispatched = after.dispatched - before.dispatched
    calls = dispatched + after.native - before.native
    print(
        json.dumps(
            {
                "native": native,
                "boosted": boosted,
                "share": dispatched / calls,
            }
        )
    )
    return 0


def _measure(program: Program, waiter: Callable[..., bool]) -> dict[str, int]:
    program.stage(ACT)
    waiter(lambda: program.has_acted or program.ended)
    program.stage(END)
    waiter(lambda: program.ended)
    output = program.outcome()["output"]
    assert isinstance(output, list)
    return {name: int(value) for name, value in map(str.split, output)}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
