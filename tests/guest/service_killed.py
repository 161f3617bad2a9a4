# SPDX-License-Identifier: GPL-2.0-only
"""The service's daemon killed at random moments, under programs that come and go."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.guest.cases import DATA_FILE, start
from tests.guest.command import arena_used, attached, dispatched, regions
from tests.guest.program import ACT, END, PROGRAMS, Program
from tests.guest.served import CONFIG, SPIN, USER, boosted, copying, daemon, native
from tests.guest.waiting import wait
from ubypass.engine.control import ask_all

__all__ = ["killed"]

_ROUNDS = 4
_SHORT = ("calls", DATA_FILE, "100")
_STEP = 0.05  # seconds


def killed() -> dict[str, Any]:
    """kill -9 while the daemon starts, attaches, builds, loads, or has boosted.

    In the first round and in the last one all is boosted before. In each round a
    program of a rule ends as well.
    """
    moments = random.Random(18)
    rounds: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
        start([SPIN, SPIN]) as programs,
        copying() as copy,
    ):
        config = Path(directory, "config.toml")
        config.write_text(CONFIG.format(exe=PROGRAMS / "*", user=USER))
        took = 0.0
        for number in range(_ROUNDS):
            began = time.monotonic()
            with (
                start([_SHORT]) as (short,),
                daemon(config, Path(directory, "ub.prom")) as served,
            ):
                if number in (0, _ROUNDS - 1):
                    boosted(served)
                    took = took or time.monotonic() - began
                else:
                    _go_on(moments.uniform(0.4 * took, 1.2 * took))
                short.stage(ACT)
                at_death = {"attached": attached(), "dispatched": dispatched()}
                served.kill()
                status = served.wait()
                gone = wait(lambda: attached() == 0 and arena_used() == 0)
                outcome = short.outcome() if _ends(short) else None
            rounds.append(
                {
                    "after": time.monotonic() - began,
                    **at_death,
                    "status": status,
                    "nothing_left": gone and regions() == [],
                    "short": outcome,
                    "alive": not any(program.ended for program in programs)
                    and copy.poll() is None,
                }
            )
        for program in programs:
            program.stage(END)
        ended = wait(lambda: all(program.ended for program in programs))
        outcomes = [program.outcome() for program in programs]
        journal = Path(directory, "journal").read_text().splitlines()
    with start([_SHORT]) as (short,):
        short.stage(ACT)
        _ends(short)
        native_short = short.outcome()
    return {
        "rounds": rounds,
        "ended": ended,
        "outcomes": outcomes,
        "native": native(),
        "native_short": native_short,
        "journal": journal,
        # Who asks removes what dead daemons have left.
        "answers": ask_all({"ask": "stats"}),
        "sockets": [path.name for path in Path("/run/ubypass").glob("*.sock")],
    }


def _ends(program: Program) -> bool:
    """Whether it does what its second stage is about, and ends."""
    acted = wait(lambda: program.has_acted)
    program.stage(END)
    return acted and wait(lambda: program.ended)


def _go_on(seconds: float) -> None:
    """Let the guest run for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(_STEP)
