# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json

import pytest

from tests.secureboot.inside import DOCTOR, Said
from tests.secureboot.steps import BOOTS, Step, judge

_STEPS = (
    Step("ub module load", 1, ("requires signed",), ("Traceback",)),
    Step(DOCTOR, 1, ("signatures ok enrolled -> ", "lockdown fail by -> mokutil")),
)


def _line(typed: str, status: int, said: str, errors: str = "") -> Said:
    return {
        "step": typed,
        "typed": typed,
        "status": status,
        "said": said,
        "errors": errors,
    }


def _doctor(scope: str = "this kernel", name: str = "lockdown") -> str:
    rows = [("signatures", "ok", "enrolled", ""), (name, "fail", "by", "mokutil")]
    keys = ("name", "state", "found", "advice")
    checks = [{"scope": scope, **dict(zip(keys, row, strict=True))} for row in rows]
    return json.dumps({"checks": checks})


_REFUSED = _line("ub module load", 1, "", "ub: the kernel requires signed modules\n")


def test_good() -> None:
    assert judge(_STEPS, [_REFUSED, _line(DOCTOR, 1, _doctor())]) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({**_REFUSED, "status": 0}, "status 0"),
        ({**_REFUSED, "errors": "no"}, "not said: requires signed"),
        (
            {**_REFUSED, "said": "Traceback (most recent call last)"},
            "said: Traceback",
        ),
    ],
)
def test_a_command_that_does_something_else(line: Said, words: str) -> None:
    (problem,) = judge(_STEPS, [line, _line(DOCTOR, 1, _doctor())])
    assert words in problem


@pytest.mark.parametrize(
    "said", [_doctor("lab"), _doctor(name="hooks"), "internal error"]
)
def test_a_doctor_that_says_something_else(said: str) -> None:
    (problem,) = judge(_STEPS, [_REFUSED, _line(DOCTOR, 1, said)])
    assert "not said: lockdown fail by -> mokutil" in problem


def test_a_step_that_was_not_done() -> None:
    assert judge(_STEPS, [_REFUSED]) == ["1 of 2 steps were done"]


def test_each_advice_comes_from_a_doctor_that_was_asked_before() -> None:
    for boot in BOOTS:
        typed = [step.typed for step in boot.steps]
        for place, command in enumerate(typed):
            if command.startswith("do "):
                assert DOCTOR in typed[:place]
