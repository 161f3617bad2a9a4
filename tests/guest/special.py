# SPDX-License-Identifier: GPL-2.0-only
"""Cases with a course of their own: what happens to a boosted program from outside."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.guest.boost import NotBoosted, booster
from tests.guest.cases import DATA_FILE, start
from tests.guest.command import UB, attached, dispatched, run_ub
from tests.guest.program import ACT, END, Program
from tests.guest.waiting import HANG, wait

__all__ = ["daemon_killed", "family", "reattach", "rmmod", "strace"]

_SPIN = ("spin", DATA_FILE)


def daemon_killed() -> dict[str, Any]:
    """kill -9 of ``ub attach`` under a boosted program."""
    with start([_SPIN]) as (program,):
        with _daemon(program) as daemon:
            daemon.kill()
            daemon.wait()
        gone = wait(lambda: attached() == 0 and dispatched() == 0)
        alive = not program.ended
        # It must be possible to begin anew.
        with _daemon(program) as daemon:
            again = dispatched()
            daemon.send_signal(signal.SIGINT)
            stopped = daemon.wait(HANG)
        outcome = _finish(program)
    return {
        "regions_gone": gone,
        "alive": alive,
        "dispatched_again": again,
        "stopped_with": stopped,
        "native": _native(_SPIN),
        "boosted": outcome,
    }


def rmmod() -> dict[str, Any]:
    """Unloading detaches a boosted program, and names who sleeps in a call."""
    with start([_SPIN]) as (program,):
        with _cat() as cat:
            with _daemon(program, cat.pid) as daemon:
                # It sleeps in a call that it enters now that it is attached.
                echoed = _echo(cat)
                refused = run_ub("module", "unload", "--seconds", "15")
                left = daemon.wait(HANG)
            went_on = not program.ended and _echo(cat)
        worked = run_ub("module", "unload")
        loaded = Path("/sys/module/ub").exists()
        missing = run_ub("attach", str(program.pid))
        outcome = _finish(program)
    back = run_ub("module", "load")
    with booster() as boost, start([_SPIN]) as (program,):
        boost.wait_boosted(boost.attach(program.pid))
    return {
        "cat": cat.pid,
        "echoed": echoed,
        "refused": refused,
        "left_with": left,
        "went_on": went_on,
        "worked": worked,
        "loaded_after": loaded,
        "attach_without_module": missing,
        "load_again": back,
        "native": _native(_SPIN),
        "boosted": outcome,
    }


def strace() -> dict[str, Any]:
    """A tracer that comes to a boosted loop sees each call of a known series."""
    count = 300
    log = Path("/dev/shm/ub-test-strace")
    with booster() as boost, start([("calls", DATA_FILE, str(count))]) as (program,):
        target = boost.attach(program.pid)
        boost.wait_boosted(target)
        tracer = subprocess.Popen(
            ["strace", "-e", "trace=pread64", "-o", str(log), "-p", str(program.pid)],
            stderr=subprocess.DEVNULL,
        )
        # One that has seized the program does not see its calls yet, natively either;
        # and it begins to see them before the first one is in its log.
        traced = boost.wait(lambda: _lines(log) > 0)
        during = target.refresh_stats().dispatched
        program.stage(ACT)
        acted = boost.wait(lambda: program.has_acted)
        leaked = target.refresh_stats().dispatched - during
        tracer.send_signal(signal.SIGINT)
        tracer.wait(HANG)
        outcome = _finish(program)
    offsets = re.findall(r"^pread64\(.*, (\d+)\) += \d+$", log.read_text(), re.M)
    log.unlink()
    series = [int(offset) for offset in offsets if int(offset) >= 5_000_000]
    return {
        "traced": traced,
        "acted": acted,
        "dispatched_while_traced": leaked,
        "seen": len(series),
        "in_order": series == sorted(set(series)),
        "boosted": outcome,
        "native": _native(("calls", DATA_FILE, str(count)), acts=True),
        "count": count,
    }


def reattach() -> dict[str, Any]:
    """Attach and detach 100 times; each tenth time once it is boosted anew.

    The other times it happens while the engine looks, builds or loads.
    """
    rounds, boosted = 100, 0
    with booster() as boost, start([_SPIN]) as (program,):
        for number in range(rounds):
            target = boost.attach(program.pid)
            if number % 10 == 0:
                boost.wait_boosted(target, 100)
                boosted += 1
            else:
                boost.wait(lambda: False, number / 1000)
            boost.detach_all()
        clean = attached() == 0 and dispatched() == 0
        outcome = _finish(program)
    return {
        "rounds": rounds,
        "times_boosted": boosted,
        "clean": clean,
        "native": _native(_SPIN),
        "boosted": outcome,
    }


def family() -> dict[str, Any]:
    """A master is attached; its workers, those to come included, are boosted."""
    with booster() as boost, start([("family", DATA_FILE)]) as (master,):
        boost.attach_family(master.pid)
        early = boost.wait(lambda: boost.busy(1000) >= 2)
        master.stage(ACT)
        late = boost.wait(lambda: boost.busy(1000) >= 3)
        master.stage(END)
        ended = boost.wait(lambda: master.ended)
        outcome = master.outcome()
        boost.detach_all()
        summaries = boost.summaries()
    with start([("family", DATA_FILE)]) as (master,):
        master.stage(ACT)
        wait(lambda: master.has_acted)
        native = _finish(master)
    return {
        "early": early,
        "late": late,
        "ended": ended,
        "boosted": outcome,
        "native": native,
        "summaries": summaries,
    }


@contextmanager
def _cat() -> Iterator[subprocess.Popen[bytes]]:
    """A program that sleeps in ``read``, until the end."""
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as cat:
        yield cat
        cat.communicate()


def _echo(cat: subprocess.Popen[bytes]) -> bool:
    assert cat.stdin
    assert cat.stdout
    cat.stdin.write(b"line\n")
    cat.stdin.flush()
    return cat.stdout.readline() == b"line\n"


@contextmanager
def _daemon(program: Program, *others: int) -> Iterator[subprocess.Popen[bytes]]:
    """``ub attach`` at work: the program is being dispatched.

    ``others``: numbers of processes that are attached as well.
    """
    # Otherwise the module ignores a process that has hardly run yet.
    options = ("--quiet", "--tune=grace_ms=0", "--tune=share_bits=0")
    daemon = subprocess.Popen(
        [*UB, "attach", *options, *map(str, (*others, program.pid))],
        stderr=subprocess.DEVNULL,
    )
    try:
        if not wait(lambda: dispatched() > 1000):
            raise NotBoosted(f"ub attach: {daemon.poll()}, {dispatched()} calls")
        yield daemon
    finally:
        daemon.kill()
        daemon.wait()


def _native(command: tuple[str, ...], *, acts: bool = False) -> dict[str, object]:
    """What the same program shows when nobody touches it.

    ``acts``: it says when it has done what the second stage is about.
    """
    with start([command]) as (program,):
        wait(lambda: program.is_warm)
        program.stage(ACT)
        if acts:
            wait(lambda: program.has_acted)
        return _finish(program)


def _finish(program: Program) -> dict[str, object]:
    program.stage(END)
    wait(lambda: program.ended)
    return program.outcome()


def _lines(log: Path) -> int:
    """Whole lines in there so far."""
    return log.read_text().count("\n") if log.exists() else 0
