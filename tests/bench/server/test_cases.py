# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import dataclass

import pytest

from ubypass.bench.server.cases import choose
from ubypass.errors import UbError


@dataclass(frozen=True)
class _Case:
    size: int
    log: bool = False


_CASES = (_Case(1), _Case(4), _Case(4, log=True))


def test_what_is_not_asked_for_may_be_anything() -> None:
    assert choose("x", _CASES, {"size": (), "log": ()}, "") == _CASES
    assert choose("x", _CASES, {"size": (4,), "log": ()}, "") == _CASES[1:]
    assert choose("x", _CASES, {"size": (4, 9), "log": (False,)}, "") == _CASES[1:2]


def test_no_case_is_an_error_that_says_what_there_is() -> None:
    with pytest.raises(UbError, match="no such case of x") as error:
        choose("x", _CASES, {"size": (9,)}, "sizes are 1 and 4")
    assert error.value.hint == "sizes are 1 and 4"
