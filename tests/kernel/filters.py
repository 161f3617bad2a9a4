# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what a seccomp filter costs a loop of getppid, natively and boosted.

    python -m tests.kernel.filters LOOP FILTER

Prints a line of JSON, instructions per turn of the loop, natively and in a translation
written by hand: without a filter (``none``), with one that allows all calls, which the
kernel knows beforehand (``bitmap``), and with one that has to be run for each, since it
looks at an argument (``run``). ``KIND timed`` is what the module says that a gap
takes in the translation, in ns, filters included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median

from tests.kernel.handmade import translation
from ubypass.device.client import Device

_COUNT = 100_000
_ROUNDS = 3
_KINDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "bitmap": ("--all",),
    "run": ("--look",),
}


def _turn(words: list[str], device: Device | None) -> tuple[float, int]:
    """ns for each turn, and what the module has timed of it."""
    with subprocess.Popen(
        [*words, str(_COUNT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        resume = int(child.stdout.readline(), 16)
        proc = timed = 0
        if device is not None:
            with open(f"/proc/{child.pid}/mem", "rb") as memory:
                memory.seek(resume)
                code = memory.read(8)
            proc = device.attach(child.pid)
            device.load(proc, translation(resume, code, device.info()))
        began = time.monotonic_ns()
        child.stdin.write("\n")
        child.stdin.flush()
        said = child.stdout.readline()
        passed = time.monotonic_ns() - began
        assert said.startswith("left 0 "), said
        child.wait()
        if device is not None:
            stats = device.stats(proc)
            assert stats.dispatched >= 0.99 * _COUNT, stats
            assert stats.filtered == 0, stats
            (site,) = (site for site in device.sites(proc) if site.ip == resume)
            assert site.boosted_samples, site
            timed = site.boosted_ns
            device.detach(proc)
    return passed / _COUNT, timed


def main(loop: str, launcher: str) -> int:
    found = {}
    with Device() as device:
        for kind, option in _KINDS.items():
            words = [launcher, *option, loop] if option else [loop]
            for name, how in ("native", None), ("boosted", device):
                rounds = [_turn(words, how) for _ in range(_ROUNDS)]
                found[f"{kind} {name}"] = round(median(turn for turn, _ in rounds), 1)
            found[f"{kind} timed"] = median(timed for _, timed in rounds)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
