# SPDX-License-Identifier: GPL-2.0-only
"""A process is attached, boosted and detached a thousand times; what is left of it.

The region is written by hand, so that a cycle takes no more than the module itself
needs. Most cycles have the same process; some have one of their own, which ends while
it is attached and boosted.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.guest.command import attached, regions, stats_lines
from tests.guest.program import PROGRAMS
from tests.guest.waiting import wait
from tests.kernel.handmade import translation
from ubypass.abi import Translation
from ubypass.device.client import Device

__all__ = ["CYCLES", "ENDED", "cycles"]

CYCLES = 1000
_OWN = 10  # one in so many has a process of its own
#: So many of them have a process of their own.
ENDED = CYCLES // _OWN

_WARM = 60
_ENDLESS = "1000000000000"
_LOOK = 0.001  # seconds
_SLABS = Path("/sys/kernel/slab")
_CACHES = re.compile(
    r"kmalloc-[\w-]+|mm_struct|task_struct|pid|signal_cache|vmap_area|radix_tree_node"
)

_translations: dict[int, Translation] = {}  # by the resume address


class _Loop:
    """A process that calls getppid for ever, and the region for it."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.process = subprocess.Popen(
            # At the same address each time; gets the processor while the client waits.
            ["setarch", "-R", "nice", "-n", "19", PROGRAMS / "loop", _ENDLESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin
        assert self.process.stdout
        resume = int(self.process.stdout.readline(), 16)
        with open(f"/proc/{self.process.pid}/mem", "rb") as memory:
            memory.seek(resume)
            code = memory.read(8)
        if resume not in _translations:
            _translations[resume] = translation(resume, code, device.info())
        self.region = _translations[resume]
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def boost(self) -> int:
        """Attach it and wait until calls are dispatched; the attachment."""
        proc = self.device.attach(self.process.pid)
        self.device.load(proc, self.region)
        if not wait(lambda: self.device.stats(proc).dispatched > 0, look=_LOOK):
            raise TimeoutError("nothing was dispatched")
        return proc

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def _loop(device: Device) -> Iterator[_Loop]:
    loop = _Loop(device)
    try:
        yield loop
    finally:
        loop.end()


def _play(device: Device, loop: _Loop, count: int) -> None:
    for n in range(count):
        if n % _OWN:
            device.detach(loop.boost())
            continue
        with _loop(device) as other:
            proc = other.boost()
            other.end()
            device.detach(proc)


def _is_at_rest() -> bool:
    """Nothing is attached, no code is left, and nobody is inside the module."""
    used = [line for line in stats_lines() if line.startswith("arena_used ")]
    count = Path("/sys/module/ub/refcnt").read_text().strip()
    return (
        not attached() and not regions() and used == ["arena_used 0"] and count == "0"
    )


def _memory() -> dict[str, int]:
    """kB by the kernel's names for it."""
    names = "MemAvailable", "SUnreclaim", "Percpu", "VmallocUsed"
    lines = Path("/proc/meminfo").read_text().splitlines()
    rows = dict(line.split(":") for line in lines)
    return {name: int(rows[name].split()[0]) for name in names}


def _objects() -> dict[str, int]:
    """Objects in use by cache, those that CPUs have put aside for later not counted."""
    for shrink in _SLABS.glob("*/shrink"):
        shrink.write_text("1")
    rows = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()]
    return {row[0]: int(row[1]) for row in rows if _CACHES.fullmatch(row[0])}


def _found() -> dict[str, Any]:
    rest = wait(_is_at_rest, look=_LOOK)
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("3")
    return {"rest": rest, "memory": _memory(), "objects": _objects()}


def cycles() -> list[dict[str, Any]]:
    """What the kernel has in use before, amid and after ``CYCLES`` cycles."""
    found = []
    for count in (_WARM, CYCLES // 2, CYCLES // 2):
        with Device() as device, _loop(device) as loop:
            _play(device, loop, count)
        found.append(_found())
    return found
