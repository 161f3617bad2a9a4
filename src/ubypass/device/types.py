# SPDX-License-Identifier: GPL-2.0-only
"""What the device says, as plain Python values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ubypass.abi import ExitReason
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


@dataclass(frozen=True, slots=True)
class Event:
    """One event (``struct ub_event``). Addresses are the program's own.

    ``nr`` is a system call number (HOT) or an ``ExitReason`` (MISS), ``target`` an
    address (MISS; of reason SYSCALL a call number, of reason FAULT the registers that
    hold no user address, one bit each), the number of a descendant (FORK,
    EXEC), or how many events were lost (LOST), ``stack`` holds the words of the user
    stack from ``sp`` upwards, ``time_ns`` is CLOCK_MONOTONIC. ``exit`` is the number of
    one (MISS) or why the thread would be declined (HOT, a ``Decline``).
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


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of one attachment since it began (``struct ub_stats``).

    ``native`` counts the allow-listed calls that took the ordinary way,
    ``dispatched`` those made from translations, ``runs`` how often a region was
    entered, ``declined`` how often it could have been but was not, ``declines`` for
    what reasons; ``always``: why all its threads are declined at present, if they are.
    ``uncounted_ns``: CPU time at the beginning in which calls were not counted.
    ``filtered``: calls that were made natively since a seccomp filter does not plainly
    allow them. Times are CLOCK_MONOTONIC nanoseconds; ``first_run_ns`` is 0 before the
    first dispatch. ``gone``: the process has ended or runs another program, and these
    are final.
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


def is_lasting(reason: int) -> bool:
    """Whether a ``Decline`` holds each time, until something is done about it."""
    return reason >= DECLINE_LASTING


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of one region; ``exits[n]`` is how often exit ``n`` was taken."""

    exits: tuple[int, ...]
    dispatched: int
    runs: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What a region may take, and has taken (``struct ub_trial``).

    ``left_ns`` of run time is the credit (less than 0: the last run went over it),
    ``spent_ns`` what all of its ``runs`` on trial have taken since it was loaded,
    ``lost_ns`` what it has lost in leases.
    """

    state: TrialState
    left_ns: int = 0
    spent_ns: int = 0
    runs: int = 0
    lost_ns: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """For ``ns``, and then anew as long as a region gains: each dispatched call saves
    ``saving`` ns (0: it is not renewed), each run costs ``run`` ns. ``timed``: the
    saving was measured, so the module adds by how much its own times change.
    """

    ns: float
    saving: float = 0.0
    run: float = 0.0
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """The way that a gap took once: ``ips`` of all its instructions, as they ran.

    From the resume address ``ip``, after call ``nr``, to the next ``syscall`` or what
    cannot be traced; that is the last one, and has not run.
    """

    ip: int
    nr: int
    ips: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """What the module knows of a resume address (``struct ub_site_info``).

    Moving averages in ns: ``native_ns`` from the end of a call to the next one, so gap
    and transition; ``boosted_ns`` the same gap in a translation, with the way in and
    out of it; ``overhead_ns`` of a run before and after that. 0: no sample yet.
    ``dispatched`` is the number of calls in ``runs`` runs that were looked at.
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
