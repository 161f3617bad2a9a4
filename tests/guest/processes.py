# SPDX-License-Identifier: GPL-2.0-only
"""Cases about processes: who is boosted, who is not and why, what is counted."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.guest.boost import booster
from tests.guest.cases import DATA_FILE, start
from tests.guest.command import UB, attached, dispatched, regions, run_ub
from tests.guest.program import ACT, END, PROGRAMS, Program
from tests.guest.waiting import wait
from ubypass.device import uapi
from ubypass.device.client import Device

__all__ = ["CASES"]

_TIMEOUT = 180.0  # seconds; an interpreter has to start first
_SPIN = ("spin", DATA_FILE)
_LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
_NUMBER = 6000  # of processes inside and outside
_DECOYS = 40
_DD_CALLS = 100_000
_MANY = 20_000  # calls


@contextlib.contextmanager
def _run(*options: str, before: Sequence[str] = ()) -> Iterator[tuple[list[str], Path]]:
    """Words that run a program under ``ub run``, and where its summary will be."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        summary = Path(directory, "summary.json")
        words = [*before, *UB, "run", "--summary-file", str(summary), *options, "--"]
        yield words, summary


def _processes(summary: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(summary.read_text())["processes"]
    return found


def namespace() -> dict[str, Any]:
    """``ub run --children`` in a PID namespace.

    There are decoys: outside with the numbers that its processes have inside, and
    inside with numbers that they have outside.
    """
    inside = (
        f"echo {_NUMBER + 1020} > {_LAST_PID}\n"
        f"for i in $(seq {_DECOYS}); do sleep 1000 & done\n"
        f"echo {_NUMBER} > {_LAST_PID}\n"
        'exec "$@"'
    )
    unshare = ["unshare", "-pf", "--kill-child", "--mount-proc", "sh", "-c", inside]
    with (
        contextlib.ExitStack() as stack,
        _run("--children", "-q", before=[*unshare, "sh"]) as (words, summary),
    ):
        _LAST_PID.write_text(str(_NUMBER))
        for _ in range(_DECOYS):
            decoy = stack.enter_context(subprocess.Popen(["sleep", "1000"]))
            stack.callback(decoy.kill)
        _LAST_PID.write_text(str(_NUMBER + 1000))
        with Program("family", DATA_FILE, prefix=words) as master:
            known = wait(lambda: attached() >= 3, _TIMEOUT)
            master.stage(ACT)
            late = wait(lambda: attached() >= 4, _TIMEOUT)
            wait(lambda: _busy() >= 3, _TIMEOUT)
            count = attached()
            outside = _numbers("family|exe")
            stats = run_ub("stats", "--json")
            master.stage(END)
            ended = wait(lambda: master.ended, _TIMEOUT)
            outcome = master.outcome()
        processes = _processes(summary)
    return {
        "known": known,
        "late": late,
        "count": count,
        "ended": ended,
        "outcome": outcome,
        "outside": outside,
        "stats": stats,
        "processes": processes,
    }


def _busy() -> int:
    """How many regions, one for each process here, have dispatched enough."""
    return sum(region["dispatched"] > _MANY for region in regions())


def _numbers(name: str) -> list[int]:
    """Process numbers, as seen from here, of those whose names match."""
    done = subprocess.run(["pgrep", "-x", name], capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def _forget_pages(pid: int) -> None:
    """Invalidate all of its memory at once, as tools that measure working sets do."""
    Path(f"/proc/{pid}/clear_refs").write_text("4")


def invalidated(flood: bool) -> dict[str, Any]:
    """All regions die at once; with ``flood`` while the event ring is full."""
    script = "while read n; do for i in $(seq $n); do (:); done; echo; done"
    with booster() as boost, start([_SPIN]) as (program,):
        target = boost.attach(program.pid)
        boost.wait_boosted(target)
        if flood:
            with subprocess.Popen(
                ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as shell:
                assert shell.stdin
                assert shell.stdout
                boost.attach_family(shell.pid)
                # Nobody reads events meanwhile.
                shell.stdin.write(b"400\n")
                shell.stdin.flush()
                shell.stdout.readline()
                _forget_pages(program.pid)
                shell.stdin.close()
        else:
            _forget_pages(program.pid)
        lost = target.refresh_stats().events_lost
        live = target.refresh_stats().regions
        loads = target.summary().loads
        boost.wait_boosted(target)
        program.stage(END)
        boost.wait(lambda: program.ended, _TIMEOUT)
        return {
            "lost": lost,
            "live": live,
            "loads": target.summary().loads - loads,
            "boosted": program.outcome(),
        }


def declined() -> dict[str, Any]:
    """A program with a timer on user time: said at once, by all that is asked."""
    with _run() as (words, summary):
        prefix = [*words, str(PROGRAMS / "timed")]
        with Program(*_SPIN, prefix=prefix) as program:
            told = wait(
                lambda: any("user time" in line for line in program.said()), _TIMEOUT
            )
            wait(lambda: False, 3.0)  # it is hot all the while
            stats = run_ub("stats", "--json")
            (process,) = json.loads("\n".join(stats["stdout"]))["processes"]
            everything = {
                "stats": run_ub("stats"),
                "stats_of_it": run_ub("stats", str(process["pid"])),
                "explain": run_ub("explain", str(process["pid"])),
            }
            program.stage(END)
            wait(lambda: program.ended, _TIMEOUT)
            said = program.said()
        processes = _processes(summary)
    return {
        "told": told,
        "said": said,
        "process": process,
        "processes": processes,
        **everything,
    }


def whole_life() -> dict[str, Any]:
    """What a short program did until its very end."""
    dd = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={_DD_CALLS // 2}"]
    found = {}
    # Both say it, since what another one has tuned stays so.
    for case, grace in (("counted", 0), ("left alone", 300)):
        with _run(f"--tune=grace_ms={grace}") as (words, summary):
            done = subprocess.run([*words, *dd], capture_output=True, text=True)
            processes = _processes(summary)
        found[case] = {
            "status": done.returncode,
            "said": done.stderr,
            "processes": processes,
        }
    return found


def daemon() -> dict[str, Any]:
    """A command that forks twice and is gone; what it leaves behind is hot."""
    script = '("$@" & ) ; exit 7'
    with _run("--children") as (words, summary):
        with Program(*_SPIN, prefix=[*words, "sh", "-c", script, "sh"]) as program:
            told = wait(
                lambda: any("has ended" in line for line in program.said()), _TIMEOUT
            )
            boosted = wait(lambda: dispatched() > _MANY, _TIMEOUT)
            still = not program.ended
            program.stage(END)
            ended = wait(lambda: program.ended, _TIMEOUT)
            outcome, said = program.outcome(), program.said()
        processes = _processes(summary)
    return {
        "told": told,
        "boosted": boosted,
        "still": still,
        "ended": ended,
        "outcome": outcome,
        "said": said,
        "processes": processes,
    }


def capability() -> dict[str, Any]:
    """Root without the capability, and a descriptor that was passed on."""
    weak = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    with Device() as device:
        refused = subprocess.run(
            [*weak, *UB, "run", "--", "true"], capture_output=True, text=True
        )
        use = (
            "import fcntl, os, sys\n"
            "fd = int(sys.argv[1])\n"
            "for name, do in (\n"
            f"    ('ioctl', lambda: fcntl.ioctl(fd, {uapi.IOC_INFO}, bytes(1024))),\n"
            "    ('read', lambda: os.read(fd, 4096)),\n"
            "):\n"
            "    try:\n"
            "        do()\n"
            "        print(name, 0)\n"
            "    except OSError as error:\n"
            "        print(name, error.errno)\n"
        )

        def passed_on(*prefix: str) -> list[str]:
            fd = device.fileno()
            done = subprocess.run(
                [*prefix, UB[0], "-c", use, str(fd)],
                pass_fds=[fd],
                capture_output=True,
                text=True,
            )
            return [*done.stdout.splitlines(), *done.stderr.splitlines()]

        return {
            "refused": [refused.returncode, refused.stdout, refused.stderr],
            "to_the_weak": passed_on(*weak),
            "to_another": passed_on("setpriv", f"--reuid={os.getuid() + 1000}"),
            "to_its_like": passed_on(),
        }


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "namespace": namespace,
    "invalidated": partial(invalidated, False),
    "invalidated-unheard": partial(invalidated, True),
    "declined": declined,
    "whole-life": whole_life,
    "daemon": daemon,
    "capability": capability,
}
