# SPDX-License-Identifier: GPL-2.0-only
"""Simulates a fleet whose machines start the same program at the same time.

    python -m tests.store.fleet 1000

Each machine has a client of its own, with the fleet's real keys, its own address-space
layout, the real translator and the real verifier. They share one directory. Time is
virtual: a translation takes 50 ms, and a request none.
"""

from __future__ import annotations

import argparse
import heapq
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.store.sample import ABI, Machine, random_bases
from ubypass.engine.build import Builder
from ubypass.engine.built import Built, Postponed
from ubypass.store.backend import Backend
from ubypass.store.directory import Directory
from ubypass.store.figures import Figures
from ubypass.store.publisher import Publisher
from ubypass.store.shared import Patience, SharedTranslations
from ubypass.store.signing import Signer, generate, load_signer

__all__ = ["Fleet", "Report", "new_signer", "simulate"]

#: Virtual seconds from a build to its publication.
_TRANSLATION = 0.05


@dataclass(slots=True)
class Report:
    """``made``: machines that translated; ``first_boost``: seconds from the start of
    each program; ``requests``: of each machine; ``rate``: requests in each second.
    """

    made: int = 0
    published: int = 0
    hits: int = 0
    refused: int = 0
    first_boost: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    rate: Counter[int] = field(default_factory=Counter)

    @property
    def peak(self) -> int:
        """Most requests in a second."""
        return max(self.rate.values(), default=0)


class _Counted:
    """A store that counts requests by second and machine."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.requests = 0

    def _count(self) -> None:
        self.requests += 1
        self._fleet.report.rate[int(self._fleet.now)] += 1

    def get(self, name: str, seconds: float) -> bytes | None:
        self._count()
        return self._fleet.store.get(name, seconds)

    def put(self, name: str, data: bytes, seconds: float, *, if_absent: bool) -> bool:
        self._count()
        return self._fleet.store.put(name, data, seconds, if_absent=if_absent)


class _Member:
    """A machine of the fleet."""

    def __init__(self, fleet: Fleet, number: int, start: float) -> None:
        self.start = start
        self.lost = False
        self.backend = _Counted(fleet)
        self.publisher = (
            Publisher(ABI, self.backend, fleet.signer, clock=lambda: fleet.now)
            if number % fleet.one_writer_in == 0
            else None
        )
        self.shared = SharedTranslations(
            ABI,
            self.backend,
            fleet.signer.public,
            self.publisher,
            clock=lambda: fleet.now,
            dice=fleet.dice.random,
            run=None if fleet.really else lambda job, seconds: job(),
            patience=Patience(timeout=600.0) if fleet.really else None,
        )
        self.machine = Machine(random_bases(fleet.dice.getrandbits(32)))
        # Traces differ in number, as execution counts do in life.
        self.profile = self.machine.profile(traces=fleet.dice.randint(1, 5))
        self.build = Builder(ABI, self.shared)
        self.built: Built | None = None


class Fleet:
    """``machines`` that start within ``jitter`` seconds.

    ``lose_first``: the machine that claims the translation dies before it publishes.
    ``one_writer_in``: how many machines there are for each with the private key.
    ``really``: requests are made in threads, as they are in life.
    """

    def __init__(
        self,
        store: Backend,
        signer: Signer,
        machines: int,
        *,
        jitter: float = 5.0,
        seed: int = 1,
        lose_first: bool = False,
        one_writer_in: int = 1,
        really: bool = False,
    ) -> None:
        self.store = store
        self.signer = signer
        self.dice = random.Random(seed)
        self.now = 0.0
        self.one_writer_in = one_writer_in
        self.really = really
        self.report = Report()
        self._lose = lose_first
        self.members = [
            _Member(self, number, self.dice.uniform(0, jitter))
            for number in range(machines)
        ]
        self._queue = [(m.start, number) for number, m in enumerate(self.members)]
        heapq.heapify(self._queue)

    def run(self) -> Report:
        """Until every machine has its translation and everything is published."""
        while self._queue:
            self.now, number = heapq.heappop(self._queue)
            self._step(self.members[number], number)
        report = self.report
        report.requests = [member.backend.requests for member in self.members]
        for member in self.members:
            figures: Figures = member.shared.figures
            report.hits += figures.hits
            report.refused += figures.refused
            report.published += figures.published
        return report

    def _step(self, member: _Member, number: int) -> None:
        if member.built is not None:
            if member.publisher is not None and not member.lost:
                member.publisher.publish_due()
            return
        hits = member.shared.figures.hits
        try:
            member.built = member.build(member.profile, member.machine)
        except Postponed as later:
            heapq.heappush(self._queue, (self.now + later.seconds, number))
            return
        made = member.shared.figures.hits == hits
        took = _TRANSLATION if made else 0.0
        self.report.first_boost.append(self.now + took - member.start)
        if not made:
            return
        self.report.made += 1
        member.lost, self._lose = self._lose, False
        for due in (took, 12.0):  # claimed; spread over ten seconds
            heapq.heappush(self._queue, (self.now + due, number))


def new_signer(folder: Path) -> Signer:
    """A fleet's private key, in a new file."""
    path = folder / "private"
    path.touch(mode=0o600)
    path.write_text(generate()[0])
    return load_signer(path)


def simulate(machines: int, **options: float) -> Report:
    """A fleet with a new store in a directory. Options: see :class:`Fleet`."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        root.mkdir(mode=0o755)
        signer = new_signer(Path(folder))
        return Fleet(Directory(root), signer, machines, **options).run()  # type: ignore[arg-type]


def main() -> None:
    """Print what a fleet does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("machines", type=int, nargs="?", default=1000)
    parser.add_argument("--jitter", type=float, default=5.0)
    parser.add_argument("--lose-first", action="store_true")
    parser.add_argument("--one-writer-in", type=int, default=1)
    args = parser.parse_args()
    report = simulate(
        args.machines,
        jitter=args.jitter,
        lose_first=args.lose_first,
        one_writer_in=args.one_writer_in,
    )
    delays = sorted(report.first_boost)
    print(f"machines            {args.machines}, starting within {args.jitter:g} s")
    print(f"translated on       {report.made}, published {report.published} times")
    print(f"from the store      {report.hits}, refused {report.refused}")
    print(
        f"requests            {sum(report.requests)}, at most {max(report.requests)} "
        f"of a machine and {report.peak} in a second"
    )
    print(
        f"build after         {delays[len(delays) // 2]:.2f} s (median), "
        f"{delays[-1]:.2f} s (last)"
    )


if __name__ == "__main__":
    main()
