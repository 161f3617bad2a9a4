# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: a program that first loses and rests, and gains later.

Prints a line of JSON: ``rested``, whether the program came to rest while its gap was
slower in a translation; ``boosted``, whether most calls were dispatched once it was
not, ``after``, how many seconds later, and ``share``, of them; ``uncounted``, CPU
time in seconds; ``looks``, at processes at rest.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time

from tests.guest.boost import Booster
from tests.guest.grown import Share
from tests.kernel.resting import hooks
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.engine.build import Builder
from ubypass.engine.engine import Engine
from ubypass.engine.policy import Policy

_GAP = 20_000  # ns
_EPOCH = 20  # ms
#: A look takes an eighth of the CPU time: it has to come within some seconds.
_BITS = 3


def main(program: str) -> int:
    with Device() as device:
        device.tune(Tunable.GRACE_MS, 0)
        device.tune(Tunable.GAP_NS, _GAP)
        device.tune(Tunable.REARM_MS, _EPOCH)
        device.tune(Tunable.REST_BITS, _BITS)
        build = Builder(device.info())
        build.warm_up()
        with (
            contextlib.closing(
                Engine(device, build=build, policy=Policy(trial=None))
            ) as engine,
            subprocess.Popen([program]) as child,
        ):
            booster = Booster(engine)
            target = booster.attach(child.pid)
            rested = booster.wait(
                lambda: target.refresh_stats().resting and not hooks()["hooked"][0]
            )
            print(*device.sites(target.proc), hooks(), sep="\n", file=sys.stderr)
            child.send_signal(signal.SIGUSR1)
            began = time.monotonic()
            share = Share(target)
            # Calls so far, which do not count.
            share.is_large()
            boosted = booster.wait(share.is_large)
            after = time.monotonic() - began
            print(*device.sites(target.proc), hooks(), sep="\n", file=sys.stderr)
            (summary,) = engine.summaries()
            child.kill()
    print(
        json.dumps(
            {
                "rested": rested,
                "boosted": boosted,
                "after": after,
                "share": share.last,
                "uncounted": summary.uncounted_seconds,
                "looks": hooks()["looks"][0],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
