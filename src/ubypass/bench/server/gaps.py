# SPDX-License-Identifier: GPL-2.0-only
"""What programs do between two system calls, counted in user instructions: the loops
of ``ub bench io``, and real servers.

By stepping through them, natively: neither the module nor a lab is needed. A gap that
is long leaves little to gain, since a dispatched call saves one transition however
long it is. Of short ones the instructions that run in a translation are counted, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ubypass import child
from ubypass.bench.io import WORKLOADS, Place, data_file
from ubypass.bench.loop import Loop, Workload
from ubypass.bench.records import write_json
from ubypass.bench.server import nginx, redis
from ubypass.bench.server.measure import Server
from ubypass.bench.workloads import build_workload
from ubypass.engine.growth import Way, executed
from ubypass.errors import UbError, permission_hint
from ubypass.places import kernel_sources
from ubypass.process.maps import MemoryMap, read_maps
from ubypass.process.memory import ProcessMemory

__all__ = [
    "CASES",
    "LOOP",
    "Gap",
    "call_names",
    "measure_gaps",
    "read_gaps",
    "summarize",
    "trace",
    "trace_loop",
    "ways",
    "write_gaps",
]

_LISTED = kernel_sources() / "include" / "uapi" / "ub_syscalls.h"


def _redis(
    command: str, pipeline: int = 1
) -> Callable[[], contextlib.AbstractContextManager[Server]]:
    # Stepped through, every command is slow, which is no reason to write it down.
    case = redis.RedisCase(command, 64, pipeline)
    return partial(redis.redis_server, case, 1000, "slowlog-log-slower-than -1\n")


def _nginx(
    log: bool,
) -> Callable[[], contextlib.AbstractContextManager[Server]]:
    return partial(nginx.nginx_server, nginx.NginxCase(4, log=log), 0.5)


#: What is traced, and for how many calls: a step takes some microseconds.
CASES = (
    (_redis("GET"), 300),
    (_redis("SET"), 300),
    (_redis("GET", pipeline=16), 100),
    (_nginx(log=False), 300),
    (_nginx(log=True), 300),
)

#: What loops are called where servers have their name.
LOOP = "loop"

#: Turns of a loop, which are all the same, and of a round: what happens between rounds
#: is hardly ever met.
_TURNS = 50
_ROUND = 200_000

#: User instructions in the longest gap of which it is counted what becomes of it: of
#: servers, and of loops.
_LONGEST = 1024
_LONGEST_LOOP = 1 << 14

#: Seconds until a loop runs, and until the load's connections are all there.
_STARTED = 0.3
_CONNECTED = 1.0

#: What happens once in a while says nothing about a request.
_RARE = 0.02


@dataclass(frozen=True, slots=True)
class Gap:
    """From the return of ``call`` at ``site`` to ``following``, the next call.

    ``share`` of all gaps; ``least``, ``median`` and ``most`` user instructions.
    ``translated``: the median of the instructions in a translation, None if it is too
    long to be translated or leaves before the next call; ``growth``: that by the
    instructions of the same gaps natively.
    """

    server: str
    case: str
    site: str
    call: str
    following: str
    share: float
    least: int
    median: int
    most: int
    translated: int | None = None
    growth: float | None = None


def measure_gaps(progress: Callable[[str], None]) -> Iterator[Gap]:
    """The gaps of every case. Needs leave to trace. Raises UbError."""
    for workload in WORKLOADS:
        progress(f"{LOOP} {workload}: stepping through {_TURNS} turns")
        yield from trace_loop(workload)
    for start, calls in CASES:
        with start() as server:
            progress(f"{server.name} {server.case}: stepping through {calls} calls")
            server.load()
            with server.background():
                time.sleep(_CONNECTED)
                pid = server.serving()[0]
                yield from trace(server.name, server.case, pid, calls)


def trace_loop(workload: Workload) -> list[Gap]:
    """Those of one loop, which is started for it. Raises UbError."""
    with data_file(workload.size * _TURNS, Place().directory) as file:
        rounds = ["--rounds", "1", "--count", str(_ROUND)]
        arguments = [*workload.arguments(file), *rounds]
        with Loop(build_workload("ioloop"), arguments) as loop:
            time.sleep(_STARTED)
            found = trace(LOOP, str(workload), loop.pid, _TURNS, _LONGEST_LOOP)
            loop.warm()
            loop.ready()
            loop.measure()
    return found


def trace(
    name: str, case: str, pid: int, calls: int, longest: int = _LONGEST
) -> list[Gap]:
    """The gaps of process ``pid``, which is busy already: ``calls`` of them.

    What becomes of them is counted up to ``longest`` instructions.
    """
    done = child.run(
        [str(build_workload("gaptrace")), str(pid), str(calls), str(longest)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        denied = os.strerror(errno.EPERM) in done.stderr
        hint = permission_hint() if denied else ""
        raise UbError(f"cannot count gaps: {done.stderr.strip()}", hint)
    with ProcessMemory(pid) as memory:
        inside = executed(ways(done.stdout), memory)
    return summarize(name, case, done.stdout, read_maps(pid), inside)


def ways(lines: str) -> list[Way]:
    """The ways in the output of gaptrace, in order."""
    found = []
    for line in lines.splitlines():
        site, call, _, _, *ips = line.split()
        found.append(Way(int(site, 16), int(call), tuple(int(ip, 16) for ip in ips)))
    return found


def summarize(
    server: str,
    case: str,
    lines: str,
    maps: MemoryMap,
    inside: Sequence[int | None] = (),
) -> list[Gap]:
    """Gaps from the output of gaptrace, the most frequent first.

    ``inside``: for each line the instructions in a translation, if they are known.
    """
    names = call_names()
    found: dict[tuple[int, int, int], list[int]] = {}
    grown: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    total = 0
    for number, line in enumerate(lines.splitlines()):
        site, call, gap, following = line.split()[:4]
        key = (int(site, 16), int(call), int(following))
        found.setdefault(key, []).append(int(gap))
        within = inside[number] if number < len(inside) else None
        if within is not None:
            grown.setdefault(key, []).append((int(gap), within))
        total += 1
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Gap(
            server=server,
            case=case,
            site=_place(site, maps),
            call=names.get(call, f"call {call}"),
            following=names.get(following, f"call {following}"),
            share=round(len(gaps) / total, 4),
            least=min(gaps),
            median=round(statistics.median(gaps)),
            most=max(gaps),
            **_grown(grown.get((site, call, following), [])),
        )
        for (site, call, following), gaps in ordered
        if len(gaps) / total >= _RARE
    ]


def _grown(pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """From instructions natively and in a translation."""
    if not pairs:
        return {}
    native, inside = (sum(column) for column in zip(*pairs, strict=True))
    return {
        "translated": round(statistics.median(within for _, within in pairs)),
        "growth": round(inside / native, 4),
    }


def call_names(path: Path = _LISTED) -> dict[int, str]:
    """Names of the system calls that may be dispatched."""
    text = path.read_text()
    found = re.findall(r"^UB_SYSCALL\((\d+),\s*(\w+)", text, re.MULTILINE)
    return {int(number): name for number, name in found}


def write_gaps(path: Path, gaps: Sequence[Gap]) -> None:
    """Write them as an array. Raises UbError."""
    write_json(path, [dataclasses.asdict(gap) for gap in gaps])


def read_gaps(data: Sequence[dict[str, Any]]) -> list[Gap]:
    """The inverse, from what is in the file."""
    return [Gap(**item) for item in data]


def _place(address: int, maps: MemoryMap) -> str:
    area = maps.find(address)
    if area is None or not area.path:
        return f"{address:#x}"
    return f"{Path(area.path).name}+{address - area.start + area.offset:#x}"
