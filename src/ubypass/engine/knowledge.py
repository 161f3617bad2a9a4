# SPDX-License-Identifier: GPL-2.0-only
"""What events have taught about one process: hot sites, ways through its code.

Bounded everywhere, so that a hostile or merely huge program cannot make the
engine grow: full tables stop learning, and growth converges because the same
lesson twice is no news.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ubypass.abi import ExitReason
from ubypass.device.types import Event, Path
from ubypass.device.uapi import EventType

__all__ = ["HotSite", "Knowledge", "Limits"]

#: Bytes of the longest instruction.
_LONGEST = 15
#: Bytes of a system call's instruction.
_SYSCALL = 2
_REGISTERS = 16

_TARGET_MISSES = (ExitReason.RET_MISS, ExitReason.CALL_MISS, ExitReason.JUMP_MISS)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is remembered of one process."""

    entries: int = 64
    starts: int = 1024
    effort: int = 2
    raises: int = 32  # of effort, in all
    warm: int = 3  # misses at one place that are worth a build
    stubborn: int = 8  # those that make a frontier worth more effort
    branches: int = 1024
    targets: int = 16  # of one indirect branch
    stacks: int = 4  # of one hot site
    misses: int = 256  # addresses whose stacks are kept
    samples: int = 4096  # different addresses
    trodden: int = 16384  # instructions on traced ways
    strange: int = 256  # instructions at which registers hold no addresses
    sites: int = 256  # whose call numbers are kept
    numbers: int = 64  # of one site


@dataclass(slots=True)
class HotSite:
    """What is known of a resume address: the call that was hot, and stacks seen there.

    A stack is the words from rsp upwards, in order.
    """

    nr: int
    stacks: list[tuple[int, ...]] = field(default_factory=list)


