# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what the module does in a second while an attached process rests.

Prints a line of JSON: ``native`` and ``resting``, CPU time of all kernel threads in ns
per second, with the module loaded and nothing attached, and with a process at rest. The
epoch is the usual one.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.kernel.resting import rest, tune
from ubypass import child
from ubypass.device.client import Device

_EPOCH = 10  # ms, until it rests
_USUAL = 1000  # ms
_SECONDS = 30


def _used() -> int:
    """CPU time of all kernel threads so far, in ns."""
    used = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not (process / "cmdline").read_bytes():
                used += int((process / "schedstat").read_text().split()[0])
        except OSError:
            continue  # it has just ended
    return used


def _rate() -> float:
    """ns per second, over some seconds."""
    began, before = time.monotonic(), _used()
    time.sleep(_SECONDS)
    return (_used() - before) / (time.monotonic() - began)


def main() -> int:
    found = {}
    with Device() as device:
        _rate()  # what the start of the guest has left behind
        found["native"] = _rate()
        tune(device, _EPOCH)
        quiet = child.start(["sleep", "1000"])
        proc = device.attach(quiet.pid)
        rest(device, [proc])
        tune(device, _USUAL)
        # Unhooking, with its waits for all tasks, goes on for a while.
        time.sleep(15.0)
        found["resting"] = _rate()
        assert device.stats(proc).resting
        child.end(quiet)
        device.detach(proc)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
