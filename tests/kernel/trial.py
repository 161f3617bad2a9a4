# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what a region on trial may take, against the module alone.

Prints a line of JSON for each number of threads; see ``test_trial.py``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict

from tests.kernel.handmade import started, translation
from ubypass.device.client import Device, Gone
from ubypass.device.types import Event, Lease, Trial
from ubypass.device.uapi import EventType, TrialState, Tunable

_CREDIT = 300_000  # ns
_MORE = 500_000
_LEASE = 100_000_000
_SHORT = 20_000_000
_LIMIT = 60.0  # seconds
_PAUSE = 0.2


class Watch:
    """One loop, its attachment, and what the module says of it."""

    def __init__(self, device: Device, program: str, threads: int) -> None:
        self.device = device
        self.child, self.resume, self.code = started(program, str(threads), 8)
        self.proc = device.attach(self.child.pid)
        self.events: list[Event] = []

    def start(self) -> None:
        assert self.child.stdin
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def load(self, trial_ns: int, replace: int = 0) -> int:
        what = translation(self.resume, self.code, self.device.info())
        return self.device.load(self.proc, what, replace, trial_ns=trial_ns)

    def wait(self, region: int, *, ending: bool = False) -> bool:
        """Is there an event that the region is over? ``ending``: runs meanwhile."""
        end = time.monotonic() + _LIMIT
        while time.monotonic() < end:
            self.events += self.device.events()
            for event in self.events:
                if event.type is EventType.TRIAL and event.region == region:
                    self.events.remove(event)
                    return True
            if ending:
                os.kill(self.child.pid, signal.SIGSTOP)
                os.kill(self.child.pid, signal.SIGCONT)
            time.sleep(0.01)
        return False

    def moved(self) -> dict[str, int]:
        """Calls dispatched and made natively in a moment from now."""
        before = self.device.stats(self.proc)
        time.sleep(_PAUSE)
        after = self.device.stats(self.proc)
        return {
            "dispatched": after.dispatched - before.dispatched,
            "native": after.native - before.native,
        }

    def now(self, region: int) -> dict[str, int]:
        return _plain(self.device.trial(self.proc, region))


def _plain(trial: Trial) -> dict[str, int]:
    return {name: int(value) for name, value in asdict(trial).items()}


def _is_gone(watch: Watch, region: int) -> bool:
    try:
        watch.device.trial(watch.proc, region)
    except Gone:
        return True
    return False


def _renewing(watch: Watch, region: int) -> dict[str, object]:
    """Leases that the module renews by itself, as long as there is a gain."""
    said: dict[str, object] = {}
    device, pid = watch.device, watch.child.pid
    device.confirm(watch.proc, region, Lease(_SHORT, saving=100.0, run=100.0))
    time.sleep(10 * _SHORT / 1e9)
    # It is idle for a moment if the host does not run the loop for a whole lease.
    _until(watch, region, TrialState.NONE)
    said["gains"] = watch.now(region) | watch.moved()

    os.kill(pid, signal.SIGSTOP)
    said["idle"] = _until(watch, region, TrialState.IDLE)
    os.kill(pid, signal.SIGCONT)
    said["awake"] = _until(watch, region, TrialState.NONE)
    said["then gains"] = watch.now(region) | watch.moved()

    # No run is worth that; but one has to end, which with a processor for itself it may
    # not do for minutes.
    device.confirm(watch.proc, region, Lease(_SHORT, saving=1.0, run=1e9))
    said["loses"] = watch.wait(region, ending=True)
    said["after losing"] = watch.now(region) | watch.moved()
    return said


def _until(watch: Watch, region: int, state: TrialState) -> bool:
    end = time.monotonic() + _LIMIT
    while time.monotonic() < end:
        if watch.device.trial(watch.proc, region).state is state:
            return True
        time.sleep(0.01)
    return False


def _play(device: Device, program: str, threads: int) -> dict[str, object]:
    watch = Watch(device, program, threads)
    said: dict[str, object] = {"threads": threads, "resume": watch.resume}
    region = watch.load(_CREDIT)
    said["loaded"] = watch.now(region)
    watch.start()

    said["spent"] = watch.wait(region)
    said["after"] = watch.now(region)
    said["then"] = watch.moved()
    said["site"] = [
        {
            "native": site.native_samples,
            "boosted": site.boosted_samples,
            "runs": site.runs,
            "dispatched": site.dispatched,
            "overhead": site.overhead_ns,
        }
        for site in device.sites(watch.proc)
        if site.ip == watch.resume
    ]

    device.grant(watch.proc, region, _MORE)
    said["spent again"] = watch.wait(region)
    # Two runs that were interrupted may use up the first credit, before any entry is
    # traced; both credits together last for all gaps that are timed before.
    path = device.path(watch.proc)
    said["path"] = list(path.ips) if path is not None else []
    said["after more"] = watch.now(region)

    said["before confirming"] = _plain(device.confirm(watch.proc, region))
    said["confirmed"] = watch.moved()
    said["unlimited"] = watch.now(region)

    device.confirm(watch.proc, region, Lease(_LEASE))
    said["lease"] = watch.wait(region)
    said["lease over"] = watch.now(region)
    said["after the lease"] = watch.moved()

    # One that is renewed in time does not end.
    for _ in range(10):
        device.confirm(watch.proc, region, Lease(10 * _LEASE))
        time.sleep(0.05)
    said["renewed"] = watch.moved()
    said.update(_renewing(watch, region))

    # Unlimited runs end when it is on trial again.
    device.grant(watch.proc, region, _CREDIT)
    said["back"] = watch.wait(region)
    said["after back"] = watch.moved()

    device.confirm(watch.proc, region)
    better = watch.load(_CREDIT, region)
    said["old is gone"] = _is_gone(watch, region)
    said["new"] = watch.wait(better)
    said["after new"] = watch.now(better)
    device.grant(watch.proc, better, 100 * _MORE)
    device.unload(watch.proc, better)
    said["unloaded"] = watch.moved()

    # Killed while it is on trial.
    watch.load(10 * _MORE)
    watch.child.kill()
    watch.child.wait()
    device.detach(watch.proc)
    return said


def main(program: str, *threads: str) -> int:
    with Device() as device:
        device.tune(Tunable.REARM_MS, 50)
        # The budget of samples of a program that has just begun is too small.
        device.tune(Tunable.SHARE_BITS, 0)
        for number in threads:
            print(json.dumps(_play(device, program, int(number))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
