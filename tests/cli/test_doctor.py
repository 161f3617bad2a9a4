# SPDX-License-Identifier: GPL-2.0-only
"""``ub doctor``: verdicts and exit codes agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from ubypass.doctor import kernel, lab
from ubypass.doctor.check import Check, Scope, State

Ub = Callable[..., int]


def _play(
    monkeypatch: pytest.MonkeyPatch, on_kernel: State, on_lab: State = State.OK
) -> None:
    def kernel_checks(*anything: object) -> Iterator[Check]:
        yield Check(Scope.KERNEL, "thing", on_kernel, "found [it]", "do [that]")

    def lab_checks(*anything: object) -> Iterator[Check]:
        yield Check(Scope.LAB, "other", on_lab, "seen")

    monkeypatch.setattr(kernel, "check_kernel", kernel_checks)
    monkeypatch.setattr(lab, "check_lab", lab_checks)


@pytest.mark.parametrize(
    ("on_kernel", "on_lab", "code"),
    [
        (State.OK, State.OK, 0),
        (State.NOTE, State.OK, 0),
        (State.FAIL, State.OK, 1),
        (State.OK, State.FAIL, 0),
    ],
)
def test_the_exit_code_is_about_this_kernel(
    ub: Ub, monkeypatch: pytest.MonkeyPatch, on_kernel: State, on_lab: State, code: int
) -> None:
    _play(monkeypatch, on_kernel, on_lab)
    assert ub("doctor") == code
    assert ub("doctor", "--json") == code


def test_each_check_is_shown_with_its_advice(
    ub: Ub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _play(monkeypatch, State.FAIL)
    ub("doctor")
    out = capsys.readouterr().out
    assert "this kernel: not ready" in out
    assert "lab: ready" in out
    assert "found [it]" in out
    assert "do [that]" in out


def test_for_machines(
    ub: Ub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _play(monkeypatch, State.FAIL)
    ub("doctor", "--json")
    data = json.loads(capsys.readouterr().out)
    assert (data["this_kernel"], data["lab"]) == (False, True)
    assert data["checks"][0] == {
        "scope": "this kernel",
        "name": "thing",
        "state": "fail",
        "found": "found [it]",
        "advice": "do [that]",
    }


def test_this_machine_can_be_looked_at(
    ub: Ub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("doctor") in (0, 1)
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80


def test_a_narrow_window_cuts_nothing_that_is_to_be_copied(
    ub: Ub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "apt install linux-headers-6.1.0-56-amd64 linux-kbuild-6.1"

    def checks(*anything: object) -> Iterator[Check]:
        yield Check(Scope.KERNEL, "thing", State.FAIL, "found", command)

    _play(monkeypatch, State.OK)
    monkeypatch.setattr(kernel, "check_kernel", checks)
    monkeypatch.setenv("COLUMNS", "40")
    ub("doctor")
    assert command in capsys.readouterr().out
