# SPDX-License-Identifier: GPL-2.0-only
"""Limits of the service's configuration in the guest, reached: regions of a process,
the daemon's CPU time, its memory.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.guest.cases import DATA_FILE, start
from tests.guest.command import attached, regions, run_ub
from tests.guest.program import END, PROGRAMS, Program
from tests.guest.served import CONFIG, SPIN, USER, boosted, copying, daemon
from tests.guest.waiting import wait
from ubypass.engine.control import ask_all
from ubypass.service.place import ask_service

__all__ = ["SECONDS", "SHARE", "cpu", "memory", "number"]

_LOOPS = ("loops", DATA_FILE)
_LOOKS, _LOOK = 100, 0.05
#: Of one CPU, in percent, and the seconds in which it is watched: as many as the daemon
#: averages over.
SHARE, SECONDS = 2, 60.0
_SHORT = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64", "count=20000")
#: ``ub`` with as much memory as it may have, and that of Python besides.
_HEAVY = (
    *(sys.executable, "-c"),
    "import runpy; ballast = b'x' * (64 << 20);"
    "runpy.run_module('ubypass.cli.main', run_name='__main__')",
)
_TICKS = os.sysconf("SC_CLK_TCK")


def _config(directory: str, **limits: int) -> Path:
    """The configuration with other limits, as a file."""
    text = CONFIG.format(exe=PROGRAMS / "*", user=USER)
    for name, value in limits.items():
        text = re.sub(rf"^{name} = .*\n", "", text, flags=re.MULTILINE)
        text = text.replace("[limits]\n", f"[limits]\n{name} = {value}\n")
    config = Path(directory, "config.toml")
    config.write_text(text)
    return config


def number() -> dict[str, Any]:
    """A process with three hot loops: with one region, and after a reload with more."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        config = _config(directory, regions=1)
        with daemon(config, Path(directory, "ub.prom")) as served:
            with start([_LOOPS]) as (program,):
                boosted(served)
                reached = wait(lambda: "limit of 1 regions" in _journal(directory))
                found["reached"] = reached
                found["limited"] = _most(lambda: len(regions()))
                found["limited_outcome"] = _end(program)
            _config(directory, regions=8)
            ask_service({"ask": "service-reload"})
            with start([_LOOPS]) as (program,):
                found["unlimited"] = wait(lambda: len(regions()) > 1)
                found["outcome"] = _end(program)
        found["journal"] = _journal(directory).splitlines()
    return found


def cpu() -> dict[str, Any]:
    """Programs of a rule come and go all the time; the daemon may do much, then little.

    One that is boosted before stays so. While the daemon rests it is asked for a pause.
    """
    found: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
        start([SPIN]) as (program,),
    ):
        config = _config(directory)
        with daemon(config, Path(directory, "ub.prom")) as served:
            boosted(served)
            found["much"] = _busy(served.pid)
            _config(directory, cpu_percent=SHARE)
            ask_service({"ask": "service-reload"})
            # What it may spend at once is spent.
            wait(lambda: _throttled() > 1)
            before, rested = _dispatched(program.pid), _throttled()
            found["little"] = _busy(served.pid)
            found["rested"] = _throttled() - rested
            found["dispatched"] = _dispatched(program.pid) - before
            began = time.monotonic()
            found["pause"] = run_ub("service", "pause")
            found["seconds_to_pause"] = time.monotonic() - began
            found["attached_then"] = attached()
            ask_service({"ask": "service-resume"})
        found["outcome"] = _end(program)
    return found


def memory() -> dict[str, Any]:
    """The daemon has more memory than it may: nothing is attached, until it may."""
    found: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
        start([SPIN]) as (program,),
        copying(),
    ):
        config = _config(directory, memory_mib=64)
        textfile = Path(directory, "ub.prom")
        with daemon(config, textfile, command=_HEAVY) as served:
            found["reached"] = wait(lambda: "event=limit" in _journal(directory))
            found["attached"] = _most(attached)
            found["status"] = ask_service({"ask": "service-status"})
            _config(directory, memory_mib=4096)
            ask_service({"ask": "service-reload"})
            boosted(served)
            found["attached_then"] = wait(lambda: attached() == 2)
        found["journal"] = _journal(directory).splitlines()
        found["outcome"] = _end(program)
    return found


def _busy(pid: int) -> float:
    """CPU time of the daemon while programs of a rule come and go, by the second."""
    words = ["setpriv", f"--reuid={USER}", "--clear-groups", *_SHORT]
    began, used = time.monotonic(), _cpu(pid)
    while time.monotonic() - began < SECONDS:
        subprocess.run(words, stderr=subprocess.DEVNULL, check=True)
    return (_cpu(pid) - used) / (time.monotonic() - began)


def _most(count: Callable[[], int]) -> int:
    """The largest of many looks, one after another."""
    found = 0
    for _ in range(_LOOKS):
        found = max(found, count())
        time.sleep(_LOOK)
    return found


def _dispatched(pid: int) -> int:
    """Calls of a process."""
    answers, _ = ask_all({"ask": "stats"})
    counts = [
        process["dispatched"]
        for answer in answers
        for process in answer["processes"]
        if process["pid"] == pid
    ]
    return int(counts[0])


def _throttled() -> float:
    status = ask_service({"ask": "service-status"})
    return float(status["throttled_seconds"])


def _journal(directory: str) -> str:
    return Path(directory, "journal").read_text()


def _end(program: Program) -> dict[str, object]:
    program.stage(END)
    wait(lambda: program.ended)
    return program.outcome()


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
