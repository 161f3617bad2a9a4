# SPDX-License-Identifier: GPL-2.0-only
"""The translations of a fleet, as one machine uses them.

Of the machines that need a translation at the same time, one claims it and makes it;
the others wait for a bounded time, natively, and then make their own. After half of the
time one of them takes over, since the first may have ended. The store can
delay a build by its timeout, and a first build by ``patience``, never break one. Must
not decide what is safe: the builder verifies whatever comes from here.
"""

from __future__ import annotations

import enum
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ubypass.abi import Abi, Translation
from ubypass.process.maps import MemoryMap
from ubypass.region.graph import End, Region
from ubypass.region.reader import CodeReader
from ubypass.store.address import address_of, environment
from ubypass.store.backend import Backend
from ubypass.store.bounded import Bounded, TooSlow
from ubypass.store.figures import Figures
from ubypass.store.health import Breaker, Budget
from ubypass.store.placement import NotShareable, Placement, placement_of
from ubypass.store.portable import Portable, placed
from ubypass.store.publisher import Offer, Publisher
from ubypass.store.signing import PublicKeys
from ubypass.store.wire import WireError, decoded

__all__ = ["Patience", "SharedTranslations"]

_T = TypeVar("_T")

#: Translations that are kept in memory, and addresses that are remembered.
_KEPT = 32
_REMEMBERED = 1024

#: Seconds for which the store is not asked again about a translation it does not have.
_ABSENT = 300.0

#: First pause of a wait in seconds; the next ones are twice as long.
_PAUSE = 0.25

#: Waits in vain after which nothing is waited for, and for how many seconds.
_VAIN = 3
_VAIN_PAUSE = 600.0

#: Seconds over which machines spread a translation that nobody has claimed.
_SPREAD = 10.0


class _Claim(enum.Enum):
    """Who makes a translation that the store does not have."""

    NOBODY = enum.auto()
    THIS = enum.auto()
    ANOTHER = enum.auto()


class _Run(Protocol):
    """See :class:`~ubypass.store.bounded.Bounded`."""

    def __call__(self, job: Callable[[], _T], seconds: float) -> _T: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """``timeout``: most seconds that a build waits for an answer of the store;
    ``claimed``: seconds for which a translation that another machine makes is waited
    for, in all.
    """

    timeout: float = 0.2
    claimed: float = 2.0


@dataclass(slots=True)
class _Wait:
    """For a claimed translation: since when, and how often the store was asked.

    ``may_take_over``: the next question tries to take over the claim, which is done
    once (``has_tried``).
    """

    since: float
    due: float
    asked: int = 0
    may_take_over: bool = False
    has_tried: bool = False


