# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bench.samples import ICOUNT
from ubypass.bench.packets import measure as subject
from ubypass.bench.packets.measure import Plan, measure_all
from ubypass.bench.packets.network import Network
from ubypass.bench.packets.receivers import Case, Kind, Receiver
from ubypass.bench.packets.record import PacketRecord
from ubypass.bench.server.measure import Checked, Load
from ubypass.bench.server.measure import Plan as Settling
from ubypass.errors import UbError

_PLAN = Plan(packets=10, runs=3, settling=Settling(unhook=0))


@dataclass
class _Played:
    """Takes 100, 200, ... ns for each packet; the load number ``wrong`` is wrong."""

    wrong: int = 0
    loads: int = 0

    def serving(self) -> tuple[int, ...]:
        return (4711,)

    def load(self, packets: int) -> Load:
        self.loads += 1
        wrong = 1 if self.loads == self.wrong else 0
        return Load(packets, packets * 100 * self.loads, Checked(1, wrong))

    def background(self) -> Any:
        return contextlib.nullcontext()


def _kind(receiver: Receiver, boosted: bool = False) -> Kind:
    @contextlib.contextmanager
    def started(network: Network, case: Case) -> Iterator[Receiver]:
        yield receiver

    return Kind("raw", "raw socket", started, boosted)


@pytest.fixture(autouse=True)
def wire(monkeypatch: pytest.MonkeyPatch) -> None:
    made = contextlib.nullcontext(Network("to", "from"))
    monkeypatch.setattr(subject, "network", lambda: made)


def measured(*kinds: Kind, cases: tuple[Case, ...] = (Case(64),)) -> list[PacketRecord]:
    return list(measure_all(cases, ICOUNT, _PLAN, "ub bench", receivers=kinds))


def test_the_first_load_is_checked_and_not_counted() -> None:
    (record,) = measured(_kind(_Played()))
    assert record.runs == (200.0, 300.0, 400.0)
    assert (record.cost, record.wrong, record.packets) == (300.0, 0, 10)
    assert (record.receiver, record.kind, record.size) == ("raw socket", "raw", 64)
    assert record.dispatched is None


@pytest.mark.parametrize("load", [1, 3])
def test_what_is_wrong_is_told(load: int) -> None:
    (record,) = measured(_kind(_Played(wrong=load)))
    assert record.wrong == 1


def test_what_cannot_be_started_costs_itself_only() -> None:
    def refused(network: Network, case: Case) -> Any:
        raise UbError("cannot load an XDP program: Operation\n  not permitted", "hint")

    kinds = (Kind("xdp", "XDP", refused), _kind(_Played()))
    records = measured(*kinds, cases=(Case(64), Case(64, sum=True)))
    assert [record.not_run for record in records] == [
        *("cannot load an XDP program: Operation not permitted", ""),
    ] * 2
    assert [record.sum for record in records] == [False, False, True, True]
    assert records[0].cost is None
    assert records[0].runs == ()


def test_what_fails_once_it_has_started_is_an_error() -> None:
    class Failing(_Played):
        def load(self, packets: int) -> Load:
            raise UbError("rawudp has failed: 3 of 10 packets were received")

    failed, good = measured(_kind(Failing()), _kind(_Played()))
    assert failed.not_run == "rawudp has failed: 3 of 10 packets were received"
    assert (failed.wrong, failed.runs) == (1, ())
    assert (good.wrong, good.cost) == (0, 300.0)


def test_without_the_module_nothing_is_boosted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "DEVICE_PATH", "/nonexistent")
    (record,) = measured(_kind(_Played(), boosted=True))
    assert record.not_run == "the module ub is not loaded"


def test_all_takes_place_on_one_processor() -> None:
    class Pinned(_Played):
        def load(self, packets: int) -> Load:
            seen.append(os.sched_getaffinity(0))
            return super().load(packets)

    seen: list[set[int]] = []
    before = os.sched_getaffinity(0)
    measured(_kind(Pinned()))
    assert seen == [{min(before)}] * 4
    assert os.sched_getaffinity(0) == before


def test_the_share_of_calls_in_measured_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = _Played()

    @dataclass
    class Figures:
        calls: int
        dispatched: int

    class Boost:
        def figures(self, pids: tuple[int, ...]) -> Figures:
            assert pids == (4711,)
            # The first load is before, three are measured.
            return Figures(receiver.loads * 100, receiver.loads * 100 - 10)

    settled = []
    monkeypatch.setattr(subject, "DEVICE_PATH", "/dev/null")
    attached = contextlib.nullcontext(Boost())
    monkeypatch.setattr(subject, "Attachment", lambda pids: attached)
    monkeypatch.setattr(subject, "settle", lambda *_: settled.append(receiver.loads))
    (record,) = measured(_kind(receiver, boosted=True))
    assert settled == [1]
    assert record.runs == (200.0, 300.0, 400.0)
    assert record.dispatched == 1.0
