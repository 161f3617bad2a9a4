# SPDX-License-Identifier: GPL-2.0-only
"""A region of the C library of this process, and what sharing it costs.

    python -m tests.store.libc

prints medians in milliseconds, without mypyc unless the sources are compiled.
"""

from __future__ import annotations

import ctypes
import os
import statistics
import time
from collections.abc import Callable

from ubypass.abi import Abi, SiteKey
from ubypass.engine.build import Builder, uncollected
from ubypass.engine.profile import Profile
from ubypass.process.memory import ProcessMemory
from ubypass.region.graph import Region
from ubypass.store.address import address_of, environment
from ubypass.store.placement import placement_of
from ubypass.store.portable import make_portable, placed
from ubypass.store.wire import decoded, encoded
from ubypass.translate.translate import translate
from ubypass.verify.check import check

__all__ = ["ABI", "libc_region"]

ABI = Abi()
_CALLS = {"read": 0, "write": 1, "lseek": 8}
_BETWEEN = ("vfprintf", "memcpy", "strlen", "memchr", "malloc", "free", "fwrite")
_SYSCALL = b"\x0f\x05"
_RET = b"\xc3"


def libc_region(memory: ProcessMemory) -> Region:
    """Loops around three calls, with large functions of the library in between."""
    profile = Profile(effort=2)
    between = [_address(name) for name in _BETWEEN]
    for name, nr in _CALLS.items():
        start = _address(name)
        code = memory.read(start, 200)
        resume = code.index(_SYSCALL) + 2
        profile.add_entry(SiteKey(start + resume, nr))
        back = start + code.index(_RET, resume)
        targets = [*between, *map(_address, _CALLS)]
        profile.branch_targets[back] = dict.fromkeys(targets, 9)
    profile.frontiers.update(dict.fromkeys(between, 99))
    return Builder(ABI)(profile, memory).region


def _address(name: str) -> int:
    function = getattr(ctypes.CDLL("libc.so.6"), name)
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def _time(job: Callable[[], object]) -> float:
    """Median in ms, warm."""
    job()
    times = []
    with uncollected():
        for _ in range(7):
            began = time.perf_counter()
            job()
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def _print_costs() -> None:
    with ProcessMemory(os.getpid()) as memory:
        region, maps, inputs = libc_region(memory), memory.maps, environment(ABI)
        place = placement_of(region, maps)
        made = translate(region, ABI)
        portable = make_portable(region, place, lambda moved: translate(moved, ABI))
        data = encoded(portable)
        print(
            f"{region.instruction_count} instructions, {len(made.code)} bytes of code, "
            f"{len(data)} bytes stored"
        )
        print(f"discover   {_time(lambda: libc_region(memory)):7.1f}  (and translate)")
        print(f"translate  {_time(lambda: translate(region, ABI)):7.1f}")
        print(f"verify     {_time(lambda: check(made, ABI)):7.1f}")

        def find() -> None:
            address_of(region, placement_of(region, maps), inputs)
            placed(decoded(data), place.bases, region.sources)

        print(f"find       {_time(find):7.1f}  (without the request and the signature)")


if __name__ == "__main__":
    _print_costs()
