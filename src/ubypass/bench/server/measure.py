# SPDX-License-Identifier: GPL-2.0-only
"""Measures one server under one load: native, boosted, native again.

Depends on servers only through :class:`Server`. The measuring process sleeps during the
runs, so that only server, load and engine use the processor.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ubypass.bench.records import Machine, today
from ubypass.bench.server.attachment import Attachment, Figures
from ubypass.bench.server.calls import CallCounter
from ubypass.bench.server.cpu import cpu_ns
from ubypass.bench.server.record import CHANCE, Run, ServerRecord
from ubypass.bench.server.steady import Settled, Steady
from ubypass.errors import UbError

__all__ = [
    "AS_PAPER",
    "Checked",
    "Load",
    "Loaded",
    "Plan",
    "Server",
    "Setting",
    "measure",
    "one_run",
    "settle",
]


@dataclass(frozen=True, slots=True)
class Checked:
    """The number of replies compared with the expected ones, and of wrong ones."""

    checked: int = 0
    wrong: int = 0

    def __add__(self, other: Checked) -> Checked:
        return Checked(self.checked + other.checked, self.wrong + other.wrong)


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run of the load: requests answered, time in ns, and checks."""

    requests: int
    elapsed_ns: int
    checked: Checked = Checked()


class Loaded(Protocol):
    """A program under an endless load."""

    def serving(self) -> tuple[int, ...]:
        """The pids of the processes that serve the load."""

    def background(self) -> AbstractContextManager[None]:
        """An endless load, for the time of the block."""


class Server(Protocol):
    """A running server in one configuration, with its load.

    ``name`` and ``case`` are its names; ``by_time``, ``version``: see ServerRecord;
    ``main``: pid of the process that a user would name to boost it.
    """

    @property
    def name(self) -> str: ...
    @property
    def case(self) -> str: ...
    @property
    def by_time(self) -> bool: ...
    @property
    def version(self) -> str: ...
    @property
    def main(self) -> int: ...

    def serving(self) -> tuple[int, ...]:
        """The pids of the processes that serve the load."""

    def load(self) -> Load:
        """Run the load once."""

    def background(self) -> AbstractContextManager[None]:
        """The same load, endless, for the time of the block."""

    def check(self) -> Checked:
        """Send some requests and compare each reply."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure: at least ``runs`` each way, in ``cycles`` of boosting.

    ``looks``: number of looks at the figures after which a server that does not settle
    is measured anyway; ``look``: seconds between two looks. The limit is not in
    seconds, as for loops (:class:`ubypass.bench.io.Plan`). ``repeats``: how often
    boosted runs are repeated at most because the engine built a region during them. The
    time to the steady state then includes the discarded runs. ``means``: reports show
    means and standard deviations, too.
    """

    runs: int = 5
    cycles: int = 1
    repeats: int = 2
    looks: int = 120
    look: float = 0.25

    #: Seconds from detaching until the kernel has removed its hooks.
    unhook: float = 1.0
    means: bool = False


#: As in the paper on Userspace Bypass: one run to warm up, boosted a load until the
#: server has settled; then ten measured runs each way. There the mean counts.
AS_PAPER = Plan(runs=10, means=True)


@dataclass(frozen=True, slots=True)
class Setting:
    """The setting of a measurement, for its record.

    ``options``: further options of ``ub attach``; ``builds``: a directory for
    recordings of builds, see ``ub attach --record``; ``trusted``: servers are attached
    as trusted, which the case of a record says.
    """

    machine: Machine
    transition: float
    command: str
    options: tuple[str, ...] = ()
    builds: Path | None = None
    trusted: bool = False


