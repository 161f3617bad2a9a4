# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.native.longest``: how long a hostile segment takes on this CPU.

Each program is one loop, or one path without a loop, of the slowest instructions that a
translation may have. It is translated and run natively in this process, with the two
budgets that a segment has: the large one, and the small one of ``kernel/slice.h``.
The least of some runs is printed, since the machine may do something else in between.
"""

from __future__ import annotations

import ctypes
import mmap
import random
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.kernel.handmade import assemble
from tests.places import ROOT
from ubypass.abi import ExitReason
from ubypass.device.tunables import TUNABLES
from ubypass.device.uapi import Tunable
from ubypass.engine.admission import AdmissionPolicy
from ubypass.executable import Executable
from ubypass.native.function import Function, Learned
from ubypass.processor import describe

__all__ = ["PROGRAMS", "Program", "main", "small_budget", "time_segment"]

# Numbers of the registers in which the calling code keeps the arguments.
_ADDRESS, _TURNS = 5, 13
LARGE = TUNABLES[Tunable.BUDGET].usual
_MEMORY = 1 << 30  # bytes: far more than caches and TLB cover
_PAGE = 4096
#: Instructions of a path without a loop: no gap that is built has more.
_STEPS = AdmissionPolicy().max_distinct
_RUNS = 5
_UNROLLED = 50  # so that next to nothing of the budget goes to the loop
_MORE = 2  # turns, so that the budget ends the loop


@dataclass(frozen=True, slots=True)
class Program:
    """``code`` of a function: rdi is the address of memory, rsi a number of turns.

    ``straight``: it has no loop, so that a budget does not end it.
    """

    name: str
    code: str
    straight: bool = False


def _loop(body: str, before: str = "") -> str:
    body = f"{body}\n" * _UNROLLED
    return f"{before}\n1: {body} dec rsi\n jnz 1b\n xor eax, eax\n ret\n"


PROGRAMS = (
    Program("loads that miss caches and TLB", _loop("mov rdi, [rdi]")),
    Program("the same without a loop", "mov rdi, [rdi]\n" * _STEPS + "ret\n", True),
    Program("the same, and stores", _loop("mov rdi, [rdi]\nmov [rdi+64], rsi")),
    Program(
        "locked additions across cache lines",
        _loop("lock add dword ptr [rdi+62], 1"),
    ),
    Program("divisions", _loop("mov edx, 1\ndiv rcx", before="mov rcx, -1")),
    Program("additions", _loop("add rax, rsi")),
    # These overwrite the pointers.
    Program(
        "one repeated move, 65,535 times 8 bytes",
        "lea rsi, [rdi+0x1000001]\nmov ecx, 65535\nrep movsq\nret\n",
        True,
    ),
    Program(
        "one repeated compare, the same",
        "mov rsi, rdi\nmov ecx, 65535\nrepe cmpsq\nret\n",
        True,
    ),
)


def small_budget() -> int:
    """The budget of a segment while no timer runs."""
    header = (ROOT / "kernel" / "slice.h").read_text()
    found = re.search(r"#define UB_SLICE_BUDGET\s+(\d+)", header)
    assert found
    return int(found[1])


def _chain(memory: mmap.mmap, seed: int) -> list[int]:
    """Fill memory with a cycle of pointers, one in each page; their addresses."""
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    pages = list(range(len(memory) // _PAGE))
    random.Random(seed).shuffle(pages)
    # In different sets of the caches, and at the start of a line.
    places = [page * _PAGE + page % 31 * 128 for page in pages]
    for at, following in zip(places, [*places[1:], places[0]], strict=True):
        memory[at : at + 8] = struct.pack("<Q", start + following)
    return [start + place for place in places]


def _ticks_per_us() -> float:
    code = bytes.fromhex("0f31 48c1e220 4809d0 c3")  # rdtsc
    with Executable(code) as made:
        read: Callable[[], int] = ctypes.CFUNCTYPE(ctypes.c_uint64)(made.address)
        began, first = time.perf_counter(), read()
        time.sleep(0.2)
        passed = time.perf_counter() - began
        return (read() - first) / passed / 1e6


def time_segment(
    learned: Learned, address: int, turns: int, budget: int, ticks: float
) -> tuple[float, bool]:
    """Microseconds of the segment, and whether the budget ended it.

    ``ticks`` of the time stamp counter make a microsecond. The time of the thread has
    all that follows natively in it, that of the counter what others did meanwhile: the
    lesser of the two is nearer.
    """
    registers = learned.registers(1)
    registers[_ADDRESS], registers[_TURNS] = address, turns
    began = time.thread_time()
    call = learned.timed.call(registers, translated=True, budget=budget)
    used = time.thread_time() - began
    ended = call.exit is not None and call.exit.reason is ExitReason.BUDGET
    return min(call.cycles / ticks, used * 1e6), ended


def _times(places: list[int], small: int) -> Iterator[tuple[str, list[float]]]:
    """Microseconds by program, for the large budget and the small one."""
    ticks = _ticks_per_us()
    middle = min(places) + _MEMORY // 2
    low = [place for place in places if place < middle]
    for program in PROGRAMS:
        code, _ = assemble(program.code)
        with Executable(code) as made:
            function = Function(made.address, (places[0], 2))
            learned = Learned.learn(function)
            found = []
            for budget in (LARGE,) if program.straight else (LARGE, small):
                runs = []
                for _ in range(_RUNS):
                    # What an earlier run has read is in the caches.
                    address = random.choice(low)
                    turns = min(budget, LARGE) // _UNROLLED + _MORE
                    us, ended = time_segment(learned, address, turns, budget, ticks)
                    assert ended or program.straight
                    runs.append(us)
                found.append(min(runs))
        yield program.name, found


def main() -> int:
    """Print a table in microseconds."""
    small = small_budget()
    print(describe())
    print(f"microseconds for a budget of {LARGE:,} and of {small} instructions")
    with mmap.mmap(-1, _MEMORY) as memory:
        places = _chain(memory, 1)
        for name, found in _times(places, small):
            numbers = "".join(f"{each:14,.1f}" for each in found)
            print(f"{name:36}{numbers:>28}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
