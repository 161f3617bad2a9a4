# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.bench.samples import ICOUNT
from ubypass.bench.server import measure as subject
from ubypass.bench.server.attachment import Figures
from ubypass.bench.server.measure import (
    AS_PAPER,
    Checked,
    Load,
    Plan,
    Setting,
    measure,
)
from ubypass.errors import UbError


class FakeServer:
    """A server whose requests cost 1000 ns, 900 while it is boosted."""

    name = "fake"
    case = "case"
    by_time = False
    version = "fake 1.2"
    main = 1

    def __init__(self) -> None:
        self.boosted = False
        self.cpu = 0
        self.calls = 0
        self.dispatched = 0
        self.workers: tuple[int, ...] = (1,)
        self.log: list[str] = []
        self.wrong = 0
        self.gains = True
        self.build_s = 0.0
        self.builds = 0  # boosted runs during which something is built

    def serving(self) -> tuple[int, ...]:
        return self.workers

    def load(self) -> Load:
        self.log.append("boosted" if self.boosted else "native")
        if self.boosted and self.builds:
            self.builds -= 1
            self.build_s += 0.5
        self.work(100)
        return Load(100, 200_000, Checked(100, self.wrong))

    def work(self, requests: int) -> None:
        self.cpu += requests * (900 if self.boosted else 1000)
        self.calls += 2 * requests
        self.dispatched += requests if self.boosted and self.gains else 0

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        self.log.append("settling")
        yield

    def background(self) -> AbstractContextManager[None]:
        return self._running()

    def check(self) -> Checked:
        self.work(1)
        return Checked(1, 0)


