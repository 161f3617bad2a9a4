# SPDX-License-Identifier: GPL-2.0-only
"""In the machine: loops around system calls, translated at once and boosted.

``python -m tests.ibt.inside PROGRAM TURNS`` prints one line of JSON for each kind of
loop (calls.c): how many results were wrong, and how many calls were dispatched. The
translation is loaded before the first turn: finding out what is hot would take the
emulator minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys

from ubypass.device.client import Device
from ubypass.process.memory import ProcessMemory
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.translate.translate import translate
from ubypass.verify.check import check

#: Kinds of loops, and the numbers of their calls.
KINDS = {"getppid": (110,), "filtered": (110,), "pread": (17,), "close": (257, 3)}


def main(program: str, turns: str) -> int:
    """Run all kinds; 1 if a program failed."""
    failed = False
    with Device() as device:
        for kind, numbers in KINDS.items():
            child = subprocess.Popen(
                [program, kind, turns],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert child.stdout
            assert child.stdin
            places = [int(word, 16) for word in child.stdout.readline().split()]
            entries = tuple(map(HotEntry, places, numbers))
            proc = device.attach(child.pid)
            spec = RegionSpec(entries, seeds=tuple(places))
            region = discover(spec, ProcessMemory(child.pid), Limits(reach=256))
            translation = translate(region, device.info())
            check(translation, device.info())
            device.load(proc, translation)
            child.stdin.write("\n")
            child.stdin.flush()
            said = child.stdout.read().strip()
            failed |= child.wait() != 0
            stats = device.stats(proc)
            line = {
                "kind": kind,
                "said": said,
                "native": stats.native,
                "dispatched": stats.dispatched,
                "runs": stats.runs,
                "vector": translation.vector,
            }
            print(json.dumps(line), flush=True)
            device.detach(proc)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
