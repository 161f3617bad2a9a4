# SPDX-License-Identifier: GPL-2.0-only
"""A region is given up while a thread sleeps in one of its dispatched calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.guest.boost import booster
from tests.guest.cases import start
from tests.guest.command import regions
from tests.guest.program import ACT, END, Program
from tests.guest.waiting import wait

__all__ = ["asleep"]


def asleep() -> dict[str, Any]:
    """Detach such a process; let it go on, and see its region go away."""
    with booster() as boost, start([("asleep",)]) as (program,):
        boost.wait_boosted(boost.attach(program.pid))
        program.stage(ACT)
        slept = boost.wait(lambda: program.has_acted and _sleeps(program))
        before = regions()
        boost.detach_all()
        # Whatever is to be freed is freed while that thread sleeps on.
        wait(lambda: not regions(), seconds=2.0)
        meanwhile = regions()
        program.stage(END)
        ended = wait(lambda: program.ended)
        freed = wait(lambda: not regions())
        outcome = program.outcome()
    return {
        "slept": slept,
        "before": before,
        "meanwhile": meanwhile,
        "ended": ended,
        "freed": freed,
        "outcome": outcome,
    }


def _sleeps(program: Program) -> bool:
    stat = Path(f"/proc/{program.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "S"
