# SPDX-License-Identifier: GPL-2.0-only
"""Runs in the guest: cases one after the other, a line of JSON for each.

    python -m tests.guest.runner RESULTS [CASE]...

A line is written (and synced) as soon as a case has ended, so that what a crash
leaves behind tells which case it was. The kernel's log is looked through after each.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.guest import (
    asleep,
    badinput,
    cores,
    cycles,
    everycall,
    filtered,
    grown,
    hungfile,
    membarrier,
    observers,
    processes,
    redissuite,
    restarts,
    servers,
    service,
    service_containers,
    service_endures,
    service_killed,
    service_limits,
    sharing,
    special,
    survive,
    survive_nginx,
)
from tests.guest.boost import NotBoosted
from tests.guest.cases import DATA_FILE, TWIN_CASES, run_twin
from tests.guest.command import run_ub
from tests.guest.foreign.play import play
from tests.guest.foreign.table import PROGRAMS as FOREIGN
from ubypass.lab.logcheck import log_problems

__all__ = ["CASES", "main"]

_DATA_SIZE = 1 << 20

#: In the order in which they run: removing the module comes late.
CASES: dict[str, Callable[[], dict[str, Any]]] = {
    **{name: partial(run_twin, twin) for name, twin in TWIN_CASES.items()},
    **grown.CASES,
    **filtered.CASES,
    **everycall.CASES,
    **restarts.CASES,
    **membarrier.CASES,
    **cores.CASES,
    **hungfile.CASES,
    **observers.CASES,
    **sharing.CASES,
    "strace": special.strace,
    "reattach": special.reattach,
    "asleep": asleep.asleep,
    "family": special.family,
    **processes.CASES,
    "daemon-killed": special.daemon_killed,
    "service": service.service,
    "service-requests": service.requests,
    "service-containers": service_containers.labelled,
    "service-killed": service_killed.killed,
    "service-endures": service_endures.endures,
    "service-regions": service_limits.number,
    "service-cpu": service_limits.cpu,
    "service-memory": service_limits.memory,
    "selftest": partial(run_ub, "selftest", "--json"),
    "bad-input": badinput.bad_input,
    "cycles": cycles.cycles,
    "redis": servers.redis,
    "nginx": servers.nginx,
    "redis-unit": partial(servers.redis, 4_000, confined="unit"),
    "nginx-unit": partial(servers.nginx, confined="unit"),
    "nginx-container": partial(servers.nginx, confined="container"),
    "redis-survives": survive.redis,
    "nginx-survives": survive_nginx.nginx,
    "redis-suite": redissuite.part,
    **{f"foreign-{name}": partial(play, name) for name in FOREIGN},
    "rmmod": special.rmmod,
}


def main(arguments: list[str]) -> int:
    results, *names = arguments
    Path(DATA_FILE).write_bytes(random.Random(1).randbytes(_DATA_SIZE))
    with open(results, "a") as file:
        for name in names or CASES:
            print(f"guest: {name}", file=sys.stderr, flush=True)
            file.write(json.dumps(_run(name)) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return 0


def _run(name: str) -> dict[str, Any]:
    mark = f"ub-test-case {name} {time.monotonic_ns()}"
    Path("/dev/kmsg").write_text(mark)
    began = time.monotonic()
    line: dict[str, Any] = {"case": name}
    try:
        line["result"] = CASES[name]()
    except NotBoosted as error:
        line["error"] = f"the program was not boosted in time: {error}"
    except Exception:
        line["error"] = traceback.format_exc()
    line["seconds"] = round(time.monotonic() - began, 2)
    log = subprocess.run(["dmesg", "-r"], capture_output=True, check=True).stdout
    line["log_problems"] = log_problems(log.decode(errors="replace"), mark)
    return line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
