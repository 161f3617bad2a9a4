# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: beside a boosted process, only the handlers it needs are hooked.

Prints a line of JSON. Numbers of handlers that the kernel says are hooked: ``whole``,
when anything may be found; ``spared``, when nothing new is; ``looked``, when everything
is looked at again; ``again``, after that; ``loaded``, when a region has just been
loaded; ``last``, while the program runs. ``kept``: whether the region stayed all the
while; ``dispatched``: calls; ``said``: what the program saw of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.kernel.handmade import translation
from tests.kernel.resting import hooks, tune, wait
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable

_EPOCH = 10  # ms
_SOON = 1
_HOOKED = Path("/sys/kernel/tracing/enabled_functions")


def _hooked() -> int:
    """Handlers with a direct call, by the kernel's own list; checks the module's."""
    found = _HOOKED.read_text().count("direct-->ub_trampoline")
    assert found == hooks()["hooked"][0], (found, hooks())
    return found


def _spare(device: Device) -> int:
    """Wait until handlers are unhooked; how many still are not."""
    unhooks = hooks()["unhooks"][0]
    device.tune(Tunable.REST_BITS, _SOON)
    wait(lambda: hooks()["unhooks"][0] > unhooks)
    return _hooked()


def main(program: str, count: str) -> int:
    found: dict[str, object] = {}
    with (
        Device() as device,
        subprocess.Popen(
            [program, count], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child,
    ):
        assert child.stdout
        assert child.stdin
        tune(device, _EPOCH)
        device.tune(Tunable.REST_BITS, 0)
        resume = int(child.stdout.readline(), 16)
        with open(f"/proc/{child.pid}/mem", "rb") as memory:
            memory.seek(resume)
            code = memory.read(8)
        made = translation(resume, code, device.info())
        proc = device.attach(child.pid)
        region = device.load(proc, made)
        found["whole"] = whole = _hooked()
        found["spared"] = _spare(device)
        device.tune(Tunable.REST_BITS, 0)
        wait(lambda: hooks()["hooked"][0] == whole)
        found["looked"] = _hooked()
        found["again"] = _spare(device)
        found["kept"] = device.regions(proc) == {region}
        device.load(proc, made, region)
        found["loaded"] = _hooked()
        found["last"] = _spare(device)
        child.stdin.write("\n")
        child.stdin.flush()
        found["said"] = child.stdout.read().strip()
        found["dispatched"] = device.stats(proc).dispatched
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