class SharedTranslations:
    """Finds translations for a module with ``abi`` in ``backend``, and offers new ones.

    ``keys``: whose signatures count. ``publisher``: puts this machine's translations
    into the store; None: it has no private key, and only reads. ``log`` takes lines for
    people. The other arguments are for tests.
    """

    def __init__(
        self,
        abi: Abi,
        backend: Backend,
        keys: PublicKeys,
        publisher: Publisher | None = None,
        *,
        patience: Patience | None = None,
        log: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
        run: _Run | None = None,
    ) -> None:
        self.figures = publisher.figures if publisher is not None else Figures()
        self._inputs = environment(abi)
        self._backend = backend
        self._keys = keys
        self._publisher = publisher
        self._patience = patience or Patience()
        self._log = log
        self._clock = clock
        self._dice = dice
        self._run: _Run = run or Bounded()
        self._breaker = Breaker()
        self._budget = Budget()
        self._lock = publisher.lock if publisher is not None else threading.Lock()
        self._known: OrderedDict[str, Portable] = OrderedDict()
        self._absent: OrderedDict[str, float] = OrderedDict()
        self._waits: OrderedDict[str, _Wait] = OrderedDict()
        self._claimed: OrderedDict[str, float] = OrderedDict()
        #: Whether this machine has offered a replacement.
        self._refused: OrderedDict[str, bool] = OrderedDict()
        self._vain = 0
        self._no_waits_before = float("-inf")
        self._current: tuple[Region, Placement, str] | None = None

    def exclusive(self) -> AbstractContextManager[object]:
        """To be held while the translator runs: it has one state for all threads."""
        return self._lock

    def find(
        self, region: Region, reader: CodeReader
    ) -> tuple[Translation | None, float]:
        """A stored translation of ``region``, which is not verified, or None.

        With None: seconds after which to ask again before it is made here; 0: make it.
        """
        self._current = None
        maps = getattr(reader, "maps", None)
        try:
            if not isinstance(maps, MemoryMap):
                raise NotShareable("it is not known which files are mapped")
            placement = placement_of(region, maps)
            address = address_of(region, placement, self._inputs)
        except NotShareable:
            self.figures.unshareable += 1
            return None, 0.0
        self._current = region, placement, address
        if address in self._refused:
            return None, 0.0
        portable = self._known.get(address)
        if portable is None:
            portable, pause = self._ask(address)
            if portable is None:
                return None, pause
        if len(portable.bases) != len(placement.bases):
            self._refuse(address, "it is of another number of files")
            return None, 0.0
        found = placed(portable, placement.bases, region.sources)
        if reason := _mismatch(found, region):
            self._refuse(address, reason)
            return None, 0.0
        self.figures.hits += 1
        return found, 0.0

    def refuse(self, region: Region, reason: str) -> None:
        """The translation that was found for ``region`` is not safe; ``reason``: why.

        It is never taken again, and replaced by this machine's if it may publish.
        """
        if self._current is not None and self._current[0] is region:
            self.figures.hits -= 1
            self._refuse(self._current[2], reason)

    def offer(self, region: Region, *, careful: bool) -> None:
        """The translation of ``region`` was made here: publish it in the background.

        ``careful``: as for the translator.
        """
        if self._publisher is None or self._current is None:
            return
        known, placement, address = self._current
        if known is not region:
            return
        now = self._clock()
        replaces = self._refused.get(address) is False
        if self._claimed.pop(address, None) is not None:
            self._waits.pop(address, None)
            due = now
        elif replaces or self._waits.pop(address, None) is not None:
            due = now + self._dice() * _SPREAD
        else:
            return
        if replaces:
            self._refused[address] = True
        self._publisher.add(
            Offer(due, address, region, placement, careful=careful, replaces=replaces)
        )

    def close(self) -> None:
        """Publish nothing more."""
        if self._publisher is not None:
            self._publisher.close()

    # ---- questions ------------------------------------------------------------------

    def _ask(self, address: str) -> tuple[Portable | None, float]:
        now = self._clock()
        wait = self._waits.get(address)
        if wait is not None:
            if now < wait.due:
                return None, wait.due - now
            self._plan_takeover(wait, now)
        if self._absent.get(address, now) > now:
            return None, 0.0
        if not self._breaker.allows(now) or not self._budget.take(now):
            self.figures.skipped += 1
            return None, 0.0
        try:
            data, claim = self._run(
                lambda: self._request(address, wait), self._patience.timeout
            )
        except Exception as error:
            # Also what a library raises unexpectedly: a store must not break a build.
            self.figures.failures += 1
            self._breaker.failed(self._clock())
            if not self._breaker.allows(self._clock()):
                self._log(f"the store is not asked for a while: {_why(error)}")
            return None, 0.0
        self._breaker.succeeded()
        if data is not None:
            return self._open(address, data), 0.0
        if claim is _Claim.ANOTHER:
            pause = self._wait(address, now)
            if pause > 0:
                return None, pause
        else:
            self.figures.misses += 1
        if claim is _Claim.THIS:
            _remember(self._claimed, address, 0.0)
        _remember(self._absent, address, now + _ABSENT)
        return None, 0.0

    def _request(self, address: str, wait: _Wait | None) -> tuple[bytes | None, _Claim]:
        """The stored bytes; if there are none, who makes them.

        Runs in a thread, which may be left alone: it changes nothing but counters.
        """
        seconds = self._patience.timeout
        self.figures.requests += 1
        data = self._backend.get(address, seconds)
        if data is not None:
            return data, _Claim.NOBODY
        if wait is None:
            return None, self._claim(f"{address}.claim")
        if wait.may_take_over:
            return None, self._claim(f"{address}.takeover")
        return None, _Claim.ANOTHER

    def _claim(self, name: str) -> _Claim:
        """Make this claim, or only look for it if this machine does not publish."""
        seconds = self._patience.timeout
        self.figures.requests += 1
        if self._publisher is None:
            known = self._backend.get(name, seconds) is not None
            return _Claim.ANOTHER if known else _Claim.NOBODY
        made = self._backend.put(name, b"claimed\n", seconds, if_absent=True)
        return _Claim.THIS if made else _Claim.ANOTHER

    def _plan_takeover(self, wait: _Wait, now: float) -> None:
        """Try once, in the second half of a wait, if this machine publishes."""
        late = now >= wait.since + self._patience.claimed / 2
        wait.may_take_over = late and not wait.has_tried and self._publisher is not None
        wait.has_tried |= wait.may_take_over

    def _wait(self, address: str, now: float) -> float:
        """Seconds to wait for a claimed translation; 0: not any longer."""
        wait = self._waits.get(address)
        if wait is None:
            if now < self._no_waits_before or self._patience.claimed <= 0:
                return 0.0
            _remember(self._waits, address, _Wait(now, now))
            wait = self._waits[address]
        end = wait.since + self._patience.claimed
        if now >= end:
            self._vain += 1
            if self._vain >= _VAIN:
                self._no_waits_before, self._vain = now + _VAIN_PAUSE, 0
            return 0.0
        pause = _PAUSE * 2**wait.asked * (0.5 + self._dice())
        wait.asked += 1
        wait.due = min(now + pause, end)
        self.figures.waits += 1
        return wait.due - now

    def _open(self, address: str, data: bytes) -> Portable | None:
        """The translation, if it is signed and well-formed."""
        content = self._keys.opened(address, data)
        if content is None:
            self._refuse(address, "it is not signed with the fleet's key")
            return None
        try:
            portable = decoded(content)
        except WireError as error:
            self._refuse(address, str(error))
            return None
        self._waits.pop(address, None)
        self._vain = 0
        _remember(self._known, address, portable, _KEPT)
        return portable

    def _refuse(self, address: str, reason: str) -> None:
        self.figures.refused += 1
        self._known.pop(address, None)
        _remember(self._refused, address, False)
        self._log(f"a stored translation was refused: {reason} ({address})")


def _mismatch(found: Translation, region: Region) -> str:
    """What of a translation cannot be of ``region``, in tables; "": nothing."""
    resumes = {
        block.next_ip for block in region.blocks.values() if block.end is End.SYSCALL
    }
    if not {entry.key for entry in found.entries} <= set(region.entries):
        return "it has entries that its program has not"
    if not {dispatch.user_ip for dispatch in found.dispatches} <= resumes:
        return "it has calls that its program has not"
    if any(not 0 <= ip < 1 << 64 for _, ip in found.user_ips):
        return "it has addresses that its program has not"
    return ""


def _remember(
    table: OrderedDict[str, _T], key: str, value: _T, most: int = _REMEMBERED
) -> None:
    """Put into ``table``, which forgets its oldest keys when full."""
    table[key] = value
    while len(table) > most:
        table.popitem(last=False)


def _why(error: Exception) -> str:
    if isinstance(error, TooSlow):
        return "it takes too long"
    return str(error) or type(error).__name__
