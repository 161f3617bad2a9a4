# SPDX-License-Identifier: GPL-2.0-only
"""One server, one load: native, boosted, native again, and what is known of each.

Knows servers only as :class:`Server`. While the runs last the measuring process
sleeps, so nothing but server, load and engine uses the processor.
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ubypass.bench.records import Machine
from ubypass.bench.server.attachment import Attachment, Figures, follows_children
from ubypass.bench.server.calls import CallCounter
from ubypass.bench.server.cpu import cpu_ns
from ubypass.bench.server.record import Run, ServerRecord
from ubypass.bench.server.steady import Steady
from ubypass.errors import UbError

__all__ = ["Checked", "Load", "Plan", "Server", "Setting", "measure"]


@dataclass(frozen=True, slots=True)
class Checked:
    """Replies compared with what they should have been, and how many differed."""

    checked: int = 0
    wrong: int = 0

    def __add__(self, other: Checked) -> Checked:
        return Checked(self.checked + other.checked, self.wrong + other.wrong)


@dataclass(frozen=True, slots=True)
class Load:
    """How a run of the load went: requests answered, in which time, how well."""

    requests: int
    elapsed_ns: int
    checked: Checked = Checked()


class Server(Protocol):
    """A server that runs, in one configuration, with its load.

    ``name`` and ``case`` are its names; ``by_time``: see ServerRecord; ``main`` is
    the process that a person would name to boost it.
    """

    @property
    def name(self) -> str: ...
    @property
    def case(self) -> str: ...
    @property
    def by_time(self) -> bool: ...
    @property
    def main(self) -> int: ...

    def serving(self) -> tuple[int, ...]:
        """The processes that do the work."""

    def load(self) -> Load:
        """Run the load once, to its end."""

    def background(self) -> AbstractContextManager[None]:
        """The same load, without end, while the block lasts."""

    def check(self) -> Checked:
        """Have some requests answered and compare each reply."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure: ``runs`` of each way at least, in ``cycles`` of boosting.

    ``looks`` at its figures after which a server that does not settle is measured as
    it is, ``look`` seconds or more apart: looks and not seconds, as for loops
    (:class:`ubypass.bench.io.Plan`).
    """

    runs: int = 5
    cycles: int = 1
    looks: int = 120
    look: float = 0.25

    #: From detaching until the kernel has taken its hooks away.
    unhook: float = 1.0


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how something is measured, for the record.

    ``options`` are further ones of ``ub attach``; ``builds``: a directory for what it
    builds from, see ``ub attach --record``.
    """

    machine: Machine
    transition: float
    command: str
    options: tuple[str, ...] = ()
    builds: Path | None = None


class _Sums:
    """Of all boosted runs; ``figures`` and ``steady_s`` are the latest."""

    def __init__(self) -> None:
        self.dispatched = 0
        self.requests = 0
        self.saved_ns = 0.0
        self.engine_ns = 0
        self.elapsed_ns = 0
        self.exits: dict[str, int] = {}
        self.steady_s: float | None = None
        self.figures = Figures()

    def add(self, before: Figures, after: Figures) -> None:
        """Take in what happened between two looks."""
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
    """Measure ``server``, which runs natively now and does so again afterwards."""
    before: list[Run] = []
    boosted: list[Run] = []
    after: list[Run] = []
    sums = _Sums()
    progress(f"{server.name} {server.case}: warming up")
    # Page faults, lazy binding and reading programs from a disk are not the subject.
    # Nor is counting calls, which must not go on while anything is measured.
    with CallCounter(server.serving()) as counter:
        first = server.load()
        calls = counter.total() / first.requests
    checked = first.checked + server.check()
    each = -(-plan.runs // plan.cycles)

    def runs(into: list[Run], count: int, what: str) -> None:
        nonlocal checked
        for _ in range(count):
            progress(f"{server.name} {server.case}: {what} {len(into) + 1}")
            run, good = _run(server)
            into.append(run)
            checked += good

    # Half of the native runs before, half after, so that a drift shows as a spread.
    runs(before, -(-each // 2), "native")
    for _ in range(plan.cycles):
        with _attached(server, setting) as boost:
            # What checking does is not what the load does: first, so that the engine
            # has forgotten it when it counts.
            checked += server.check()
            progress(f"{server.name} {server.case}: settling")
            sums.steady_s = _settle(server, boost, plan)
            earlier, engine = boost.figures(server.serving()), boost.cpu_ns()
            begun, done = time.monotonic_ns(), len(boosted)
            runs(boosted, each, "boosted")
            sums.engine_ns += boost.cpu_ns() - engine
            sums.elapsed_ns += time.monotonic_ns() - begun
            sums.requests += sum(run.requests for run in boosted[done:])
            sums.add(earlier, boost.figures(server.serving()))
            checked += server.check()
        time.sleep(plan.unhook)
        runs(after, -(-each // 2), "native again")
    checked += server.check()
    figures = sums.figures
    return ServerRecord(
        server=server.name,
        case=server.case,
        before=tuple(before),
        boosted=tuple(boosted),
        after=tuple(after),
        calls=calls,
        # Natively and boosted a request may come to slightly different calls.
        dispatched=min(1.0, sums.dispatched / sums.requests / calls),
        exits={k: n / sums.requests for k, n in sorted(sums.exits.items()) if n},
        regions=figures.regions,
        loads=figures.loads,
        build_s=figures.build_s,
        engine_share=sums.engine_ns / sums.elapsed_ns,
        steady_s=sums.steady_s,
        first_boost_s=figures.first_boost_s,
        saved_ns=sums.saved_ns / sums.requests,
        priced_by=figures.priced_by,
        transition=setting.transition,
        checked=checked.checked,
        wrong=checked.wrong,
        notes=figures.notes,
        command=setting.command,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        machine=setting.machine,
        by_time=server.by_time,
    )


def _run(server: Server) -> tuple[Run, Checked]:
    pids = server.serving()
    before = cpu_ns(pids)
    load = server.load()
    spent = cpu_ns(pids) - before
    if server.serving() != pids or not load.requests:
        raise UbError(f"{server.name} {server.case}: the server did not keep up")
    return Run(load.requests, spent, load.elapsed_ns), load.checked


def _attached(server: Server, setting: Setting) -> Attachment:
    options = setting.options
    if setting.builds is not None:
        name = "-".join(re.findall(r"\w+", f"{server.name} {server.case}"))
        options = (*options, f"--record={setting.builds / name}.builds")
    if server.serving() == (server.main,):
        return Attachment([server.main], options)
    if follows_children():
        return Attachment([server.main], (*options, "--children"))
    return Attachment(server.serving(), options)


def _settle(server: Server, boost: Attachment, plan: Plan) -> float | None:
    """Put load on it until it has settled; seconds until it had, None: it has not."""
    steady = Steady()
    with server.background():
        began = time.monotonic()
        for _ in range(plan.looks):
            time.sleep(plan.look)
            figures = boost.figures(server.serving())
            now = time.monotonic()
            since = steady.look(now, figures, boost.cpu_ns() / 1e9)
            if since is not None:
                return since - began
    return None
