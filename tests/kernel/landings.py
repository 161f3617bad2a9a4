# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what landings cost, in instructions.

Prints a line of JSON: ``cost`` of a native call of getppid with a run behind it that
makes one more; ``runs`` and ``dispatched`` of the loop.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.kernel.overhead import leave_behind, measure, resume_address
from ubypass.bench.loop import Loop
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable

_ROUNDS = 3
_RARELY = 20  # one sample in 2^20 hits
_SEEN = 0.5  # seconds until the loop's site is known


def main(program: str) -> int:
    with Device() as device:
        device.tune(Tunable.GAP_NS, 100)  # nothing is so short
        device.tune(Tunable.GRACE_MS, 0)
        device.tune(Tunable.SHARE_BITS, 0)
        device.tune(Tunable.SAMPLE_BITS, _RARELY)
        procs = []

        def load(loop: Loop) -> None:
            procs.append(device.attach(loop.pid))
            time.sleep(_SEEN)
            resume = resume_address(device, procs[-1])
            with open(f"/proc/{loop.pid}/mem", "rb") as memory:
                memory.seek(resume)
                code = memory.read(1)
            made = leave_behind(1, resume, code, device.info())
            device.load(procs[-1], made)

        cost = measure(Path(program), load, _ROUNDS)
        stats = device.stats(procs[-1])
    said = {"cost": cost, "runs": stats.runs, "dispatched": stats.dispatched}
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
