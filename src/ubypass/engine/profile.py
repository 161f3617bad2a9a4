# SPDX-License-Identifier: GPL-2.0-only
"""The execution profile of one process: hot sites, branch targets, traced paths.

Filled from the module's events and traces; the input of a build. All tables are
bounded, so a hostile or merely huge program cannot exhaust the engine's memory: a full
table takes no more keys. Rebuilds converge, because only a change of the profile asks
for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass, field, replace

from ubypass.abi import ExitReason, SiteKey
from ubypass.device.types import Event, Path
from ubypass.device.uapi import EventType
from ubypass.engine.rests import Rests
from ubypass.region.paths import jumps

__all__ = ["HotSite", "Limits", "Profile"]

#: Bytes of a system call's instruction.
_SYSCALL = 2
_REGISTERS = 16

_TARGET_MISSES = (ExitReason.RET_MISS, ExitReason.CALL_MISS, ExitReason.JUMP_MISS)


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of the tables of a profile, and thresholds of its counters."""

    entries: int = 64
    frontiers: int = 1024
    effort: int = 2
    raises: int = 32  # of effort, in all
    warm: int = 3  # misses at one place that are worth a build
    stubborn: int = 8  # misses at one place that are worth more effort
    branches: int = 1024
    targets: int = 16  # of one indirect branch
    stacks: int = 4  # of one hot site
    misses: int = 256  # addresses whose stacks are kept
    samples: int = 4096  # different addresses
    traced: int = 16384  # instructions on traced paths
    nonpointers: int = 256  # instructions at which registers hold no addresses
    sites: int = 256  # whose call numbers are kept
    numbers: int = 64  # of one site


@dataclass(slots=True)
class HotSite:
    """A hot site: stacks seen there.

    A stack is the words from rsp upwards, in order.
    """

    stacks: list[tuple[int, ...]] = field(default_factory=list)


