# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: as many regions as a full arena has, with the faults of usual code.

Prints one line of JSON: how many regions were loaded, their bytes and faults, why no
more, and what came of the program that has the last one.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from tests.kernel.handmade import started, translation
from ubypass.abi import Fault
from ubypass.device.client import Device
from ubypass.errors import UbError

_SIZE = 220_000
_EVERY = 47  # bytes of code with one fault: translations of the C library
_TURNS = 1000


def main(program: str) -> int:
    """Load copies until the module refuses one, then run the program."""
    with Device() as device:
        child, resume, code = started(program, str(_TURNS), 8)
        proc = device.attach(child.pid)
        made = translation(resume, code, device.info())
        at = range(len(made.code), _SIZE, _EVERY)
        made = replace(
            made,
            code=made.code.ljust(_SIZE, b"\x90"),
            faults=tuple(Fault(offset, len(made.code)) for offset in at),
            constants=_SIZE,
        )
        loaded, why = 0, ""
        while not why:
            try:
                device.load(proc, made)
                loaded += 1
            except UbError as error:
                why = error.message
        said, _ = child.communicate("\n")
        stats = device.stats(proc)
        line = {
            "loaded": loaded,
            "bytes": loaded * _SIZE,
            "faults": loaded * len(made.faults),
            "why": why,
            "status": child.returncode,
            "said": said.strip(),
            "dispatched": stats.dispatched,
        }
        print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
