# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: a loop of getppid that gains nothing rests, until it may gain.

Prints a line of JSON. Instructions per call: ``native``; ``resting``, attached and at
rest; ``beside``, of a process that is not attached while handlers are hooked for
another one, and ``rested``, while that one rests. ``counted`` and ``uncounted``: calls
that were counted at rest, CPU seconds that were not; ``changed``: seconds until a look
has found what became worth it; ``hook`` and ``unhook``: CPU time that it takes, in ns;
``looks``: their number.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ubypass import child
from ubypass.bench.loop import Loop
from ubypass.device.client import Device
from ubypass.device.uapi import EventType, Tunable

__all__ = ["hooks", "rest", "tune", "wait"]

_COUNT = 100_000
_ROUNDS = 9
_EPOCH = 100  # ms
_LIMIT = 600.0  # seconds, for what hangs
_NEVER = 20  # as REST_BITS: looks come once in hours
_SOON = 3
_STATS = Path("/sys/kernel/debug/ub/stats")


def _loop(program: Path) -> Loop:
    arguments = ["--call", "getppid", "--count", str(_COUNT), "--rounds", str(_ROUNDS)]
    return Loop(program, arguments)


def _measure(loop: Loop) -> float:
    """Median of rounds, in ns per call."""
    loop.warm()
    loop.ready()
    return loop.measure().median


def wait(
    done: Callable[[], bool], between: Callable[[], object] = lambda: time.sleep(0.05)
) -> float:
    """Seconds until ``done()``; raises TimeoutError if that takes too long.

    ``between``: called between two looks.
    """
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > _LIMIT:
            raise TimeoutError(f"nothing has changed: {hooks()}")
        between()
    return time.monotonic() - began


def hooks() -> dict[str, list[int]]:
    """What the module says of its hooks: the numbers of each line."""
    found = {}
    for line in _STATS.read_text().splitlines():
        name, *rest = line.split()
        found[name] = [int(word) for word in rest if word.isdigit()]
    return found


def tune(device: Device, epoch: int = _EPOCH) -> None:
    """Have processes watched at once, and their sites decided soon."""
    device.tune(Tunable.GAP_NS, 100)  # nothing is so short
    device.tune(Tunable.GRACE_MS, 0)
    device.tune(Tunable.SHARE_BITS, 0)
    device.tune(Tunable.REARM_MS, epoch)


def rest(
    device: Device,
    procs: Sequence[int],
    between: Callable[[], object] = lambda: time.sleep(0.05),
) -> None:
    """Let the processes come to rest, and rest on; ``between``: see :func:`wait`."""
    device.tune(Tunable.REST_BITS, _SOON)
    wait(
        lambda: (
            all(device.stats(proc).resting for proc in procs)
            and not hooks()["hooked"][0]
        ),
        between,
    )
    device.tune(Tunable.REST_BITS, _NEVER)


def main(program: str) -> int:
    path = Path(program)
    results: dict[str, float] = {}
    with _loop(path) as loop:
        results["native"] = _measure(loop)
    with Device() as device:
        tune(device)
        device.tune(Tunable.REST_BITS, 0)
        quiet = child.start(["sleep", "1000"])
        proc = device.attach(quiet.pid)
        with _loop(path) as loop:
            results["beside"] = _measure(loop)
        assert not device.stats(proc).resting
        rest(device, [proc])
        with _loop(path) as loop:
            results["rested"] = _measure(loop)
        child.end(quiet)
        device.detach(proc)

        with _loop(path) as loop:
            proc = device.attach(loop.pid)
            rest(device, [proc])
            before = device.stats(proc)
            results["resting"] = _measure(loop)
            after = device.stats(proc)
            assert after.resting
            results["counted"] = after.native - before.native
            results["uncounted"] = (after.uncounted_ns - before.uncounted_ns) / 1e9

        with _loop(path) as loop:
            proc = device.attach(loop.pid)
            rest(device, [proc])
            device.events()
            # From now on the loop, which still warms up, is short enough.
            device.tune(Tunable.GAP_NS, 1_000_000)
            device.tune(Tunable.REST_BITS, _SOON)
            results["changed"] = wait(
                lambda: any(e.type is EventType.HOT for e in device.events())
            )
            assert not device.stats(proc).resting
            _measure(loop)
        said = hooks()
        results["hook"], results["unhook"] = said["hooks"][1], said["unhooks"][1]
        results["looks"] = said["looks"][0]
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
