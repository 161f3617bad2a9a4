# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: where the FPU says that x87 instructions stand, boosted and not.

Prints one line for each run: what the program said, and how often its region ran.
"""

from __future__ import annotations

import subprocess
import sys

from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.process.memory import ProcessMemory
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.translate.translate import translate
from ubypass.verify.check import check


def main(program: str, count: str) -> int:
    with Device() as device:
        # Nothing is dispatched here: it must be run all the same.
        device.tune(Tunable.IDLE_RUNS, 1_000_000)
        abi = device.info()
        print(f"usable {abi.x87}")
        for boosted in (False, True):
            child = subprocess.Popen(
                [program, count],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert child.stdout
            assert child.stdin
            resume = int(child.stdout.readline(), 16)
            proc = device.attach(child.pid)
            x87 = False
            if boosted:
                spec = RegionSpec((HotEntry(resume, 110),), seeds=(resume,))
                # The loop alone, not what prints.
                region = discover(spec, ProcessMemory(child.pid), Limits(reach=32))
                translation = translate(region, abi)
                check(translation, abi)
                x87 = translation.x87
                device.load(proc, translation)
            child.stdin.write("\n")
            child.stdin.flush()
            said = child.stdout.read().strip()
            status = child.wait()
            stats = device.stats(proc)
            print(f"status {status}; {said}; x87 {x87} runs {stats.runs}")
            device.detach(proc)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