@dataclass(slots=True)
class Knowledge:
    """Lessons from the events of one process; addresses are the program's.

    ``entries`` maps resume addresses to hot sites, ``starts`` the addresses where
    code was missing to how often, ``targets`` an indirect branch to where it went,
    with counts, ``missed`` the address of a missed branch to the stack there.
    ``samples`` counts how often user mode was seen at an address. ``trodden`` are the
    instructions on traced ways, and how often those came by, ``jumps`` where they did
    not go straight on, and ``traced`` the entries from which there is such a way.
    ``effort`` is how far to explore: see :meth:`raise_effort`. ``stops`` are resume
    addresses after which code stays native, because it is too long to gain anything;
    ``numbers`` the calls of all sites met: resume address, number, how often it was
    told of. ``strange``: by the address of an instruction at which runs were left
    because an address was none, which registers held none, and how often.
    """

    limits: Limits = field(default_factory=Limits)
    entries: dict[int, HotSite] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)
    targets: dict[int, dict[int, int]] = field(default_factory=dict)
    missed: dict[int, tuple[int, ...]] = field(default_factory=dict)
    samples: Counter[int] = field(default_factory=Counter)
    stops: set[int] = field(default_factory=set)
    numbers: dict[int, dict[int, int]] = field(default_factory=dict)
    trodden: dict[int, int] = field(default_factory=dict)
    jumps: dict[int, dict[int, int]] = field(default_factory=dict)
    traced: set[int] = field(default_factory=set)
    strange: dict[int, dict[int, int]] = field(default_factory=dict)
    effort: int = 0
    _raises: int = 0
    _hopeless: set[int] = field(default_factory=set)

    def learn(self, event: Event) -> bool:
        """Take in an event; whether it was news."""
        if event.type is EventType.HOT:
            return self._hot(event)
        if event.type is not EventType.MISS:
            return False
        if event.nr == ExitReason.FAULT:
            return self._fault(event.ip, event.target)
        if event.stack and len(self.missed) < self.limits.misses:
            self.missed.setdefault(event.ip, event.stack)
        if event.nr in _TARGET_MISSES and event.target:
            return self._target(event.ip, event.target)
        if event.nr == ExitReason.FRONTIER and event.ip not in self.stops:
            return self._start(event.ip)
        if event.nr == ExitReason.SYSCALL:
            times = self.number(self.site_of(event), event.target, 1)
            return times in (self.limits.warm, self.limits.stubborn)
        return False

    def follow(self, path: Path) -> bool:
        """Take in the way that a gap took; whether there was news in it."""
        self.traced.add(path.ip)
        news = self._calls(path.ip, path.nr)
        new = set(path.ips) - self.trodden.keys()
        if len(self.trodden) + len(new) > self.limits.trodden:
            return news
        for ip in path.ips:
            self.trodden[ip] = self.trodden.get(ip, 0) + 1
        news |= bool(new)
        for before, after in pairwise(path.ips):
            # Straight on, or a jump as short: that one is found without being told.
            if 0 < after - before <= _LONGEST:
                continue
            targets = self.jumps.setdefault(before, {})
            if after not in targets and len(targets) >= self.limits.targets:
                continue
            news |= after not in targets
            targets[after] = targets.get(after, 0) + 1
        return news

    @property
    def is_traced(self) -> bool:
        """Whether a way from each entry that is not a stop is known."""
        asked = self.entries.keys() - self.stops
        return bool(self.entries) and self.traced.issuperset(asked)

    def only(self, sites: Container[int]) -> Knowledge:
        """The same, with no entries but ``sites``; what is learned is shared."""
        entries = {ip: site for ip, site in self.entries.items() if ip in sites}
        return replace(self, entries=entries)

    def inherited(self) -> Knowledge:
        """A copy for a child that has the same code; what is hot shows by itself."""
        return Knowledge(
            self.limits,
            starts=dict(self.starts),
            targets={ip: dict(targets) for ip, targets in self.targets.items()},
            missed=dict(self.missed),
            numbers={ip: dict(numbers) for ip, numbers in self.numbers.items()},
            trodden=dict(self.trodden),
            jumps={ip: dict(targets) for ip, targets in self.jumps.items()},
            traced=set(self.traced),
            strange={ip: dict(seen) for ip, seen in self.strange.items()},
        )

    @property
    def warm_starts(self) -> tuple[int, ...]:
        """Where misses led often enough to be explored from."""
        return self._missed_often(self.limits.warm)

    @property
    def nonpointers(self) -> dict[int, int]:
        """By the address of an instruction the registers, one bit each, that often hold
        no user address there.
        """
        found = {
            ip: sum(1 << user for user, n in seen.items() if n >= self.limits.warm)
            for ip, seen in self.strange.items()
        }
        return {ip: mask for ip, mask in sorted(found.items()) if mask}

    def _missed_often(self, often: int) -> tuple[int, ...]:
        found = dict.fromkeys(ip for ip, n in self.starts.items() if n >= often)
        for targets in self.targets.values():
            found |= dict.fromkeys(ip for ip, n in targets.items() if n >= often)
        return tuple(found)

    def add_samples(self, samples: Mapping[int, int]) -> None:
        """Take in samples of user mode: where, and how often."""
        for address, count in samples.items():
            if address in self.samples or len(self.samples) < self.limits.samples:
                self.samples[address] += count

    def raise_effort(self, reached: Container[int]) -> bool:
        """After a build that reached these starts: is it worth to explore further?

        Code from which no system call is found within reach is left out. If that is
        where the program goes again and again, exploring further may find one. What
        the greatest effort does not find is not looked for any more. Where ways are
        traced there is no need to search.
        """
        if self.is_traced:
            return False
        stubborn = [
            ip
            for ip in self._missed_often(self.limits.stubborn)
            if ip not in reached and ip not in self._hopeless and ip not in self.stops
        ]
        if not stubborn or self._raises >= self.limits.raises:
            return False
        if self.effort >= self.limits.effort:
            self._hopeless.update(stubborn)
            return False
        self._raises += 1
        self.effort += 1
        return True

    def forget_unless(self, keep: Callable[[int], bool]) -> None:
        """Drop every address for which ``keep`` is false (no longer code)."""
        self.entries = {ip: site for ip, site in self.entries.items() if keep(ip)}
        self.starts = {ip: n for ip, n in self.starts.items() if keep(ip)}
        self.missed = {ip: stack for ip, stack in self.missed.items() if keep(ip)}
        self.stops = {ip for ip in self.stops if keep(ip)}
        self.numbers = {ip: seen for ip, seen in self.numbers.items() if keep(ip)}
        self.strange = {ip: seen for ip, seen in self.strange.items() if keep(ip)}
        self.samples = Counter({ip: n for ip, n in self.samples.items() if keep(ip)})
        pages = {ip >> 12 for ip in self.trodden}
        pages = {page for page in pages if keep(page << 12)}
        self.trodden = {ip: n for ip, n in self.trodden.items() if ip >> 12 in pages}
        self.jumps = {ip: targets for ip, targets in self.jumps.items() if keep(ip)}
        self.targets = {
            ip: {target: n for target, n in targets.items() if keep(target)}
            for ip, targets in self.targets.items()
            if keep(ip)
        }

    def is_shared(self, ip: int) -> bool:
        """Whether the site at ``ip`` makes more than one call: a way from there is that
        of one of them.
        """
        return len(self.numbers.get(ip, ())) > 1

    @staticmethod
    def site_of(event: Event) -> int:
        """The site of which the event tells the call, or 0."""
        if event.type is EventType.HOT:
            return event.ip
        miss = event.type is EventType.MISS and event.nr == ExitReason.SYSCALL
        return event.ip + _SYSCALL if miss else 0

    def number(self, ip: int, nr: int, times: int = 0) -> int:
        """The site at ``ip`` makes call ``nr``, as was seen ``times`` more; how often
        in all, or -1 if that is not kept.
        """
        numbers = self.numbers.get(ip)
        if numbers is None:
            if len(self.numbers) >= self.limits.sites:
                return -1
            numbers = self.numbers[ip] = {}
        if nr not in numbers and len(numbers) >= self.limits.numbers:
            return -1
        numbers[nr] = numbers.get(nr, 0) + times
        return numbers[nr]

    def _calls(self, ip: int, nr: int) -> bool:
        """The site at ``ip`` has made call ``nr``; whether that is new."""
        known = nr in self.numbers.get(ip, ())
        return self.number(ip, nr, 1) > 0 and not known

    def _hot(self, event: Event) -> bool:
        another = self._calls(event.ip, event.nr)
        site = self.entries.get(event.ip)
        if site is None:
            if len(self.entries) >= self.limits.entries:
                return False
            site = self.entries[event.ip] = HotSite(event.nr)
            news = True
        else:
            news = another
        # Another stack alone is no news: most differ in data only. It is there
        # when the region is built for another reason.
        if event.stack not in site.stacks and len(site.stacks) < self.limits.stacks:
            site.stacks.append(event.stack)
        return news

    def _target(self, ip: int, target: int) -> bool:
        targets = self.targets.get(ip)
        if targets is None:
            if len(self.targets) >= self.limits.branches:
                return False
            targets = self.targets[ip] = {}
        if target not in targets and len(targets) >= self.limits.targets:
            return False
        targets[target] = targets.get(target, 0) + 1
        return targets[target] in (self.limits.warm, self.limits.stubborn)

    def _fault(self, ip: int, registers: int) -> bool:
        if ip not in self.strange and len(self.strange) >= self.limits.strange:
            return False
        users = [user for user in range(_REGISTERS) if registers >> user & 1]
        if not users:
            return False
        seen = self.strange.setdefault(ip, {})
        for user in users:
            seen[user] = seen.get(user, 0) + 1
        # Once for each register: who leaves all the same does so for another reason.
        return any(seen[user] == self.limits.warm for user in users)

    def _start(self, ip: int) -> bool:
        if ip not in self.starts and len(self.starts) >= self.limits.starts:
            return False
        self.starts[ip] = self.starts.get(ip, 0) + 1
        return self.starts[ip] in (self.limits.warm, self.limits.stubborn)
