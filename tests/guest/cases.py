# SPDX-License-Identifier: GPL-2.0-only
"""The cases that follow one pattern: the same program natively and boosted.

Each boosted run is at stage 1 only once the program is dispatching, so whatever the
program then does, it does to a boosted process.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.guest.boost import Booster, booster
from tests.guest.command import regions
from tests.guest.program import ACT, END, PROGRAMS, Program
from tests.guest.waiting import wait

__all__ = ["DATA_FILE", "TWIN_CASES", "Twin", "run_twin"]

#: Made by the runner, on tmpfs.
DATA_FILE = "/dev/shm/ub-test-data"

Waiter = Callable[[Callable[[], bool]], bool]


@dataclass(frozen=True, slots=True)
class Twin:
    """``commands`` start together; ``hold`` seconds pass in stage 1 at least.

    ``acts``: the programs say when stage 1 is done. ``signal``: sent in stage 1, once
    they are in the midst of it. ``ends``: whether stage 2 ends them (else the signal
    must). ``after``: calls that each must dispatch once stage 1 is done. ``trusted``:
    boosted as trusted programs.
    """

    commands: tuple[tuple[str, ...], ...]
    hold: float = 0.3
    acts: bool = True
    signal: int = 0
    ends: bool = True
    after: int = 0
    trusted: bool = False


TWIN_CASES: dict[str, Twin] = {
    **{
        f"fault-{kind}": Twin((("fault", kind),), after=1000)
        for kind in ("read", "write", "kernel", "noncanonical", "null", "divide")
    },
    **{
        f"trusted-fault-{kind}": Twin((("fault", kind),), after=1000, trusted=True)
        for kind in ("read", "kernel", "noncanonical", "null")
    },
    "trusted-threads": Twin(
        (("spin", DATA_FILE, "4"),), hold=1.0, acts=False, after=1000, trusted=True
    ),
    "signal-storm": Twin((("storm",),), after=1000),
    **{f"remap-{kind}": Twin((("remap", kind),)) for kind in ("forbid", "unmap")},
    "remap-rewrite": Twin((("remap", "rewrite"),), hold=1.0),
    "remap-replace": Twin((("remap", "replace"),)),
    "fork-exec": Twin((("forkexec",),), hold=1.0),
    "seccomp-own": Twin((("seccomp", "own"),)),
    "seccomp-other": Twin((("seccomp", "other"),)),
    "seccomp-other-filtered": Twin(
        (("filter", "--look", str(PROGRAMS / "seccomp"), "other"),),
    ),
    "watch-own": Twin((("watch", "own"),), hold=1.0),
    "watch-trap": Twin((("watch", "trap"),), hold=1.0),
    "watch-other": Twin((("watch", "other"),), hold=2.0),
    "user-time": Twin((("usertime",),), hold=0.0),
    "two-processes": Twin(
        (("spin", DATA_FILE), ("spin", DATA_FILE)), hold=1.0, acts=False, after=1000
    ),
    "four-threads": Twin((("spin", DATA_FILE, "4"),), hold=1.0, acts=False, after=1000),
    "endless-handled": Twin((("endless",),), signal=signal.SIGUSR1, after=1000),
    "endless-killed": Twin(
        (("endless",),), signal=signal.SIGKILL, acts=False, ends=False
    ),
    "endless-terminated": Twin(
        (("endless",),), signal=signal.SIGTERM, acts=False, ends=False
    ),
}


def run_twin(twin: Twin) -> dict[str, Any]:
    """Outcomes of both runs, and the engine's figures of the second."""
    with start(twin.commands) as programs:
        wait(lambda: all(program.is_warm for program in programs))
        native = _play(twin, programs, wait, None)
    with booster() as boost, start(twin.commands) as programs:
        # One that a launcher has started is attached once it is itself.
        wait(lambda: all(program.is_warm for program in programs))
        targets = [boost.attach(p.pid, trusted=twin.trusted) for p in programs]
        for target in targets:
            boost.wait_boosted(target)
        trusted = [bool(region["trusted"]) for region in regions()]
        boosted = _play(twin, programs, boost.wait, boost)
        boost.detach_all()
        summaries = boost.summaries()
    return {
        "native": native,
        "boosted": boosted,
        "summaries": summaries,
        "trusted_regions": trusted,
    }


@contextlib.contextmanager
def start(commands: Sequence[tuple[str, ...]]) -> Iterator[list[Program]]:
    """Run programs side by side; none outlives the block."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Program(*command)) for command in commands]


def _play(
    twin: Twin, programs: list[Program], waiter: Waiter, boost: Booster | None
) -> dict[str, Any]:
    """Take programs through the stages; what they showed."""
    for program in programs:
        program.stage(ACT)
    until = time.monotonic() + twin.hold
    waiter(lambda: time.monotonic() >= until)
    if twin.signal:
        waiter(lambda: all(program.is_in_the_midst for program in programs))
        for program in programs:
            program.signal(twin.signal)
    acted = not twin.acts or waiter(
        lambda: all(program.has_acted for program in programs)
    )
    again = True
    if boost is not None and twin.after:
        boost.mark()
        again = boost.wait(lambda: boost.gained(twin.after))
    if twin.ends:
        for program in programs:
            program.stage(END)
    ended = waiter(lambda: all(program.ended for program in programs))
    return {
        "acted": acted,
        "boosted_again": again,
        "ended": ended,
        "programs": [program.outcome() for program in programs],
    }
