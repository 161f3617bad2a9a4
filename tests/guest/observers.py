# SPDX-License-Identifier: GPL-2.0-only
"""Cases of those who look at a boosted process: /proc, and a debugger."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.guest.boost import Booster, booster
from tests.guest.cases import start
from tests.guest.grown import Share
from tests.guest.program import ACT, END, Program
from tests.guest.waiting import wait

__all__ = ["CASES", "FILES"]

FILES = ("syscall", "stack", "status", "stat", "wchan")
_LOOKS = 150
_CALLS = 5000  # over which the share is looked at
_AFTER = 2000  # calls to be dispatched once the debugger has gone

#: What the debugger is asked; one word and one value a line.
_REGISTERS = ("rip", "rsp", "rbp", "rbx", "r8", "r9", "r10", "r12", "r15")


def _proc() -> dict[str, Any]:
    """What the files say of a process that runs, and of one that sleeps in a call."""
    with start([("core", "fault")]) as (program,):
        wait(lambda: program.is_warm)
        running = {"native": _look_often(program, None)}
    with start([("asleep",)]) as (program,):
        wait(lambda: program.is_warm)
        asleep = {"native": _look_asleep(program, None)}
    with booster() as boost, start([("core", "fault")]) as (program,):
        grown = _boost(boost, program)
        running["boosted"] = _look_often(program, boost)
    with booster() as boost, start([("asleep",)]) as (program,):
        boost.wait_boosted(boost.attach(program.pid))
        asleep["boosted"] = _look_asleep(program, boost)
    return {"running": running, "asleep": asleep, "grown": grown}


def _boost(boost: Booster, program: Program) -> bool:
    wait(lambda: program.is_warm)
    target = boost.attach(program.pid)
    boost.wait_boosted(target)
    return boost.wait(Share(target, _CALLS).is_large)


def _look(program: Program) -> dict[str, str]:
    home = Path(f"/proc/{program.pid}")
    return {name: (home / name).read_text().strip() for name in FILES}


def _look_often(program: Program, boost: Booster | None) -> list[dict[str, str]]:
    """Many looks while it runs, among them all that differ in kind."""
    looks = []
    for number in range(_LOOKS):
        looks.append(_look(program))
        if boost and number % 10 == 0:
            boost.wait(lambda: False, 0.05)
    return looks


def _look_asleep(program: Program, boost: Booster | None) -> dict[str, Any]:
    waiter: Callable[..., bool] = boost.wait if boost else wait
    program.stage(ACT)
    waiter(lambda: program.has_acted and _state(_look(program)) == "S")
    look = _look(program)
    program.stage(END)
    waiter(lambda: program.ended)
    return {"look": look, "outcome": program.outcome()}


def _state(look: dict[str, str]) -> str:
    return look["stat"].rpartition(")")[2].split()[0]


def _gdb() -> dict[str, Any]:
    """A debugger that comes, reads registers and goes; it is boosted again then."""
    program = shutil.which("gdb")
    if program is None:
        return {"missing": True}
    words = [program, "-nx", "-batch"]
    for command in (
        "set debuginfod enabled off",
        "set auto-load off",
        "set auto-solib-add off",
    ):
        words += ["-iex", command]
    with booster() as boost, start([("core", "fault")]) as (loop,):
        grown = _boost(boost, loop)
        said = []
        for _ in range(2):
            asks = [f'printf "{name} %lx\\n", ${name}' for name in _REGISTERS]
            done = subprocess.Popen(
                [
                    *words,
                    *("-p", str(loop.pid)),
                    *(word for ask in asks for word in ("-ex", ask)),
                    *("-ex", "detach"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            # The engine goes on meanwhile.
            boost.wait(lambda done=done: done.poll() is not None)
            said.append(done.communicate()[0])
            boost.mark()
            again = boost.wait(lambda: boost.gained(_AFTER))
        loop.stage(END)
        boost.wait(lambda: loop.ended)
        outcome = loop.outcome()
        boost.detach_all()
    return {
        "missing": False,
        "grown": grown,
        "registers": [_registers(text) for text in said],
        "said": said,
        "again": again,
        "outcome": outcome,
    }


def _registers(text: str) -> dict[str, int]:
    found = re.findall(r"^(\w+) ([0-9a-f]+)$", text, re.M)
    return {name: int(value, 16) for name, value in found if name in _REGISTERS}


CASES: dict[str, Callable[[], dict[str, Any]]] = {"proc": _proc, "gdb": _gdb}
