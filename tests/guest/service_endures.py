# SPDX-License-Identifier: GPL-2.0-only
"""The service's daemon after a thousand reloads, and two hundred programs that came and
went under one of its rules, on the real module.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.guest.cases import start
from tests.guest.command import attached
from tests.guest.program import END, PROGRAMS
from tests.guest.served import CONFIG, SPIN, USER, boosted, daemon
from tests.guest.waiting import wait
from ubypass.service.place import ask_service

__all__ = ["BATCH", "PROCESSES", "RELOADS", "endures"]

RELOADS, BATCH = 1000, 100
PROCESSES, _AT_ONCE = 200, 10
# Long enough to be found, and for some to be boosted.
_SHORT = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64", "count=60000")


def endures() -> dict[str, Any]:
    """What the daemon holds before and after, and its CPU seconds for reloads."""
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
        start([SPIN]) as (program,),
    ):
        config = Path(directory, "config.toml")
        right = CONFIG.format(exe=PROGRAMS / "spin", user=USER)
        config.write_text(right)
        with daemon(config, Path(directory, "ub.prom")) as served:
            boosted(served)
            _come_and_go(_AT_ONCE)
            _reload(config, right, BATCH)
            before = _held(served.pid)
            known = _attachments(directory)
            spent = []
            for _ in range(RELOADS // BATCH):
                began = _cpu(served.pid)
                _reload(config, right, BATCH)
                spent.append(_cpu(served.pid) - began)
            statuses = _come_and_go(PROCESSES)
            only_one = wait(lambda: attached() == 1)
            after = _held(served.pid)
            came = _attachments(directory) - known
            alive = served.poll() is None
        program.stage(END)
        ended = wait(lambda: program.ended)
    return {
        "before": before,
        "after": after,
        "spent": spent,
        "statuses": statuses,
        "only_one": only_one,
        "came": came,
        "alive": alive,
        "ended": ended,
    }


def _reload(config: Path, right: str, times: int) -> None:
    """Each time with another rule, that no program has."""
    for number in range(times):
        config.write_text(f'{right}[[rule]]\nname = "n{number}"\nexe = "/n{number}"\n')
        ask_service({"ask": "service-reload"})


def _come_and_go(count: int) -> list[int]:
    """Programs of a rule, some at a time; their exit statuses."""
    words = ["setpriv", f"--reuid={USER}", "--clear-groups", *_SHORT]
    found: list[int] = []
    while len(found) < count:
        some = [
            subprocess.Popen(words, stderr=subprocess.DEVNULL)
            for _ in range(min(_AT_ONCE, count - len(found)))
        ]
        found += [each.wait() for each in some]
    return found


def _attachments(directory: str) -> int:
    """How many times the journal says that a program was attached."""
    return Path(directory, "journal").read_text().count("event=attached ")


def _held(pid: int) -> dict[str, int]:
    """Open files and threads of a process, and its memory in kB."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    words = {
        name: value.strip() for name, _, value in (x.partition(":") for x in status)
    }
    return {
        "files": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(words["Threads"]),
        "kilobytes": int(words["VmRSS"].split()[0]),
    }


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
