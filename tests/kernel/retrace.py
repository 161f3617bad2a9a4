# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: how often a gap is traced whose region is replaced again and again.

Prints a line of JSON: for each region the lengths of the paths traced behind the call,
while there is one path, and then while there is another one.
"""

from __future__ import annotations

import json
import sys
import time

from tests.kernel.handmade import started, translation
from ubypass.device.client import Device
from ubypass.device.uapi import EventType, Tunable

_REGIONS = 40
_TURNS = "50"
#: In which a region is sampled often.
_RUNS = 100
_CALL = 110
_LOOK = 0.002  # seconds


class _Loop:
    def __init__(self, device: Device, program: str) -> None:
        self.device = device
        self.child, self.resume, code = started(program, _TURNS, 8)
        assert self.child.stdout
        self._turns = int(self.child.stdout.readline(), 16)
        self._made = translation(self.resume, code, device.info())
        self.proc = device.attach(self.child.pid)
        self._region = 0

    def start(self) -> None:
        assert self.child.stdin
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def renew(self) -> list[int]:
        """Replace the region; lengths of the paths traced behind its call."""
        self._region = self.device.load(self.proc, self._made, self._region)
        before = self.device.stats(self.proc).runs
        found = []
        while self.device.stats(self.proc).runs - before < _RUNS:
            time.sleep(_LOOK)
            for event in self.device.events():
                path = None
                if event.type is EventType.PATH:
                    path = self.device.path(self.proc)
                if path is not None and path.key == (self.resume, _CALL):
                    found.append(len(path.ips))
        return found

    def shorten(self) -> None:
        """From now on each call is behind the last turn."""
        with open(f"/proc/{self.child.pid}/mem", "r+b") as memory:
            memory.seek(self._turns)
            memory.write((1).to_bytes(8, "little"))


def main(program: str) -> int:
    with Device() as device:
        device.tune(Tunable.GRACE_MS, 0)
        device.tune(Tunable.SHARE_BITS, 0)
        # Also entries from which nothing is dispatched are taken.
        device.tune(Tunable.IDLE_RUNS, 1_000_000_000)
        loop = _Loop(device, program)
        loop.start()
        said = {"one path": [loop.renew() for _ in range(_REGIONS)]}
        loop.shorten()
        said["another path"] = [loop.renew() for _ in range(_REGIONS)]
        print(json.dumps(said), flush=True)
        loop.child.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
