# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ubypass.cli.in_turn import in_turn, print_matches
from ubypass.errors import UbError


def _only(*good: int) -> tuple[list[int], Callable[[int], None]]:
    done: list[int] = []

    def act(pid: int) -> None:
        if pid not in good:
            raise UbError(f"{pid} has ended")
        done.append(pid)

    return done, act


@pytest.mark.parametrize(
    ("good", "said"),
    [
        ((1, 2, 3), ""),
        ((2, 3), "ub: 1 has ended\n"),
        ((1, 2), "ub: 3 has ended\n"),
        ((2,), "ub: 1 has ended\nub: 3 has ended\n"),
    ],
)
def test_errors_are_printed_and_the_others_go_on(
    good: tuple[int, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done, act = _only(*good)
    assert in_turn([1, 2, 3], act) == (len(good) == 3)
    assert done == list(good)
    assert capsys.readouterr() == ("", said)


def test_if_all_fail_the_last_error_is_that_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, act = _only()
    with pytest.raises(UbError, match="2 has ended"):
        in_turn([1, 2], act)
    assert capsys.readouterr().err == "ub: 1 has ended\n"


def test_nothing_to_do() -> None:
    in_turn([], lambda pid: None)


def test_what_several_processes_are_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_matches(3, [{"pid": 1}, {"pid": 2}])
    found = json.loads(capsys.readouterr().out)
    assert found == {"version": 3, "matches": [{"pid": 1}, {"pid": 2}]}
