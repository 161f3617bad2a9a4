# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: a program that looks for trap flags, while its gaps are traced.

Prints what the program said, and of the ways that were traced: how many, how many of
them begin where they should, of how many sites, and how long they are; and how many
sites were said to be hot, how many of those were traced, and how many at once.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys

from ubypass.device.client import Device
from ubypass.device.types import Path
from ubypass.device.uapi import EventType, Tunable


def _collect(
    device: Device, proc: int, ended: int
) -> tuple[list[Path], set[int], set[int]]:
    """All ways until the file descriptor ``ended`` is readable, and all hot sites.

    Last, those whose way came next when they were first said to be hot.
    """
    found = []
    hot = set()
    prompt = set()
    latest = 0
    while True:
        ready, _, _ = select.select([device, ended], [], [])
        if device in ready:
            for event in device.events():
                if event.type is EventType.HOT:
                    latest = 0 if event.ip in hot else event.ip
                    hot.add(event.ip)
                path = device.path(proc) if event.type is EventType.PATH else None
                if path is not None:
                    found.append(path)
                    if path.ip == latest:
                        prompt.add(latest)
                    latest = 0
        elif ready:
            return found, hot, prompt


def main(program: str, rounds: str, calls: str = "") -> int:
    """Observe ``program ROUNDS`` (or seconds); it may come with more arguments."""
    with Device() as device:
        device.tune(Tunable.GAP_NS, 1_000_000)
        # As soon as there is something, and whatever it costs.
        device.tune(Tunable.GRACE_MS, 0)
        device.tune(Tunable.SHARE_BITS, 0)
        # However seldom they are called, and again and again; or as always.
        device.tune(Tunable.HOT_CALLS, int(calls or 1))
        if not calls:
            device.tune(Tunable.REARM_MS, 10)
        child = subprocess.Popen(
            [*program.split(), rounds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        proc = device.attach(child.pid)
        assert child.stdin
        assert child.stdout
        child.stdin.write("\n")
        child.stdin.flush()
        ended = os.pidfd_open(child.pid)
        paths, hot, prompt = _collect(device, proc, ended)
        print(child.stdout.read().strip())
        right = sum(path.nr == 110 and path.ips[0] == path.ip for path in paths)
        lengths = sorted({len(path.ips) for path in paths})
        print(f"paths {len(paths)} right {right} sites {len({p.ip for p in paths})}")
        print("lengths", *lengths)
        traced = hot & {path.ip for path in paths}
        print(f"hot {len(hot)} traced {len(traced)} prompt {len(prompt)}")
        return child.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