@dataclass(slots=True)
class Profile:
    """The profile of one process; all addresses are user addresses.

    ``entries``: hot sites. ``frontiers``: addresses where code was
    missing, with the number of misses. ``branch_targets``: by the address of an
    indirect branch that missed, its targets and how often each was taken.
    ``miss_stacks``: by the address of a missed branch, the stack at the first miss.
    ``samples``: how often user mode was sampled at an address. ``barriers``: sites
    behind whose calls code stays native. ``call_numbers``: by resume address, the
    numbers of the calls made there, and how often each was reported.
    ``execution_counts``: instructions on traced paths, and how often they were executed
    there. ``traced_jumps``: by the address of an instruction on a traced path after
    which control did not go straight on, its targets with counts. ``traced_entries``:
    the sites whose gaps were traced. ``nonpointer_counts``: by the address of an
    instruction at which runs exit because a register holds no user address, these
    registers, with counts. ``rests``: traced paths from misses. ``effort``: how far to
    explore, see :meth:`raise_effort`. ``others``: sites of other regions, which a
    region of this profile must not reach.

    The tables are changed by methods only.
    """

    limits: Limits = field(default_factory=Limits)
    entries: dict[SiteKey, HotSite] = field(default_factory=dict)
    frontiers: dict[int, int] = field(default_factory=dict)
    branch_targets: dict[int, dict[int, int]] = field(default_factory=dict)
    miss_stacks: dict[int, tuple[int, ...]] = field(default_factory=dict)
    samples: Counter[int] = field(default_factory=Counter)
    barriers: set[SiteKey] = field(default_factory=set)
    call_numbers: dict[int, dict[int, int]] = field(default_factory=dict)
    execution_counts: dict[int, int] = field(default_factory=dict)
    traced_jumps: dict[int, dict[int, int]] = field(default_factory=dict)
    traced_entries: set[SiteKey] = field(default_factory=set)
    nonpointer_counts: dict[int, dict[int, int]] = field(default_factory=dict)
    rests: Rests = field(default_factory=Rests)
    effort: int = 0
    others: frozenset[SiteKey] = frozenset()
    _raises: int = 0
    _exhausted: set[int] = field(default_factory=set)

    # ---- what is learned ----------------------------------------------------------

    def add_event(self, event: Event) -> bool:
        """Take in an event; whether it is worth a build."""
        if event.type is EventType.HOT:
            return self._add_hot(event)
        if event.type is not EventType.MISS:
            return False
        if event.nr == ExitReason.FAULT:
            return self._add_nonpointers(event.ip, event.target)
        if event.stack and len(self.miss_stacks) < self.limits.misses:
            self.miss_stacks.setdefault(event.ip, event.stack)
        if event.nr in _TARGET_MISSES and event.target:
            return self._add_target(event.ip, event.target)
        if event.nr == ExitReason.FRONTIER and not self._stays_native(event.ip):
            return self._add_frontier(event.ip)
        if event.nr == ExitReason.SYSCALL:
            times = self.count_call(event.ip + _SYSCALL, event.target, 1)
            return times in (self.limits.warm, self.limits.stubborn)
        return False

    def add_path(self, path: Path) -> bool:
        """Take in the traced path of a gap; whether it is worth a build."""
        key = path.key
        if key is None:
            # Other targets of a branch may be worth a build.
            may_end = path.ip in self.frontiers
            if not self.rests.add(path, self.execution_counts, may_end=may_end):
                return False
            self._add_jumps(path)
            return True
        self.traced_entries.add(key)
        news = self._add_call(key)
        if path.next_key is not None:
            self.count_call(*path.next_key, 1)
        return self._add_instructions(path) or news

    def promote_rests(self, often: Container[int]) -> bool:
        """Treat the rests that begin at these addresses as usual paths; whether any."""
        promoted = self.rests.take(often)
        for path in promoted:
            self._add_instructions(path)
        return bool(promoted)

    def _add_instructions(self, path: Path) -> bool:
        """Take in the instructions of a path, and its jumps; whether any is new."""
        new = set(path.ips) - self.execution_counts.keys()
        if len(self.execution_counts) + len(new) > self.limits.traced:
            return False
        for ip in path.ips:
            self.execution_counts[ip] = self.execution_counts.get(ip, 0) + 1
        return self._add_jumps(path) or bool(new)

    def _add_jumps(self, path: Path) -> bool:
        """Take in the jumps of a path; whether any is new."""
        news = False
        for before, after in jumps(path.ips):
            targets = self.traced_jumps.setdefault(before, {})
            if after not in targets and len(targets) >= self.limits.targets:
                continue
            news |= after not in targets
            targets[after] = targets.get(after, 0) + 1
        return news

    def mark_traced(self, key: SiteKey) -> None:
        """The site was traced, but its path is not to be translated."""
        self.traced_entries.add(key)

    def add_samples(self, samples: Mapping[int, int]) -> None:
        """Take in samples of user mode: by address, how often."""
        for address, count in samples.items():
            if address in self.samples or len(self.samples) < self.limits.samples:
                self.samples[address] += count

    def count_call(self, ip: int, nr: int, times: int = 0) -> int:
        """The site at ``ip`` makes call ``nr``, seen ``times`` more; the sum of these.

        -1 if the table is full.
        """
        numbers = self.call_numbers.get(ip)
        if numbers is None:
            if len(self.call_numbers) >= self.limits.sites:
                return -1
            numbers = self.call_numbers[ip] = {}
        if nr not in numbers and len(numbers) >= self.limits.numbers:
            return -1
        numbers[nr] = numbers.get(nr, 0) + times
        return numbers[nr]

    def add_entry(self, key: SiteKey) -> None:
        """The site is hot, as far as that is not known."""
        self.entries.setdefault(key, HotSite())

    def remove_entry(self, key: SiteKey) -> None:
        """The site is no longer hot, until the next event about it."""
        self.entries.pop(key, None)

    def set_barriers(self, barriers: set[SiteKey]) -> None:
        """From now on code behind the calls of these sites stays native."""
        self.barriers = barriers

    def raise_effort(self, reached: Container[int]) -> bool:
        """After a build that reached these block starts: explore further next time?

        Exploration leaves out code from which no system call is within reach. Where
        runs keep missing there, exploring further may find one. What the greatest
        effort does not find is not searched for again. Traced paths need no search.
        """
        if self.has_traced:
            return False
        ends = {site.ip for site in self.barriers}
        skipped = self._exhausted | ends | self.rests.dead_ends.keys()
        stubborn = [
            ip
            for ip in self._missed_often(self.limits.stubborn)
            if ip not in reached and ip not in skipped
        ]
        if not stubborn or self._raises >= self.limits.raises:
            return False
        if self.effort >= self.limits.effort:
            self._exhausted.update(stubborn)
            return False
        self._raises += 1
        self.effort += 1
        return True

    def forget_unless(self, keep: Callable[[int], bool]) -> None:
        """Drop every address for which ``keep`` is false (no longer code)."""
        self.entries = {key: s for key, s in self.entries.items() if keep(key.ip)}
        self.frontiers = {ip: n for ip, n in self.frontiers.items() if keep(ip)}
        self.miss_stacks = {ip: s for ip, s in self.miss_stacks.items() if keep(ip)}
        self.barriers = {key for key in self.barriers if keep(key.ip)}
        self.rests.forget_unless(keep)
        self.call_numbers = {ip: n for ip, n in self.call_numbers.items() if keep(ip)}
        self.nonpointer_counts = {
            ip: seen for ip, seen in self.nonpointer_counts.items() if keep(ip)
        }
        self.samples = Counter({ip: n for ip, n in self.samples.items() if keep(ip)})
        pages = {ip >> 12 for ip in self.execution_counts}
        pages = {page for page in pages if keep(page << 12)}
        self.execution_counts = {
            ip: n for ip, n in self.execution_counts.items() if ip >> 12 in pages
        }
        self.traced_jumps = {
            ip: targets for ip, targets in self.traced_jumps.items() if keep(ip)
        }
        self.branch_targets = {
            ip: {target: n for target, n in targets.items() if keep(target)}
            for ip, targets in self.branch_targets.items()
            if keep(ip)
        }

    # ---- what a build asks for ----------------------------------------------------

    @property
    def is_traced(self) -> bool:
        """Whether each entry that is not a barrier was traced."""
        entries = self.entries.keys() - self.barriers
        return bool(self.entries) and self.traced_entries.issuperset(entries)

    @property
    def has_traced(self) -> bool:
        """Whether any path was traced.

        Then regions consist of traced paths, instead of what a search finds. Behind an
        entry without one, runs end where no traced code follows, and the rest of the
        gap is traced from there.
        """
        return bool(self.execution_counts)

    def restricted_to(
        self, sites: Container[SiteKey], others: Collection[SiteKey] = ()
    ) -> Profile:
        """The same with no entries but ``sites``; all tables are shared.

        ``others``: see :class:`Profile`.
        """
        entries = {key: site for key, site in self.entries.items() if key in sites}
        return replace(self, entries=entries, others=frozenset(others))

    def inherited(self) -> Profile:
        """A copy for a child that has the same code, with no entries."""
        return Profile(
            self.limits,
            frontiers=dict(self.frontiers),
            branch_targets=_copy(self.branch_targets),
            miss_stacks=dict(self.miss_stacks),
            call_numbers=_copy(self.call_numbers),
            execution_counts=dict(self.execution_counts),
            traced_jumps=_copy(self.traced_jumps),
            traced_entries=set(self.traced_entries),
            nonpointer_counts=_copy(self.nonpointer_counts),
            rests=self.rests.inherited(),
        )

    @property
    def seeds(self) -> tuple[int, ...]:
        """Addresses that misses led to often enough to be explored from."""
        often = self._missed_often(self.limits.warm)
        return tuple(ip for ip in often if ip not in self.rests.dead_ends)

    @property
    def nonpointers(self) -> dict[int, int]:
        """Registers that often hold no user address, by address of the instruction.

        One bit for each register.
        """
        found = {
            ip: sum(1 << user for user, n in seen.items() if n >= self.limits.warm)
            for ip, seen in self.nonpointer_counts.items()
        }
        return {ip: mask for ip, mask in sorted(found.items()) if mask}

    def _missed_often(self, often: int) -> tuple[int, ...]:
        found = dict.fromkeys(ip for ip, n in self.frontiers.items() if n >= often)
        for targets in self.branch_targets.values():
            found |= dict.fromkeys(ip for ip, n in targets.items() if n >= often)
        return tuple(found)

    # ---- events ---------------------------------------------------------------------

    def _stays_native(self, ip: int) -> bool:
        """Whether code at this address is not missing, but left out on purpose.

        A miss at a resume address does not tell the call before it: one barrier there
        explains it. Where the region goes on behind other calls, no run misses behind
        these.
        """
        return ip in self.rests.dead_ends or any(
            site.ip == ip for site in self.barriers
        )

    def _add_call(self, key: SiteKey) -> bool:
        """The site has made its call; whether that is new."""
        known = key.nr in self.call_numbers.get(key.ip, ())
        return self.count_call(*key, 1) > 0 and not known

    def _add_hot(self, event: Event) -> bool:
        another = self._add_call(event.key)
        site = self.entries.get(event.key)
        if site is None:
            if len(self.entries) >= self.limits.entries:
                return False
            site = self.entries[event.key] = HotSite()
            news = True
        else:
            news = another
        # Another stack alone is not worth a build: most differ in data only. It is
        # there when the region is built for another reason.
        if event.stack not in site.stacks and len(site.stacks) < self.limits.stacks:
            site.stacks.append(event.stack)
        return news

    def _add_target(self, ip: int, target: int) -> bool:
        targets = self.branch_targets.get(ip)
        if targets is None:
            if len(self.branch_targets) >= self.limits.branches:
                return False
            targets = self.branch_targets[ip] = {}
        if target not in targets and len(targets) >= self.limits.targets:
            return False
        targets[target] = targets.get(target, 0) + 1
        return targets[target] in (self.limits.warm, self.limits.stubborn)

    def _add_nonpointers(self, ip: int, registers: int) -> bool:
        table, limit = self.nonpointer_counts, self.limits.nonpointers
        if ip not in table and len(table) >= limit:
            return False
        users = [user for user in range(_REGISTERS) if registers >> user & 1]
        if not users:
            return False
        seen = table.setdefault(ip, {})
        for user in users:
            seen[user] = seen.get(user, 0) + 1
        # Once for each register: exits that continue have another cause.
        return any(seen[user] == self.limits.warm for user in users)

    def _add_frontier(self, ip: int) -> bool:
        if ip not in self.frontiers and len(self.frontiers) >= self.limits.frontiers:
            return False
        self.frontiers[ip] = self.frontiers.get(ip, 0) + 1
        return self.frontiers[ip] in (self.limits.warm, self.limits.stubborn)


def _copy(table: Mapping[int, Mapping[int, int]]) -> dict[int, dict[int, int]]:
    return {ip: dict(counts) for ip, counts in table.items()}
