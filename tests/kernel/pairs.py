# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: entries of two calls that return to one address.

Prints a line of JSON: how often each entry was taken by each call, with the entries of
both calls and of one, the sites that the module lists, and which loads it refuses.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.kernel.handmade import assemble, is_refused, slot, started
from ubypass.abi import (
    Entry,
    Exit,
    ExitFlag,
    ExitReason,
    Source,
    Translation,
)
from ubypass.device.client import Device

_GETPPID, _GETPID, _EXIT = 110, 39, 60


def _translation(resume: int, code: bytes, calls: Sequence[int]) -> Translation:
    """Counts in r14 behind getppid, in r15 behind getpid, and leaves at once."""
    binary, at = assemble(f"""
first:  inc qword ptr [rsp+{slot("r14")}]
        jmp out
second: inc qword ptr [rsp+{slot("r15")}]
out:    mov dword ptr [rsp], 0
        .byte 0xe9
leave:  .long 0
""")
    places = {_GETPPID: at["first"], _GETPID: at["second"]}
    flags = ExitFlag.SLOT_SYSFLAGS | ExitFlag.CX_SYS | ExitFlag.R11_SYS
    return Translation(
        code=binary,
        entries=tuple(Entry(resume, places[nr], nr) for nr in calls),
        exits=(Exit(resume, ExitReason.UNSUPPORTED, flags, resume),),
        faults=(),
        dispatches=(),
        jumps=(at["leave"],),
        sources=(Source(resume, code),),
        constants=len(binary),
    )


def _play(device: Device, program: str, count: str, calls: Sequence[int]) -> Any:
    child, resume, code = started(program, count, 4)
    assert child.stdout
    assert child.stdin
    proc = device.attach(child.pid)
    made = _translation(resume, code, calls)
    first = made.entries[0]
    bad = replace(made, entries=(replace(first, nr=_EXIT),))
    twice = replace(made, entries=(*made.entries, first))
    refused = [is_refused(device, proc, each) for each in (bad, twice)]
    region = device.load(proc, made)
    child.stdin.write("\n")
    child.stdin.flush()
    taken = [int(word) for word in child.stdout.readline().split()]
    listed = sorted(site.nr for site in device.sites(proc) if site.ip == resume)
    assert region
    child.wait()
    device.detach(proc)
    return {"taken": taken, "sites": listed, "refused": refused}


def main(program: str, count: str) -> int:
    with Device() as device:
        both, one = (
            _play(device, program, count, calls)
            for calls in ((_GETPPID, _GETPID), (_GETPPID,))
        )
    print(json.dumps({"both": both, "one": one}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
