# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what the module costs a loop of getppid where it brings nothing.

Prints a line of JSON, instructions per call: ``native``; ``asleep``, attached, but
the site is decided to stay native; ``resting``, when that has been so for a while, over
several of the epochs in which it rests or does not;
``changed``, seconds until the module says that it is hot after all; ``useless``,
there is a translation for it that leaves at once; ``vain``, how often that is tried in
some hundred epochs; ``again``, natively when all is over.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.kernel.handmade import assemble
from ubypass.abi import Entry, Exit, ExitFlag, ExitReason, Source, Translation
from ubypass.bench.loop import Loop
from ubypass.device.client import Device
from ubypass.device.uapi import EventType, Tunable

_GETPPID = 110
_COUNT = 100_000
_ROUNDS = 9
_ROUNDS_OF_REST = 120  # of 34 ms: more than it is ever awake between rests, twice over
_SHORT_EPOCH = 10  # ms
_REST = 4.0  # seconds until it has rested for three
_LIMIT = 12.0  # seconds


def _measure(
    program: Path,
    attach: Callable[[Loop], None] | None = None,
    rounds: int = _ROUNDS,
) -> float:
    """Median of rounds, in ns per call."""
    arguments = ["--call", "getppid", "--count", str(_COUNT), "--rounds", str(rounds)]
    with Loop(program, arguments) as loop:
        if attach is not None:
            attach(loop)
        loop.warm()
        loop.ready()
        return loop.measure().median


def _leave_at_once(resume: int, code: bytes) -> Translation:
    """A translation that goes back to user mode where it came from."""
    binary, at = assemble("mov dword ptr [rsp], 0\n.byte 0xe9\nleave: .long 0\n")
    flags = ExitFlag.SLOT_SYSFLAGS | ExitFlag.CX_SYS | ExitFlag.R11_SYS
    return Translation(
        code=binary,
        entries=(Entry(resume, 0),),
        exits=(Exit(resume, ExitReason.UNSUPPORTED, flags, resume),),
        faults=(),
        dispatches=(),
        jumps=(at["leave"],),
        sources=(Source(resume, code),),
        constants=len(binary),
    )


def _until_hot(device: Device) -> float:
    """Seconds until the module says that something of it is hot."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < _LIMIT:
        if any(event.type is EventType.HOT for event in device.events()):
            break
        time.sleep(0.1)
    return passed


def main(program: str) -> int:
    path = Path(program)
    results = {"native": _measure(path)}
    with Device() as device:
        device.tune(Tunable.GAP_NS, 100)  # nothing is so short
        device.tune(Tunable.GRACE_MS, 0)
        device.tune(Tunable.SHARE_BITS, 0)
        procs = []

        def attach(loop: Loop) -> None:
            procs.append(device.attach(loop.pid))
            time.sleep(0.5)

        def attach_for_long(loop: Loop) -> None:
            attach(loop)
            time.sleep(_REST)

        def shorten_gaps(loop: Loop) -> None:
            attach_for_long(loop)
            before = device.tune(Tunable.GAP_NS, 1_000_000)
            results["changed"] = _until_hot(device)
            device.tune(Tunable.GAP_NS, before)

        def load_useless(loop: Loop) -> None:
            attach(loop)
            (resume,) = [
                site.ip for site in device.sites(procs[-1]) if site.nr == _GETPPID
            ]
            with open(f"/proc/{loop.pid}/mem", "rb") as memory:
                memory.seek(resume)
                code = memory.read(1)
            device.load(procs[-1], _leave_at_once(resume, code))

        results["asleep"] = _measure(path, attach)
        calls = device.stats(procs[0]).native
        results["resting"] = _measure(path, attach, _ROUNDS_OF_REST)
        rested = device.stats(procs[-1]).native
        _measure(path, shorten_gaps)
        results["useless"] = _measure(path, load_useless)
        stats = device.stats(procs[-1])
        print(*device.sites(procs[-1]), stats, sep="\n", file=sys.stderr)
        device.tune(Tunable.REARM_MS, _SHORT_EPOCH)
        _measure(path, load_useless, _ROUNDS_OF_REST)
        results["vain"] = device.stats(procs[-1]).runs
    # Calls that the trampoline lets pass are counted all the same.
    for each in calls, rested:
        assert each >= _COUNT * _ROUNDS, f"only {each} calls were counted"
    # It was tried, and soon not any more.
    assert 100 <= stats.runs <= 0.01 * _COUNT * _ROUNDS, f"{stats.runs} runs"
    time.sleep(1.0)
    results["again"] = _measure(path)
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
