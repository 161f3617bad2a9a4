# SPDX-License-Identifier: GPL-2.0-only
"""The user instructions between two system calls: of loops and of real servers.

The programs (the loops of ``ub bench io`` and servers) are single-stepped natively;
needs neither the module nor the lab. A long gap leaves little to gain, since a
dispatched call saves one transition whatever the gap. For short gaps the instructions
executed in a translation are counted, too.
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
from ubypass.engine.growth import TracedPath, executed
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
    "paths",
    "read_gaps",
    "summarize",
    "trace",
    "trace_loop",
    "write_gaps",
]

_LISTED = kernel_sources() / "include" / "uapi" / "ub_syscalls.h"


def _redis(
    command: str, pipeline: int = 1
) -> Callable[[], contextlib.AbstractContextManager[Server]]:
    # Single-stepped commands are slow; none of them belongs in the slow log.
    case = redis.RedisCase(command, 64, pipeline)
    return partial(redis.redis_server, case, 1000, "slowlog-log-slower-than -1\n")


def _nginx(
    log: bool,
) -> Callable[[], contextlib.AbstractContextManager[Server]]:
    return partial(nginx.nginx_server, nginx.NginxCase(4, log=log), 0.5)


#: The servers to trace, with the number of calls: a step takes some microseconds.
CASES = (
    (_redis("GET"), 300),
    (_redis("SET"), 300),
    (_redis("GET", pipeline=16), 100),
    (_nginx(log=False), 300),
    (_nginx(log=True), 300),
)

#: The name of loops in the place of a server's name.
LOOP = "loop"

#: Turns of a loop to trace, which are all the same, and turns of a round: few of the
#: traced gaps lie between rounds.
_TURNS = 50
_ROUND = 200_000

#: User instructions in the longest gap whose translated instructions are counted: of
#: servers, and of loops.
_LONGEST = 1024
_LONGEST_LOOP = 1 << 14

#: Seconds until a loop runs, and until all connections of the load are open.
_STARTED = 0.3
_CONNECTED = 1.0

#: Gaps with a smaller share are not typical of a request.
_RARE = 0.02


@dataclass(frozen=True, slots=True)
class Gap:
    """The gaps from the return of ``call`` at ``site`` to the call ``following``.

    ``share`` of all gaps; ``least``, ``median`` and ``most`` user instructions.
    ``translated``: median of the instructions in a translation, None if the gap is too
    long or the translation exits before the next call; ``growth``: ratio of the
    instructions in translations to those of the same gaps natively.
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
    """The gaps of all loops and servers. Needs permission to trace. Raises UbError."""
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
    """The gaps of one loop, which is started for this. Raises UbError."""
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
    """``calls`` gaps of the busy process ``pid``. Raises UbError.

    Translated instructions are counted for gaps of at most ``longest`` instructions.
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
        inside = executed(paths(done.stdout), memory)
    return summarize(name, case, done.stdout, read_maps(pid), inside)


def paths(lines: str) -> list[TracedPath]:
    """The paths in the output of gaptrace, in order."""
    found = []
    for line in lines.splitlines():
        site, call, _, _, *ips = line.split()
        found.append(
            TracedPath(int(site, 16), int(call), tuple(int(ip, 16) for ip in ips))
        )
    return found


def summarize(
    server: str,
    case: str,
    lines: str,
    maps: MemoryMap,
    inside: Sequence[int | None] = (),
) -> list[Gap]:
    """The kinds of gaps in the output of gaptrace, the most frequent first.

    ``inside``: for each line the instructions in a translation, None if unknown.
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
    """The fields for pairs of native and translated instructions."""
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
    """Write the gaps as an array. Raises UbError."""
    write_json(path, [dataclasses.asdict(gap) for gap in gaps])


def read_gaps(data: Sequence[dict[str, Any]]) -> list[Gap]:
    """Parse the array of :func:`write_gaps`."""
    names = {field.name for field in dataclasses.fields(Gap)}
    # Newer versions add keys.
    return [Gap(**{k: v for k, v in item.items() if k in names}) for item in data]


def _place(address: int, maps: MemoryMap) -> str:
    area = maps.find(address)
    if area is None or not area.path:
        return f"{address:#x}"
    return f"{Path(area.path).name}+{address - area.start + area.offset:#x}"
