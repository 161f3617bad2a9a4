# SPDX-License-Identifier: GPL-2.0-only
"""Run units in several processes, count, stop when it is enough.

A process that dies takes nothing with it: what it was at counts as a failure.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any

from tests.fuzz.units import Outcome, Unit, form_code, run_unit

__all__ = ["Counts", "run_campaign"]

# Units handed over at once.
_BATCH = 24
_FAILURES = 50


@dataclass
class Counts:
    """What has been done so far."""

    executions: int = 0
    mismatches: int = 0
    refused: int = 0
    undecided: int = 0
    needless: int = 0
    faults: int = 0
    stale: int = 0
    left: int = 0
    stale_left: int = 0
    units: int = 0
    regions: int = 0
    blocks: set[tuple[str, int]] = field(default_factory=set)
    forms: set[int] = field(default_factory=set)
    failures: list[Outcome] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        unit = outcome.unit
        self.units += 1
        self.executions += outcome.executions
        self.mismatches += outcome.mismatches
        self.refused += outcome.refused
        self.undecided += outcome.undecided
        self.needless += outcome.needless
        self.faults += outcome.faults
        self.stale += outcome.stale
        self.left += outcome.left
        self.stale_left += outcome.stale_left
        self.forms.update(outcome.hit)
        if unit.kind == "block" and outcome.executions:
            self.blocks.add((unit.name, unit.number))
        elif unit.kind == "region":
            self.regions += 1
        if outcome.failure and len(self.failures) < _FAILURES:
            self.failures.append(outcome)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.started

    def missing(self, names: tuple[str, ...]) -> list[str]:
        """Those of the forms that have not been executed."""
        return [name for name in names if form_code(name) not in self.forms]


def run_campaign(
    units: Iterator[Unit],
    enough: Callable[[Counts], bool],
    jobs: int,
    report: Callable[[Counts], None] = lambda counts: None,
    counts: Counts | None = None,
) -> Counts:
    """Run until ``enough`` says so or the units are used up; Ctrl-C ends it, too."""
    counts = Counts() if counts is None else counts
    workers = [_Worker() for _ in range(jobs)]
    try:
        for worker in workers:
            worker.give(units)
        while any(worker.busy for worker in workers):
            ready = wait([w.connection for w in workers if w.busy], timeout=1.0)
            for number, worker in enumerate(workers):
                if worker.connection not in ready:
                    continue
                for outcome in worker.take():
                    counts.add(outcome)
                if worker.dead:
                    workers[number] = worker = _Worker()
                if not enough(counts):
                    worker.give(units)
            report(counts)
    except KeyboardInterrupt:
        pass
    finally:
        for worker in workers:
            worker.stop()
    return counts


class _Worker:
    """One process, and what it has been given."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._given: list[Unit] = []
        self.dead = False

    @property
    def busy(self) -> bool:
        return bool(self._given)

    def give(self, units: Iterator[Unit]) -> None:
        """The next units, if there are any."""
        self._given = list(islice(units, _BATCH))
        if self._given:
            self.connection.send(self._given)

    def take(self) -> list[Outcome]:
        """What came of them."""
        given, self._given = self._given, []
        try:
            message: Any = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            self.dead = True
            # One of them did it; none of them can be counted.
            names = ", ".join(str(unit) for unit in given)
            return [
                Outcome(given[0], mismatches=1, failure=f"the runner died: {names}")
            ]
        if isinstance(message, BaseException):
            raise message
        found: list[Outcome] = message
        return found

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _work(connection: Connection) -> None:
    """The process: units in, outcomes out."""
    while True:
        try:
            units: list[Unit] = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            connection.send([run_unit(unit) for unit in units])
        except KeyboardInterrupt:
            return
        except Exception as error:
            connection.send(RuntimeError(f"{units[0]} and on: {error!r}"))
            return
