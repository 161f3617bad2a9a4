# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what it costs a program to be tried where translations lose.

No cost model keeps the engine from it. Prints a line of JSON for each program and way:
``asleep``, attached, but no site is ever hot; ``tried``; ``unlimited``, without trials.
``first`` and ``second``: CPU time of the program's halves in ns; ``dispatched``: calls.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from unittest import mock

from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.build import Builder
from ubypass.engine.engine import Engine
from ubypass.engine.policy import Policy
from ubypass.engine.trial import TrialPolicy
from ubypass.process.status import identify

_COUNT = 2_000
_NEVER = 100  # ns: nothing is so short
_GAP = 20_000  # ns
#: Attempts until a program is boosted soon, and what is soon, in seconds. The clock of
#: the guest goes on while the engine waits for a host that is busy.
_TRIES, _SOON = 4, 0.6


@contextlib.contextmanager
def _unforeseen() -> Iterator[None]:
    """Meanwhile everything is tried."""
    with (
        mock.patch.object(AdmissionPolicy, "objection", return_value=""),
        mock.patch.object(AdmissionPolicy, "pays_for_run", return_value=True),
    ):
        yield


def _measure(
    device: Device, build: Builder, command: list[str], way: str, policy: Policy
) -> dict[str, object]:
    device.tune(Tunable.GAP_NS, _NEVER if way == "asleep" else _GAP)
    with (
        contextlib.closing(Engine(device, build=build, policy=policy)) as engine,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child,
    ):
        target = engine.attach(identify(child.pid))
        engine.watch_end(target)
        assert child.stdin
        assert child.stdout
        child.stdin.write(b"\n")
        child.stdin.close()
        engine.run(lambda: not engine.targets)
        (summary,) = engine.summaries()
        print(*summary.notes, *_blocks(target), sep="\n", file=sys.stderr)
        first, second = map(int, child.stdout.read().split())
    return {
        "way": way,
        "first": first,
        "second": second,
        "dispatched": summary.stats.dispatched,
        "runs": summary.stats.runs,
        "loads": summary.loads,
        "boosted_after": summary.first_boost_seconds,
    }


def _blocks(target: object) -> list[str]:
    judged = getattr(target, "judgements", {})
    return [f"{ip:#x}: {each}" for ip, each in judged.items()]


def main(program: str, rounds: str) -> int:
    ways = {
        "asleep": Policy(),
        "tried": Policy(trial=TrialPolicy()),
        "unlimited": Policy(trial=None),
    }
    with _unforeseen(), Device() as device:
        device.tune(Tunable.GRACE_MS, 0)
        # One epoch: calls of a process that rests cost less, which would hide the rest.
        device.tune(Tunable.REARM_MS, 3_600_000)
        # Else the program may be over before the first translation: what has to be read
        # for that comes from the host, for which the guest's clock does not wait.
        build = Builder(device.info())
        build.warm_up()
        for kind in ("always", "later"):
            for way, policy in ways.items():
                command = [program, kind, rounds, str(_COUNT)]
                for _ in range(_TRIES):
                    said = _measure(device, build, command, way, policy)
                    if way == "asleep" or _is_soon(said["boosted_after"]):
                        break
                print(json.dumps({"kind": kind, **said}), flush=True)
    return 0


def _is_soon(seconds: object) -> bool:
    return isinstance(seconds, float) and seconds < _SOON


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
