# SPDX-License-Identifier: GPL-2.0-only
"""``ub`` that goes on boosting what does not pay off.

Emulated, little pays off; but what a server is put through while it is boosted shows
nothing if it is not.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from unittest import mock

from tests.guest.trained import Remembering
from tests.guest.unjudged import unjudged
from ubypass.cli import session
from ubypass.cli.main import main
from ubypass.cost.gap import GapProfile
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.build import Builder
from ubypass.engine.engine import Engine
from ubypass.engine.policy import Policy
from ubypass.engine.regions import Caps

__all__ = ["POLICY", "TUNE", "Engines", "engines", "stubborn"]

#: What is called a few times in a second is hot, however long its gaps are, and does
#: not fall asleep.
TUNE = {
    Tunable.HOT_CALLS: 8,
    Tunable.WINDOW_MS: 2000,
    Tunable.GAP_NS: 100_000_000,
    Tunable.REARM_MS: 250,
    Tunable.IDLE_RUNS: 10_000,
    Tunable.GRACE_MS: 0,
    Tunable.SHARE_BITS: 0,
}
POLICY = Policy(
    Caps(regions=16, code_bytes=1 << 20, rounds=1000),
    admission=AdmissionPolicy(max_distinct=300),
    trial=None,
)


def _objection(self: AdmissionPolicy, gap: GapProfile) -> str:
    """Only to what is too much to translate."""
    return "too many" if gap.distinct > self.max_distinct else ""


class _NoTrials:
    """In the place of :class:`ubypass.engine.trial.TrialPolicy`."""

    def slower(self, times: float) -> None:
        """No region is on trial, however slow the machine."""


@contextlib.contextmanager
def stubborn() -> Iterator[None]:
    """Meanwhile nothing that is attached in this process is judged, or on trial.

    What is never judged would stay on trial, and run for its credit only.
    """
    with (
        unjudged(),
        mock.patch.object(session, "TrialPolicy", _NoTrials),
        mock.patch.object(AdmissionPolicy, "objection", _objection),
        mock.patch.object(AdmissionPolicy, "pays_for_run", return_value=True),
    ):
        yield


class Engines:
    """Makes engines that boost whatever comes up more than once.

    ``build`` is what all of them build with.
    """

    def __init__(self, device: Device, policy: Policy = POLICY) -> None:
        builder = Builder(device.info())
        builder.warm_up()
        self.build = Remembering(builder)
        self._device = device
        self._policy = policy

    @contextlib.contextmanager
    def engine(self) -> Iterator[Engine]:
        """One of them; it detaches everything at its end."""
        engine = Engine(self._device, build=self.build, policy=self._policy)
        with contextlib.closing(engine):
            yield engine


@contextlib.contextmanager
def engines(
    policy: Policy = POLICY, tune: Mapping[Tunable, int] = TUNE
) -> Iterator[Engines]:
    """The device, tuned for it; as it was at the end."""
    with stubborn(), Device() as device:
        before = {what: device.tune(what, value) for what, value in tune.items()}
        try:
            yield Engines(device, policy)
        finally:
            for what, value in before.items():
                device.tune(what, value)


if __name__ == "__main__":
    # Beside servers and a load on one emulated processor, builds would take minutes.
    os.nice(-15)
    with stubborn():
        sys.exit(main())
