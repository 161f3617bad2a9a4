# SPDX-License-Identifier: GPL-2.0-only
"""Cases of boosted programs that die and leave a core."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.guest.boost import booster
from tests.guest.corefile import Core
from tests.guest.grown import Share
from tests.guest.program import ACT, Program
from tests.guest.trained import FIXED
from tests.guest.waiting import wait

__all__ = ["CASES", "KINDS"]

#: How ``programs/core.c`` dies.
KINDS = ("fault", "abort")

_PATTERN = Path("/proc/sys/kernel/core_pattern")
_HOME = Path("/dev/shm")
_PAGE = 4096
_CALLS = 5000  # over which the share is looked at


@contextmanager
def _cores() -> Iterator[None]:
    """Meanwhile, whoever dies leaves a core in a file."""
    before, limits = _PATTERN.read_text(), resource.getrlimit(resource.RLIMIT_CORE)
    _PATTERN.write_text(f"{_HOME}/ub-core-%p")
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
        _PATTERN.write_text(before)


def _cored(kind: str) -> dict[str, Any]:
    """The core that a program leaves natively, and boosted."""
    with _cores():
        with Program("core", kind, prefix=FIXED) as program:
            wait(lambda: program.is_warm)
            native = _die(program, wait)
        with booster() as boost, Program("core", kind, prefix=FIXED) as program:
            wait(lambda: program.is_warm)
            target = boost.attach(program.pid)
            boost.wait_boosted(target)
            grown = boost.wait(Share(target, _CALLS).is_large)
            before = target.refresh_stats().dispatched
            boosted = _die(program, boost.wait)
            last = target.refresh_stats().dispatched - before
            boost.detach_all()
            summaries = boost.summaries()
    return {
        "native": native,
        "boosted": boosted,
        "grown": grown,
        "dispatched_last": last,
        "summaries": summaries,
    }


def _die(program: Program, waiter: Callable[..., bool]) -> dict[str, Any]:
    program.stage(ACT)
    waiter(lambda: program.ended)
    outcome = program.outcome()
    path = _HOME / f"ub-core-{program.pid}"
    core = Core.read(path)
    path.unlink()
    output = outcome["output"]
    assert isinstance(output, list)
    page = int(output[0].split()[1], 16)
    vectors = core.vectors
    return {
        **outcome,
        "registers": {name: hex(value) for name, value in core.registers.items()},
        # x87's state and mxcsr, xmm0 and xmm1; what others hold is the library's.
        "vectors": [vectors[:28].hex(), vectors[160:192].hex()],
        "turns": int.from_bytes(core.memory(page, 8), "little"),
        "page": core.memory(page, _PAGE).hex(),
    }


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    f"core-{kind}": partial(_cored, kind) for kind in KINDS
}
