# SPDX-License-Identifier: GPL-2.0-only
"""The cost of a transition into the kernel and back: a system call less its handler.

No dispatched call can save more.
"""

from __future__ import annotations

from pathlib import Path

from ubypass.bench import gap, handler
from ubypass.bench.loop import Loop, Workload
from ubypass.bench.records import Machine
from ubypass.bench.workloads import build_workload

__all__ = ["measure_transition"]

_GETPPID = Workload("getppid", 110)
_COUNT = 20_000


def measure_transition(machine: Machine) -> float:
    """The transition's cost in the machine's unit, from a loop of getppid.

    Nothing may be attached. Needs the module ub_bench. Raises UbError without it.
    """
    arguments = [*_GETPPID.arguments(None), "--count", str(_COUNT), "--rounds", "5"]
    program = build_workload("ioloop")
    native = _loop([str(program), *arguments])
    runs = [handler.run(_GETPPID.nr, (), _COUNT).handler for _ in range(5)]
    if machine.unit == "instructions":
        command = [str(program), *arguments]
        user = gap.count_gap(build_workload("gapcount"), command, _GETPPID.nr)
        # The syscall instruction itself is part of the transition.
        return native - sorted(runs)[2] - user
    return native - sorted(runs)[2] - _loop([str(program), *arguments, "--dry"])


def _loop(command: list[str]) -> float:
    with Loop(Path(command[0]), command[1:]) as loop:
        loop.warm()
        loop.ready()
        return loop.measure().median
