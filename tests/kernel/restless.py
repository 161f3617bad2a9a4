# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: processes are attached, rest, are loaded and detached all at once.

Each of several threads starts loops of loop.c, one after the other, and attaches,
loads, unloads and detaches them at times of chance, while another one changes how long
they rest. Prints a line of JSON: ``loops``, how many ended; ``wrong``, what those said
that were disturbed; ``loads``; ``dispatched``, their calls; ``hooks``, ``unhooks``,
``rests``, ``looks``: what the module counted.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from tests.kernel.handmade import translation
from tests.kernel.resting import hooks, tune
from ubypass.device.client import Device, Gone
from ubypass.device.uapi import Tunable
from ubypass.errors import UbError

_THREADS = 3
_EPOCH = 10  # ms, the shortest
_RIGHT = "left 0 r8 1111 r12 2222 rcx resume"
#: Seconds before a load, in some of which all processes come to rest, and after one,
#: in some of which handlers are spared.
_BEFORE = (0.0, 0.02, 0.5, 2.0, 4.0)
_AFTER = (0.0, 0.02, 0.2, 2.0)
_TUNING = 0.7  # seconds between two settings
#: Most of the time processes rest soon.
_BITS = (1, 1, 1, 20, 0)


@dataclass
class _Found:
    loops: int = 0
    wrong: list[str] = field(default_factory=list)
    loads: int = 0
    refused: list[str] = field(default_factory=list)
    dispatched: int = 0


def _start(child: subprocess.Popen[str]) -> None:
    assert child.stdin
    child.stdin.write("\n")
    child.stdin.flush()


def _one(device: Device, program: str, count: int, chance: random.Random) -> _Found:
    """The life of one loop."""
    found = _Found(loops=1)
    child = subprocess.Popen(
        [program, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    assert child.stdin
    resume = int(child.stdout.readline(), 16)
    with open(f"/proc/{child.pid}/mem", "rb") as memory:
        memory.seek(resume)
        code = memory.read(8)
    made = translation(resume, code, device.info())
    proc = device.attach(child.pid)
    steps = chance.randrange(4)
    # At once, with a region, or after all of them.
    start = chance.randrange(-1, steps + 1)
    if start == -1:
        _start(child)
    with contextlib.suppress(Gone):
        for step in range(steps):
            time.sleep(chance.choice(_BEFORE))
            try:
                region = device.load(proc, made)
            except UbError as error:  # its memory may be gone already
                found.refused.append(str(error))
                break
            found.loads += 1
            if step == start:
                _start(child)
            time.sleep(chance.choice(_AFTER))
            device.unload(proc, region)
        if start == steps:
            _start(child)
        time.sleep(chance.choice(_BEFORE))
    with contextlib.suppress(Gone):
        found.dispatched = device.stats(proc).dispatched
    device.detach(proc)
    child.stdin.close()  # starts it, if a load was refused
    said = child.stdout.read().strip()
    if child.wait() or said != _RIGHT:
        found.wrong.append(said)
    return found


def _work(
    program: str, count: int, seed: int, until: float, out: list[_Found | Exception]
) -> None:
    chance = random.Random(seed)
    try:
        while time.monotonic() < until:
            # Closing the device detaches as well.
            with Device() as device:
                for _ in range(chance.randrange(1, 4)):
                    out.append(_one(device, program, count, chance))
    except Exception as error:
        out.append(error)


def main(program: str, count: str, seconds: str) -> int:
    out: list[_Found | Exception] = []
    until = time.monotonic() + float(seconds)
    with Device() as device:
        tune(device, _EPOCH)
        threads = [
            threading.Thread(target=_work, args=(program, int(count), n, until, out))
            for n in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        chance = random.Random(99)
        while any(thread.is_alive() for thread in threads):
            device.tune(Tunable.REST_BITS, chance.choice(_BITS))
            time.sleep(_TUNING)
    said = hooks()
    each = [found for found in out if isinstance(found, _Found)]
    print(
        json.dumps(
            {
                "loops": sum(found.loops for found in each),
                "wrong": [text for found in each for text in found.wrong],
                "loads": sum(found.loads for found in each),
                "dispatched": sum(found.dispatched for found in each),
                "refused": [text for found in each for text in found.refused],
                "errors": [repr(error) for error in out if error not in each],
                "hooks": said["hooks"][0],
                "unhooks": said["unhooks"][0],
                "rests": said["rests"][0],
                "looks": said["looks"][0],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
