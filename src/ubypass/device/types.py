# SPDX-License-Identifier: GPL-2.0-only
"""The data of the device as plain Python values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ubypass.abi import ExitReason, SiteKey
from ubypass.device.uapi import (
    DECLINE_LASTING,
    Decline,
    EventType,
    SiteVerdict,
    TrialState,
)

__all__ = [
    "Counts",
    "Event",
    "Lease",
    "Path",
    "Site",
    "Stats",
    "Trial",
    "is_lasting",
]


#: Bytes of the instruction of a system call.
_SYSCALL = 2


@dataclass(frozen=True, slots=True)
class Event:
    """One event (``struct ub_event``). Addresses are the program's own.

    ``nr``: a system call number (HOT) or an ``ExitReason`` (MISS). ``target``: an
    address (MISS; with reason SYSCALL a call number, with reason FAULT the registers
    that hold no user address, one bit each), the PID of a descendant (FORK, EXEC), or
    the number of lost events (LOST). ``stack``: the words of the user stack from ``sp``
    upwards. ``time_ns``: CLOCK_MONOTONIC. ``exit``: the number of an exit (MISS), or
    the reason why the thread would be declined (HOT, a ``Decline``).
    """

    type: EventType
    proc: int
    nr: int = 0
    time_ns: int = 0
    tid: int = 0
    region: int = 0
    ip: int = 0
    target: int = 0
    sp: int = 0
    gap_ns: int = 0
    exit: int = 0
    stack: tuple[int, ...] = ()

    @property
    def key(self) -> SiteKey:
        """The site (HOT)."""
        return SiteKey(self.ip, self.nr)


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of one attachment since its start (``struct ub_stats``).

    ``native``: allow-listed calls that took the normal path; ``dispatched``: calls made
    from translations; ``runs``: entries into regions; ``declined``: entries that were
    possible but declined; ``declines``: their number by reason; ``always``: the reason
    why all threads are declined at present, if there is one. ``uncounted_ns``: CPU time
    in which calls were not counted: at the start, and at rest. ``filtered``: calls made
    natively because a seccomp filter does not plainly allow them. ``attach_ns``,
    ``first_run_ns``: CLOCK_MONOTONIC in ns; ``first_run_ns`` is 0 before the first
    dispatch. ``gone``: the process has ended or runs another program; the counters are
    final. ``trusted``: it was attached as a trusted program. ``resting``: nothing is
    to be gained at present, so its calls are not hooked.
    """

    native: int = 0
    dispatched: int = 0
    runs: int = 0
    declined: int = 0
    exits: Mapping[ExitReason, int] = field(default_factory=dict)
    declines: Mapping[Decline, int] = field(default_factory=dict)
    attach_ns: int = 0
    first_run_ns: int = 0
    events_lost: int = 0
    uncounted_ns: int = 0
    filtered: int = 0
    regions: int = 0
    code_bytes: int = 0
    always: Decline = Decline.NONE
    gone: bool = False
    trusted: bool = False
    resting: bool = False


def is_lasting(reason: int) -> bool:
    """Whether a ``Decline`` holds for each run until its cause is removed."""
    return reason >= DECLINE_LASTING


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of one region; ``exits[n]``: how often exit ``n`` was taken."""

    exits: tuple[int, ...]
    dispatched: int
    runs: int


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial of a region (``struct ub_trial``); times in ns.

    ``left_ns``: credit of run time (negative: the last run exceeded it); ``spent_ns``:
    time of all ``runs`` on trial since the load; ``lost_ns``: loss in leases.
    """

    state: TrialState
    left_ns: int = 0
    spent_ns: int = 0
    runs: int = 0
    lost_ns: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease of ``ns``, renewed while the region gains.

    ``saving``: ns that each dispatched call saves (0: no renewal); ``run``: ns that
    each run costs. ``timed``: the saving was measured, so the module adds the change of
    its own times.
    """

    ns: float
    saving: float = 0.0
    run: float = 0.0
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """A traced path of a gap: ``ips`` of its instructions in order of execution.

    From the resume address ``ip``, after call ``nr``, to the next ``syscall`` or an
    instruction that cannot be traced; this last one was not executed. ``nr`` is None
    for the rest of a gap, from the address at which a run ended for lack of code.
    ``next_nr``: the number of the call at the end; None: there is none, or it is not
    known.
    """

    ip: int
    nr: int | None
    ips: tuple[int, ...]
    next_nr: int | None = None

    @property
    def key(self) -> SiteKey | None:
        """The site whose gap it is; None: it is the rest of one."""
        return None if self.nr is None else SiteKey(self.ip, self.nr)

    @property
    def next_key(self) -> SiteKey | None:
        """The site of the call at the end; None: as for ``next_nr``."""
        if self.next_nr is None or not self.ips:
            return None
        return SiteKey(self.ips[-1] + _SYSCALL, self.next_nr)


@dataclass(frozen=True, slots=True)
class Site:
    """The module's data on a site (``struct ub_site_info``).

    A site is a resume address ``ip`` with a call number ``nr``.

    Moving averages in ns; 0: no sample yet. ``native_ns``: from the end of a call to
    the next one, gap and transition; ``boosted_ns``: the same gap in a translation,
    including its entry and exit; ``overhead_ns``: time of a run before and after that.
    ``dispatched``: the number of calls in the ``runs`` sampled runs.
    """

    ip: int
    nr: int
    verdict: SiteVerdict
    native_ns: int = 0
    boosted_ns: int = 0
    overhead_ns: int = 0
    native_samples: int = 0
    boosted_samples: int = 0
    runs: int = 0
    dispatched: int = 0

    @property
    def key(self) -> SiteKey:
        """The identity of the site."""
        return SiteKey(self.ip, self.nr)
