# SPDX-License-Identifier: GPL-2.0-only
"""What ``ub explain`` prints, with an engine that is played."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.live_samples import site
from ubypass.cli import explain, named
from ubypass.engine import control
from ubypass.errors import UbError
from ubypass.process import namespace


def _shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **answer: Any
) -> str:
    process = {
        "pid": 7,
        "name": "server",
        "reason": None,
        "hint": None,
        "filtered": 0,
        "trusted": False,
        "sites": [site(symbol="read")],
        "regions": [],
        **answer,
    }
    monkeypatch.setattr(control, "ask_all", lambda question: ([process], []))
    args = argparse.Namespace(
        id="7",
        json=False,
        html=None,
        sites=not process["regions"],
        exits=True,
    )
    assert explain.run(args) == 0
    return capsys.readouterr().out


def _ended(pid: int) -> UbError:
    return UbError(f"no attached process and no region has the number {pid}")


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Three processes of one name; those that are attached."""
    boosted = {10, 12}

    def ask_all(question: dict[str, Any]) -> tuple[list[Any], list[UbError]]:
        if question["ask"] == "stats":
            processes = [{"pid": pid} for pid in (10, 12)]
            answer = {"engine_pid": 5, "processes": processes}
            return [{**answer, "pid_namespace": namespace.own_namespace()}], []
        pid = question["id"]
        if pid not in boosted:
            raise _ended(pid)
        played = {"name": "nginx", "reason": None, "filtered": 0, "sites": []}
        return [{**played, "pid": pid, "hint": None, "regions": []}], []

    monkeypatch.setattr(
        named, "processes", lambda word: [10] if word == "10" else [10, 11, 12]
    )
    monkeypatch.setattr(control, "ask_all", ask_all)
    return boosted


def test_all_that_a_name_matches_are_explained(
    three: set[int], ub: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("explain", "nginx") == 0
    out, err = capsys.readouterr()
    nothing = "none of its system calls has been examined yet"
    assert out.splitlines() == [
        *("process 10 (nginx):", nothing, "", "process 12 (nginx):", nothing)
    ]
    assert err == "ub: 1 of 3 processes are not being boosted\n"


def test_of_several_some_may_end_meanwhile(
    three: set[int], ub: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    three.remove(10)
    assert ub("explain", "nginx") == 1
    out, err = capsys.readouterr()
    assert out.startswith("process 12 (nginx):")
    assert err.splitlines()[1:] == [f"ub: {_ended(10)}"]
    three.remove(12)
    assert ub("explain", "nginx") == 1
    assert capsys.readouterr().out == ""


def test_for_machines_all_are_one_object(
    three: set[int], ub: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("explain", "nginx", "--json") == 0
    out, err = capsys.readouterr()
    assert err == "ub: 1 of 3 processes are not being boosted\n"
    assert ub("explain", "10", "--json") == 0
    one = json.loads(capsys.readouterr().out)
    both = json.loads(out)
    assert both == {"version": 1, "matches": [one, {**one, "pid": 12}]}
    three.remove(10)
    assert ub("explain", "nginx", "--json") == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["matches"] == [{**one, "pid": 12}]
    assert err.splitlines()[1:] == [f"ub: {_ended(10)}"]
    three.remove(12)
    assert ub("explain", "nginx", "--json") == 1
    assert capsys.readouterr().out == ""


def test_a_page_is_about_one_process(
    three: set[int],
    ub: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(named, "_command", lambda pid: "nginx")
    assert ub("explain", "nginx", "--html", tmp_path / "page.html") == 1
    assert not (tmp_path / "page.html").exists()
    assert capsys.readouterr().err == (
        "ub: 'nginx' matches 3 processes: 10 (nginx), 11 (nginx), 12 (nginx)\n"
        "    a page is about one process: give the PID of one of them\n"
    )


def test_times_of_the_clock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _shown(monkeypatch, capsys, priced_by="clock")
    assert "2,443" in text
    assert "model" not in text


def test_a_trusted_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "trusted" not in _shown(monkeypatch, capsys, priced_by="clock")
    text = _shown(monkeypatch, capsys, priced_by="clock", trusted=True)
    assert "trusted: no protection of kernel memory" in text


def test_what_a_filter_keeps_native(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _shown(monkeypatch, capsys, priced_by="clock", filtered=1234)
    assert "1,234 calls were made natively" in text
    assert "seccomp filter" in text


def test_a_gain_by_a_model_is_labelled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _shown(monkeypatch, capsys, priced_by="zen4")
    assert "GAIN from the model zen4" in text
    assert max(map(len, text.splitlines())) <= 80


def test_registers_that_hold_no_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    region = {
        **{"region": 3, "pid": 7, "name": "server", "instructions": 5},
        **{"source_bytes": 9, "code_bytes": 99, "dispatched": 1, "runs": 1},
        **{"exits": []},
        "nonpointers": [
            {"address": 0x1002, "symbol": "copy+0x2", "registers": ["rbx", "r12"]}
        ],
    }
    text = _shown(monkeypatch, capsys, priced_by="clock", regions=[region])
    assert "NO ADDRESS IN" in text
    assert "rbx r12" in text
    assert "copy+0x2" in text
