# SPDX-License-Identifier: GPL-2.0-only
"""``ub stats`` and ``ub explain`` against a running engine."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.fakes import FakeDevice
from ubypass.cli import stats
from ubypass.device.types import Site
from ubypass.device.uapi import SiteVerdict
from ubypass.engine import control
from ubypass.process import namespace

Ub = Callable[..., int]


def test_nothing_is_boosted(
    ub: Ub, control_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("stats") == 0
    assert "no process is being boosted" in capsys.readouterr().out
    assert ub("stats", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"version": 1, "processes": []}
    assert ub("stats", "77") == 1
    assert ub("explain", "77") == 1


def test_the_table_names_processes(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("stats") == 0
    out = capsys.readouterr().out
    assert "4242" in out
    assert "looper [x]" in out
    assert "99.0%" in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_one_process_in_detail(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("stats", "4242") == 0
    out = capsys.readouterr().out
    assert "ret_miss" in out
    assert "99.00%" in out
    assert ub("stats", "4243") == 1
    assert "not being boosted" in capsys.readouterr().err
    assert ub("stats", "no-such-one") == 1


def test_stats_for_machines(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("stats", "--json", "4242") == 0
    (process,) = json.loads(capsys.readouterr().out)["processes"]
    assert process["dispatched"] == 990
    assert process["trusted"] is False
    assert process["region"] == 1


def test_a_region_is_explained(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("explain", "4242") == 0
    out = capsys.readouterr().out
    assert "dec rbx" in out
    assert "dispatch of call 39" in out
    assert "1,000 calls dispatched" in out
    assert "EXITS" in out


def test_an_explanation_for_machines_has_counts_by_exit(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("explain", "--json", "1") == 0  # by the region's number
    data = json.loads(capsys.readouterr().out)
    translation = running.loads[0].translation
    assert data["pid"] == 4242
    assert {row["number"]: row["count"] for row in data["exits"]} == {
        number: number for number in range(1, len(translation.exits))
    }
    counts = [row["count"] for row in data["exits"]]
    assert counts == sorted(counts, reverse=True)
    users = {row["user"] for row in data["lines"]}
    assert "syscall" in users


def test_a_process_is_explained_with_the_figures_of_its_sites(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    running.known_sites = [
        Site(
            0x401002,
            39,
            SiteVerdict.ENTRY,
            native_ns=310,
            native_samples=9,
            boosted_ns=95,
            boosted_samples=9,
        ),
        Site(0x401FF0, 1, SiteVerdict.LONG, native_ns=98765, native_samples=9),
    ]
    assert ub("explain", "--json", "4242") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["pid"] == 4242
    assert [region["region"] for region in data["regions"]] == [1]
    first, second = data["sites"]
    assert (first["native_ns"], first["boosted_ns"]) == (310, 95)
    assert first["decision"] == "its region is on trial"
    assert second["boosted_ns"] is None
    assert "too long" in second["decision"]
    assert ub("explain", "--sites", "4242") == 0
    out = capsys.readouterr().out
    assert "98,765" in out
    assert "dec rbx" not in out


def test_watching_shows_what_changes(
    ub: Ub,
    running: FakeDevice,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sleep(seconds: float) -> None:
        if running.counters.native == 110:
            raise KeyboardInterrupt
        running.counters = replace(running.counters, native=110, dispatched=1290)

    monkeypatch.setattr(stats, "time", SimpleNamespace(sleep=sleep))
    assert ub("stats", "--watch", "--json", "4242") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["calls"] for line in lines] == [1000, 400]
    assert [line["bypass_rate"] for line in lines] == [0.99, 0.75]


def test_only_the_exits(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("explain", "--exits", "4242") == 0
    out = capsys.readouterr().out
    assert "EXITS" in out
    assert "dec rbx" not in out


def test_what_is_not_boosted_cannot_be_explained(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("explain", "4243") == 1
    assert "4243" in capsys.readouterr().err
    assert ub("explain", "no-such-one") == 1
    assert "no process has the name 'no-such-one'" in capsys.readouterr().err


def test_watching_nothing_says_so(
    ub: Ub, control_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("stats", "--watch") == 0
    assert "no process is being boosted" in capsys.readouterr().out
    assert ub("stats", "--watch", "77") == 1
    assert "process 77 is not being boosted" in capsys.readouterr().err


def test_watching_ends_with_the_process(
    ub: Ub,
    running: FakeDevice,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also while others are boosted."""
    asked = stats.attached

    def ask(pid: int | None) -> list[dict[str, Any]]:
        if slept:
            raise stats.NotBoosted("process 4242 is not being boosted")
        return asked(pid)

    slept: list[float] = []
    monkeypatch.setattr(stats, "attached", ask)
    monkeypatch.setattr(stats, "time", SimpleNamespace(sleep=slept.append))
    assert ub("stats", "--watch", "--interval", "2.5", "4242") == 0
    assert slept == [2.5]
    out = capsys.readouterr().out.splitlines()
    assert out[1].split()[0] == "4242"
    assert out[2] == "no process is boosted any more"


@pytest.mark.parametrize("word", ["x", "0", "nan"])
def test_what_is_no_interval(
    ub: Ub, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    assert ub("stats", "--watch", "--interval", word) == 2
    err = capsys.readouterr().err
    assert "seconds" in err
    assert "_seconds" not in err


def test_a_silent_engine_is_named_and_hides_nothing(
    ub: Ub,
    running: FakeDevice,
    control_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(control, "_ALL_SECONDS", 0.5)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(control_directory / "1.sock"))
        silent.listen()
        assert ub("stats") == 0
        out, err = capsys.readouterr()
        assert "looper [x]" in out
        assert err == "ub: engine 1 does not answer: it is busy, perhaps translating\n"
        assert ub("stats", "77") == 1
        assert "no engine that answered boosts process 77" in capsys.readouterr().err


def test_numbers_of_another_namespace_are_translated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(namespace, "numbers_here", lambda which: {1: 500, 5: 505})
    processes = [{"pid": 5, "calls": 3}, {"pid": 6, "calls": 4}]
    answer = {"pid_namespace": 7, "engine_pid": 1, "processes": processes}
    assert stats._in_our_numbers(answer) == {
        "engine_pid": 500,
        "processes": [{"pid": 505, "calls": 3}],
    }
    ours = {**answer, "pid_namespace": namespace.own_namespace()}
    assert stats._in_our_numbers(ours) == ours
