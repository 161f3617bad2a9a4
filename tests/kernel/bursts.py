# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: does a process become idle that makes calls in short bursts?

Prints a line of JSON, instructions per turn of a loop of getppid: ``native``, and
``idle``, the median of the time after it should have become idle. Given
``--child`` it is the process itself, and prints what each part of its loop cost.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

from ubypass.device.client import Device
from ubypass.device.uapi import Tunable

# Seconds; a second of the guest takes ten of an emulator that counts.
_EPOCH = 0.25
_SECONDS = 12 * _EPOCH
# Until its one long site is decided, and the other has misled twice.
_UNSETTLED = 4 * _EPOCH
_TURNS = 1_000
# Half of what decides about a site, and more; less than the whole.
_BURST = 150
_PAUSE = _EPOCH  # between bursts


def _child() -> None:
    """Prints lines: seconds since its start, nanoseconds of a turn."""
    file = os.open("/dev/zero", os.O_RDONLY)
    began = burst = time.monotonic()
    while (now := time.monotonic()) - began < _SECONDS:
        if now - burst > _PAUSE:
            burst = now
            for _ in range(_BURST):
                os.lseek(file, 0, os.SEEK_SET)
        start = time.monotonic_ns()
        for _ in range(_TURNS):
            os.getppid()
        print(now - began, (time.monotonic_ns() - start) / _TURNS, flush=True)


def _measure(device: Device | None) -> float:
    """Median of a turn, in ns."""
    command = [sys.executable, "-S", "-m", "tests.kernel.bursts", "--child"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        if device is not None:
            device.attach(child.pid)
        lines += child.stdout
    rows = [tuple(map(float, line.split())) for line in lines]
    return statistics.median(cost for at, cost in rows if at > _UNSETTLED)


def main() -> int:
    results = {"native": _measure(None)}
    with Device() as device:
        device.tune(Tunable.GAP_NS, 100)  # nothing is so short
        device.tune(Tunable.GRACE_MS, 0)
        device.tune(Tunable.SHARE_BITS, 0)
        device.tune(Tunable.REST_BITS, 0)
        device.tune(Tunable.REARM_MS, int(_EPOCH * 1000))
        results["idle"] = _measure(device)
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(_child() if sys.argv[1:] == ["--child"] else main())
