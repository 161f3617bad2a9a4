# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what the module costs a loop of getppid where it brings nothing.

Prints a line of JSON, instructions per call: ``unloaded``, before the module is there;
``native``, when nothing is attached; ``beside``, when another process is attached and
the handlers are hooked; ``parked``, attached, but the site stays native; ``idle``, when
that has been so for a while, over several of the epochs in which the process is idle or
not; ``changed``, seconds until the module says that it is hot after all; ``useless``,
there is a translation for it that leaves at once; ``one`` and ``two``, there is one
that makes that many more calls and leaves; ``vain``, how often the useless one is
tried in some hundred epochs; ``again``, natively when all is over.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.kernel.handmade import assemble, slot
from ubypass.abi import (
    FRAME_SYSFLAGS,
    Abi,
    Dispatch,
    Entry,
    Exit,
    ExitFlag,
    ExitReason,
    Source,
    Translation,
)
from ubypass.bench.loop import Loop
from ubypass.device.client import Device
from ubypass.device.uapi import EventType, Tunable

_GETPPID = 110
_HOOKED = Path("/sys/kernel/tracing/enabled_functions")
_COUNT = 100_000
_ROUNDS = 9
_EPOCH = 250  # ms; a second of the guest takes ten of an emulator that counts
_IDLE_ROUNDS = 30  # of 34 ms: twice as long as it is ever active in between
_SHORT_EPOCH = 10  # ms
_SAMPLE_BITS = 20  # one sample in 2^20 hits
_UNTIL_IDLE = 1.0  # seconds until it has been idle for three epochs
_LIMIT = 12.0  # seconds


def measure(
    program: Path,
    attach: Callable[[Loop], None] | None = None,
    rounds: int = _ROUNDS,
) -> float:
    """Median of rounds of ioloop, in ns per call of getppid."""
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
        entries=(Entry(resume, 0, _GETPPID),),
        exits=(Exit(resume, ExitReason.UNSUPPORTED, flags, resume),),
        faults=(),
        dispatches=(),
        jumps=(at["leave"],),
        sources=(Source(resume, code),),
        constants=len(binary),
    )