class FakeAttachment:
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def __enter__(self) -> FakeAttachment:
        self._server.boosted = True
        return self

    def __exit__(self, *error: object) -> None:
        self._server.boosted = False

    def figures(self, pids: object) -> Figures:
        self._server.work(50)  # what goes on while somebody looks
        return Figures(
            calls=self._server.calls,
            dispatched=self._server.dispatched,
            regions=2,
            loads=3,
            build_s=self._server.build_s,
            exits={"frontier": self._server.calls // 10},
        )

    def native_sites(self, pids: object) -> tuple[str, ...]:
        return ("read at f: its gap is too long",)

    def cpu_ns(self) -> int:
        return 0


class FakeCounter:
    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._before = server.calls

    def __enter__(self) -> FakeCounter:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def total(self) -> int:
        return self._server.calls - self._before


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setattr(subject, "cpu_ns", lambda pids: fake.cpu)
    monkeypatch.setattr(subject, "CallCounter", lambda pids: FakeCounter(fake))
    monkeypatch.setattr(subject, "_attached", lambda *_: FakeAttachment(fake))
    clock = iter(range(10**6))
    monkeypatch.setattr(subject.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(subject.time, "monotonic", lambda: next(clock) * 0.25)
    return fake


_SETTING = Setting(ICOUNT, 200.0, "ub bench")


def test_native_boosted_and_native_again(server: FakeServer) -> None:
    record = measure(server, Plan(runs=5), _SETTING)
    kinds = ["native"] * 4 + ["settling"] + ["boosted"] * 5 + ["native"] * 3
    assert server.log == kinds  # the first run is to warm up
    assert (len(record.before), len(record.boosted), len(record.after)) == (3, 5, 3)
    assert record.native_cost == 1000.0
    assert record.boosted_cost == 900.0
    assert record.ratio == pytest.approx(0.9)
    assert record.calls == 2.0
    assert record.capture == pytest.approx(100 / 400)
    # Two looks at the counters happen within; all else is what the runs did.
    assert record.dispatched == pytest.approx(0.5, abs=0.1)
    assert (record.regions, record.loads) == (2, 3)
    assert record.steady_s is not None
    assert record.wrong == 0
    assert record.checked >= 12 * 100


@pytest.mark.parametrize(("builds", "attempts"), [(1, 2), (2, 2), (3, 3), (99, 3)])
def test_runs_during_which_something_was_built_are_repeated(
    server: FakeServer, builds: int, attempts: int
) -> None:
    calm = measure(server, Plan(runs=2), _SETTING)
    server.log.clear()
    server.builds = builds
    record = measure(server, Plan(runs=2), _SETTING)
    assert server.log.count("settling") == attempts
    assert server.log.count("boosted") == 2 * attempts
    assert len(record.boosted) == 2
    assert calm.steady_s is not None
    assert record.steady_s is not None
    assert record.steady_s > calm.steady_s
    assert record.wrong == 0
    assert bool(record.notes) is (builds == 99)


def test_as_in_the_paper(server: FakeServer) -> None:
    record = measure(server, AS_PAPER, _SETTING)
    assert server.log[0] == "native"  # to warm up
    assert len(record.boosted) == len(record.before) + len(record.after) == 10
    assert record.means
    assert record.version == "fake 1.2"
    assert not measure(server, Plan(runs=1), _SETTING).means


def test_boosted_again_and_again(server: FakeServer) -> None:
    record = measure(server, Plan(runs=5, cycles=5), _SETTING)
    assert server.log.count("settling") == 5
    assert len(record.boosted) == 5
    assert len(record.before) + len(record.after) == 6
    order = [word for word in server.log if word != "settling"]
    assert order == ["native", "native"] + ["boosted", "native"] * 5


def test_only_a_server_that_stayed_native_has_its_sites_noted(
    server: FakeServer,
) -> None:
    assert measure(server, Plan(runs=1), _SETTING).notes == ()
    server.gains = False
    notes = measure(server, Plan(runs=1), _SETTING).notes
    assert notes == ("read at f: its gap is too long",)


def test_wrong_replies_are_counted(server: FakeServer) -> None:
    server.wrong = 2
    assert measure(server, Plan(runs=1), _SETTING).wrong == 2 * len(
        [word for word in server.log if word != "settling"]
    )


def test_a_worker_that_is_replaced_is_no_measurement(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cpu(pids: object) -> int:
        server.workers = (server.workers[0] + 1,)
        return 0

    monkeypatch.setattr(subject, "cpu_ns", cpu)
    with pytest.raises(UbError, match="did not keep up"):
        measure(server, Plan(runs=1), _SETTING)


def test_options_of_an_attachment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(subject, "Attachment", lambda *given: asked.append(given))
    fake = FakeServer()
    subject._attached(fake, replace(_SETTING, builds=tmp_path, options=("--quiet",)))
    subject._attached(fake, _SETTING)
    subject._attached(fake, replace(_SETTING, trusted=True))
    name = "-".join(f"{fake.name} {fake.case}".replace(",", "").split())
    assert asked == [
        ([fake.main], ("--quiet", f"--record={tmp_path / name}.builds")),
        ([fake.main], ()),
        ([fake.main], ("--trust",)),
    ]


def test_a_trusted_server_is_named_in_its_case(server: FakeServer) -> None:
    trusted = replace(_SETTING, trusted=True)
    assert measure(server, Plan(runs=1), trusted).case == "case, trusted"
    assert measure(server, Plan(runs=1), _SETTING).case == "case"


def test_an_engine_that_waits_for_the_host_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The guest's clock goes on meanwhile."""
    now = 0.0
    asked = 0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    class Boost:
        def figures(self, pids: object) -> Figures:
            nonlocal now, asked
            asked += 1
            now += 100.0 if asked == 1 else 0.0
            return Figures(calls=1000 * asked, loads=min(asked, 4))

        def cpu_ns(self) -> int:
            return 0

    class Server:
        background = staticmethod(contextlib.nullcontext)

        def serving(self) -> tuple[int, ...]:
            return (1,)

    monkeypatch.setattr(subject.time, "monotonic", lambda: now)
    monkeypatch.setattr(subject.time, "sleep", sleep)
    found = subject.settle(cast(Any, Server()), cast(Any, Boost()), Plan())
    assert found is not None
    assert found.since > 100.0