_DISTURBED = "a region was built during the measured runs"


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Boosted runs, from the steady state on.

    ``steady_s``: seconds from the load's start to it, None if it was not reached.
    ``engine_s``: the engine's CPU time, ``elapsed_s``: the time since, in seconds.
    ``earlier``, ``later``: figures before and after the runs.
    """

    runs: list[Run]
    steady_s: float | None
    engine_s: float
    elapsed_s: float
    earlier: Figures
    later: Figures

    @property
    def was_steady(self) -> bool:
        """Nothing was built during the runs; or it cannot be had."""
        return self.steady_s is None or self.earlier.build_s == self.later.build_s


class _Sums:
    """Sums over all boosted runs; ``figures`` and ``steady_s`` are the latest.

    ``native_sites``: see Attachment, if next to nothing was dispatched. ``disturbed``:
    a note, if a region was built during runs that count.
    """

    def __init__(self) -> None:
        self.dispatched = 0
        self.requests = 0
        self.saved_ns = 0.0
        self.engine_s = 0.0
        self.elapsed_s = 0.0
        self.exits: dict[str, int] = {}
        self.steady_s: float | None = None
        self.native_sites: tuple[str, ...] = ()
        self.disturbed: tuple[str, ...] = ()
        self.figures = Figures()

    def add(self, attempt: _Attempt) -> None:
        """Add the runs of one attachment."""
        before, after = attempt.earlier, attempt.later
        self.engine_s += attempt.engine_s
        self.elapsed_s += attempt.elapsed_s
        self.steady_s = attempt.steady_s
        self.requests += sum(run.requests for run in attempt.runs)
        self.dispatched += after.dispatched - before.dispatched
        self.saved_ns += after.saved_ns - before.saved_ns
        for reason, count in after.exits.items():
            new = count - before.exits.get(reason, 0)
            self.exits[reason] = self.exits.get(reason, 0) + new
        self.figures = after


def measure(
    server: Server,
    plan: Plan,
    setting: Setting,
    progress: Callable[[str], None] = lambda step: None,
) -> ServerRecord:
    """Measure ``server``, which is native before and afterwards. Raises UbError."""
    before: list[Run] = []
    boosted: list[Run] = []
    after: list[Run] = []
    sums = _Sums()
    progress(f"{server.name} {server.case}: warming up")
    # Page faults, lazy binding and reads of programs from a disk are not measured.
    # Calls are counted here only, since counting slows them down.
    with CallCounter(server.serving()) as counter:
        first = server.load()
        calls = counter.total() / first.requests
    checked = first.checked + server.check()
    each = -(-plan.runs // plan.cycles)

    def runs(into: list[Run], count: int, what: str) -> None:
        nonlocal checked
        for _ in range(count):
            progress(f"{server.name} {server.case}: {what} {len(into) + 1}")
            run, good = one_run(server)
            into.append(run)
            checked += good

    def settle_and_run(boost: Attachment, begun: float) -> _Attempt:
        progress(f"{server.name} {server.case}: settling")
        settled = settle(server, boost, plan)
        steady_s = settled.since - begun if settled else None
        # Runs may be short: the engine's CPU time is taken from the steady state on.
        settled = settled or Settled(time.monotonic(), boost.cpu_ns() / 1e9)
        earlier, made = boost.figures(server.serving()), list[Run]()
        runs(made, each, "boosted")
        engine_s = boost.cpu_ns() / 1e9 - settled.engine_s
        elapsed_s = time.monotonic() - settled.since
        later = boost.figures(server.serving())
        return _Attempt(made, steady_s, engine_s, elapsed_s, earlier, later)

    # Half of the native runs before, half after, so that a drift shows as a spread.
    runs(before, -(-each // 2), "native")
    for _ in range(plan.cycles):
        with _attached(server, setting) as boost:
            # Checks make other calls than the load: they come first, so that the engine
            # no longer considers them when the runs are measured.
            checked += server.check()
            begun = time.monotonic()
            attempt = settle_and_run(boost, begun)
            for _ in range(plan.repeats):
                if attempt.was_steady:
                    break
                attempt = settle_and_run(boost, begun)
            boosted += attempt.runs
            sums.add(attempt)
            if not attempt.was_steady:
                sums.disturbed = (_DISTURBED,)
            if sums.dispatched < CHANCE * calls * sums.requests:
                sums.native_sites = boost.native_sites(server.serving())
            checked += server.check()
        time.sleep(plan.unhook)
        runs(after, -(-each // 2), "native again")
    checked += server.check()
    figures = sums.figures
    return ServerRecord(
        server=server.name,
        case=server.case + (", trusted" if setting.trusted else ""),
        before=tuple(before),
        boosted=tuple(boosted),
        after=tuple(after),
        calls=calls,
        # Natively and boosted a request may take a slightly different number of calls.
        dispatched=min(1.0, sums.dispatched / sums.requests / calls),
        exits={k: n / sums.requests for k, n in sorted(sums.exits.items()) if n},
        regions=figures.regions,
        loads=figures.loads,
        build_s=figures.build_s,
        engine_share=sums.engine_s / sums.elapsed_s,
        steady_s=sums.steady_s,
        first_boost_s=figures.first_boost_s,
        saved_ns=sums.saved_ns / sums.requests,
        priced_by=figures.priced_by,
        transition=setting.transition,
        checked=checked.checked,
        wrong=checked.wrong,
        notes=(*figures.notes, *sums.native_sites, *sums.disturbed),
        command=setting.command,
        date=today(),
        machine=setting.machine,
        by_time=server.by_time,
        version=server.version,
        means=plan.means,
    )


def one_run(server: Server) -> tuple[Run, Checked]:
    """One run of the load, and its checks. Raises UbError if a process has ended."""
    pids = server.serving()
    before = cpu_ns(pids)
    load = server.load()
    spent = cpu_ns(pids) - before
    if server.serving() != pids or not load.requests:
        raise UbError(f"{server.name} {server.case}: the server did not keep up")
    return Run(load.requests, spent, load.elapsed_ns), load.checked


def _attached(server: Server, setting: Setting) -> Attachment:
    options = (*setting.options, "--trust") if setting.trusted else setting.options
    if setting.builds is not None:
        name = "-".join(re.findall(r"\w+", f"{server.name} {server.case}"))
        options = (*options, f"--record={setting.builds / name}.builds")
    if server.serving() == (server.main,):
        return Attachment([server.main], options)
    return Attachment([server.main], (*options, "--children"))


def settle(server: Loaded, boost: Attachment, plan: Plan) -> Settled | None:
    """Load ``server`` until it has settled; since when, None: it has not."""
    steady = Steady()
    with server.background():
        for _ in range(plan.looks):
            time.sleep(plan.look)
            figures = boost.figures(server.serving())
            now = time.monotonic()
            settled = steady.look(now, figures, boost.cpu_ns() / 1e9)
            if settled is not None:
                return settled
    return None
