# SPDX-License-Identifier: GPL-2.0-only
"""Dispatches whose numbers are not those that come to them (also ``fail.s``)."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from tests.verify import cases
from ubypass.abi import Abi, Translation
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.load import load
from ubypass.verify.number import check_numbers

_CASES = {case.name: case for case in cases.read("pass.s")}


def _check(translation: Translation) -> None:
    check_numbers(load(translation, Abi()), translation)


def test_numbers_belong_to_their_dispatches() -> None:
    """Of all orders of the numbers only the right one is accepted."""
    whole = cases.translate(_CASES["several_numbers"])
    accepted, rules = [], set()
    for order in permutations(d.nr for d in whole.dispatches):
        made = [
            replace(dispatch, nr=nr)
            for dispatch, nr in zip(whole.dispatches, order, strict=True)
        ]
        try:
            _check(replace(whole, dispatches=tuple(made)))
        except VerifyError as error:
            rules.add(error.rule)
        else:
            accepted.append(order)
    assert rules == {Rule.NUMBER}
    assert accepted == [tuple(d.nr for d in whole.dispatches)]


@pytest.mark.parametrize("name", sorted(n for n in _CASES if "number" in n))
def test_only_that_number(name: str) -> None:
    whole = cases.translate(_CASES[name])
    _check(whole)
    for number, dispatch in enumerate(whole.dispatches):
        made = list(whole.dispatches)
        made[number] = replace(dispatch, nr=3)
        with pytest.raises(VerifyError) as caught:
            _check(replace(whole, dispatches=tuple(made)))
        assert caught.value.rule is Rule.NUMBER
        assert caught.value.offset == dispatch.code_offset