def leave_behind(calls: int, resume: int, code: bytes, abi: Abi) -> Translation:
    """A translation that makes ``calls`` calls more and leaves where it came from."""
    site = f"""
        mov eax, {_GETPPID}
        pushfq
        pop [rsp+{FRAME_SYSFLAGS}]
"""
    sites = "".join(
        f"{site}site{n}: .fill {abi.dispatch_size}, 1, 0xcc\n" for n in range(calls)
    )
    binary, at = assemble(f"""
        mov rax, [rsp+{slot("rax")}]
{sites}
post:   mov dword ptr [rsp], 1
        jmp tail
pre:    mov dword ptr [rsp], 0
tail:   mov [rsp+{slot("rax")}], rax
        .byte 0xe9
leave:  .long 0
""")
    flags = ExitFlag.SLOT_SYSFLAGS | ExitFlag.CX_SYS | ExitFlag.R11_SYS
    dispatched = flags | ExitFlag.DISPATCHED
    return Translation(
        code=binary,
        entries=(Entry(resume, 0, _GETPPID),),
        exits=(
            Exit(resume - 2, ExitReason.WORK, flags, resume),
            Exit(resume, ExitReason.DISPATCHED, dispatched, resume),
        ),
        faults=(),
        dispatches=tuple(
            Dispatch(at[f"site{n}"], _GETPPID, at["pre"], at["post"], resume)
            for n in range(calls)
        ),
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


def resume_address(device: Device, proc: int) -> int:
    """Where the loop goes on behind getppid; the module knows when it was sampled.

    Raises TimeoutError if the module does not see the call in time.
    """
    began = time.monotonic()
    while time.monotonic() - began < _LIMIT:
        for site in device.sites(proc):
            if site.nr == _GETPPID:
                return site.ip
        time.sleep(0.1)
    raise TimeoutError(f"no call of getppid was seen: {device.sites(proc)}")


def _is_hooked() -> bool:
    """Whether ftrace calls the module from any handler."""
    return "ub_trampoline" in _HOOKED.read_text()


def _beside(device: Device, path: Path) -> float:
    """The same of a process that is not attached while another one is."""
    arguments = ["--call", "getppid", "--count", str(_COUNT), "--rounds", "1"]
    with Loop(path, arguments) as other:
        proc = device.attach(other.pid)
        with open(f"/proc/{other.pid}/maps") as maps:
            start = next(line for line in maps if " r-xp " in line).split("-")[0]
        resume = int(start, 16)
        with open(f"/proc/{other.pid}/mem", "rb") as memory:
            memory.seek(resume)
            code = memory.read(1)
        # The handlers are hooked at the latest when a region is loaded.
        device.load(proc, _leave_at_once(resume, code))
        assert _is_hooked()
        os.kill(other.pid, signal.SIGSTOP)
        cost = measure(path)
        os.kill(other.pid, signal.SIGCONT)
        assert _is_hooked()
        device.detach(proc)
    return cost


def main(program: str, module: str) -> int:
    path = Path(program)
    results = {"unloaded": measure(path)}
    subprocess.run(["insmod", module], check=True)
    results["native"] = measure(path)
    assert not _is_hooked()
    with Device() as device:
        device.tune(Tunable.REST_BITS, 0)  # resting.py measures that
        results["beside"] = _beside(device, path)
        device.tune(Tunable.GAP_NS, 100)  # nothing is so short
        device.tune(Tunable.GRACE_MS, 0)
        device.tune(Tunable.SHARE_BITS, 0)
        device.tune(Tunable.REARM_MS, _EPOCH)
        procs = []

        def attach(loop: Loop) -> None:
            procs.append(device.attach(loop.pid))
            time.sleep(0.5)

        def attach_for_long(loop: Loop) -> None:
            attach(loop)
            time.sleep(_UNTIL_IDLE)

        def shorten_gaps(loop: Loop) -> None:
            attach_for_long(loop)
            before = device.tune(Tunable.GAP_NS, 1_000_000)
            results["changed"] = _until_hot(device)
            device.tune(Tunable.GAP_NS, before)

        def load(loop: Loop, make: Callable[[int, bytes], Translation]) -> None:
            attach(loop)
            resume = resume_address(device, procs[-1])
            with open(f"/proc/{loop.pid}/mem", "rb") as memory:
                memory.seek(resume)
                code = memory.read(1)
            device.load(procs[-1], make(resume, code))

        def load_useless(loop: Loop) -> None:
            load(loop, _leave_at_once)

        def load_calls(calls: int) -> Callable[[Loop], None]:
            abi = device.info()
            make = partial(leave_behind, calls, abi=abi)
            return lambda loop: load(loop, make)

        results["parked"] = measure(path, attach)
        calls = device.stats(procs[0]).native
        results["idle"] = measure(path, attach, _IDLE_ROUNDS)
        while_idle = device.stats(procs[-1]).native
        measure(path, shorten_gaps)
        results["useless"] = measure(path, load_useless)
        stats = device.stats(procs[-1])
        print(*device.sites(procs[-1]), stats, sep="\n", file=sys.stderr)
        # After its first hits an entry is hardly ever sampled.
        bits = device.tune(Tunable.SAMPLE_BITS, _SAMPLE_BITS)
        for name, extra in ("one", 1), ("two", 2):
            results[name] = measure(path, load_calls(extra))
            made = device.stats(procs[-1])
            assert made.runs >= 0.999 * _COUNT * _ROUNDS, made
            assert made.dispatched >= 0.999 * extra * made.runs, made
        device.tune(Tunable.SAMPLE_BITS, bits)
        device.tune(Tunable.REARM_MS, _SHORT_EPOCH)
        measure(path, load_useless, 4 * _IDLE_ROUNDS)
        results["vain"] = device.stats(procs[-1]).runs
    # Calls that the trampoline lets pass are counted all the same.
    for each in calls, while_idle:
        assert each >= _COUNT * _ROUNDS, f"only {each} calls were counted"
    # It was tried, and soon not any more.
    assert 100 <= stats.runs <= 0.01 * _COUNT * _ROUNDS, f"{stats.runs} runs"
    time.sleep(1.0)
    results["again"] = measure(path)
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
