# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what attachment costs a program that is never boosted.

Prints a line of JSON: instructions per call natively, attached with the module's
usual tunables where nothing is hot, and natively again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from ubypass.bench.loop import Loop
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable

_COUNT = 100_000
_ROUNDS = 9


def _measure(program: Path, device: Device | None) -> float:
    """Median of rounds, in ns per call."""
    arguments = ["--call", "getppid", "--count", str(_COUNT), "--rounds", str(_ROUNDS)]
    with Loop(program, arguments) as loop:
        proc = device.attach(loop.pid) if device else 0
        time.sleep(0.3)
        loop.warm()
        loop.ready()
        result = loop.measure()
        if device:
            calls = device.stats(proc).native
            assert calls >= _COUNT * _ROUNDS, f"only {calls} calls were counted"
            sites = device.sites(proc)
            print(*sites, sep="\n", file=sys.stderr)
            device.detach(proc)
    return result.median


def main(program: str) -> int:
    results = {"native": _measure(Path(program), None)}
    with Device() as device:
        device.tune(Tunable.GAP_NS, 100)  # nothing is so short
        results["attached"] = _measure(Path(program), device)
    time.sleep(1.0)
    results["again"] = _measure(Path(program), None)
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    os.sched_setaffinity(0, {0})
    sys.exit(main(sys.argv[1]))
