# SPDX-License-Identifier: GPL-2.0-only
"""An engine in the guest that works while something is waited for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.guest.unjudged import unjudged
from tests.guest.waiting import HANG
from ubypass.abi import Abi
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.engine.build import Builder
from ubypass.engine.engine import Engine
from ubypass.engine.policy import Policy
from ubypass.engine.ports import SharedLike
from ubypass.engine.target import Target
from ubypass.errors import UbError
from ubypass.process.status import identify

__all__ = ["Booster", "NotBoosted", "booster"]

#: As ``ub run`` does under emulation, where gaps look that much longer.
_GAP_NS = 80_000
#: In a window, a tenth of a second: a quarter of what the module asks for by default.
_HOT_CALLS = 50
_STEP = 0.02  # seconds


class NotBoosted(Exception):
    """A program was not dispatching in time: the case would show nothing."""


class Booster:
    """An engine, run by whoever waits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._followed: dict[int, Target] = {}
        self._marks: dict[int, int] = {}

    def attach(self, pid: int, *, trusted: bool = False) -> Target:
        self._engine.trust_if(lambda pid: trusted)
        target = self._engine.attach(identify(pid))
        self._engine.watch_end(target)
        self._followed[pid] = target
        return target

    def attach_family(self, pid: int) -> None:
        """Attach a process, its children, and those to come."""
        self._engine.watch_end(self._engine.attach(identify(pid), children=True))

    def busy(self, calls: int) -> int:
        """How many of the processes have dispatched that many calls."""
        return sum(
            target.refresh_stats().dispatched >= calls
            for target in self._engine.targets
        )

    def detach_all(self) -> None:
        """Let everything go on natively."""
        self._followed.clear()
        for target in self._engine.targets:
            target.gone = True
        self._engine.step(0)

    def wait(self, done: Callable[[], bool], seconds: float = HANG) -> bool:
        """Run the engine; whether ``done()`` came true in time."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                return False
            self._engine.step(_STEP)
            self._follow()
        return True

    def mark(self) -> None:
        """From here on :meth:`gained` counts."""
        self._marks = {
            target.proc: target.refresh_stats().dispatched
            for target in self._engine.targets
        }

    def gained(self, calls: int) -> bool:
        """Whether each process has dispatched that many calls since the mark."""
        return all(
            t.refresh_stats().dispatched - self._marks.get(t.proc, 0) >= calls
            for t in self._followed.values()
        )

    def wait_boosted(self, target: Target, calls: int = 2000) -> None:
        """Run the engine until ``calls`` more calls were dispatched."""
        goal = target.refresh_stats().dispatched + calls
        if not self.wait(lambda: target.refresh_stats().dispatched >= goal):
            raise NotBoosted(f"{target.refresh_stats()} {target.summary().notes}")

    def _follow(self) -> None:
        """Attach again what has replaced itself by exec, as ``ub run`` does."""
        for pid, target in list(self._followed.items()):
            if target not in self._engine.targets:
                with contextlib.suppress(UbError):
                    self.attach(pid, trusted=target.trusted)

    def summaries(self) -> list[dict[str, object]]:
        """The figures of everything attached so far."""
        return [summary.as_json() for summary in self._engine.summaries()]


@contextlib.contextmanager
def booster(
    shared: Callable[[Abi], SharedLike | None] = lambda abi: None,
) -> Iterator[Booster]:
    """An engine of one's own, whatever pays; everything is detached at the end.

    ``shared``: opens translations of other machines.
    """
    with unjudged(), Device() as device:
        device.tune(Tunable.GAP_NS, _GAP_NS)
        # Programs are short here, and slow on a busy machine, and to be boosted all the
        # same.
        device.tune(Tunable.HOT_CALLS, _HOT_CALLS)
        device.tune(Tunable.GRACE_MS, 0)
        device.tune(Tunable.SHARE_BITS, 0)
        # An emulator's clock would decide trials, too.
        policy = Policy(trial=None)
        abi = device.info()
        engine = Engine(
            device,
            build=Builder(abi, shared(abi)),
            build_trusted=Builder(replace(abi, trusted=True)),
            policy=policy,
        )
        with contextlib.closing(engine):
            yield Booster(engine)
