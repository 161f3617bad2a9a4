# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from ubypass.cli.options import caps, number, seconds, tunables, whole
from ubypass.device.uapi import Tunable
from ubypass.engine.regions import Caps
from ubypass.errors import UbError


def test_tunables_have_names_and_values() -> None:
    assert tunables(["gap_ns=0x10", "HOT_CALLS=3"]) == {
        Tunable.GAP_NS: 16,
        Tunable.HOT_CALLS: 3,
    }
    assert tunables([]) == {}


def test_every_tunable_is_named_in_the_advice() -> None:
    with pytest.raises(UbError) as caught:
        tunables(["speed=11"])
    names = {name.strip() for name in caught.value.hint[len("there are") :].split(",")}
    assert names == {what.name.lower() for what in Tunable}


def test_caps_bound_the_engine() -> None:
    assert caps([]) == Caps()
    found = caps(["regions=2", "code_kib=64", "rounds=5"])
    assert (found.regions, found.code_bytes, found.rounds) == (2, 65536, 5)


@pytest.mark.parametrize(
    "word", ["regions", "regions=", "regions=x", "x=1", "rounds=0"]
)
def test_senseless_caps_are_refused(word: str) -> None:
    with pytest.raises(UbError):
        caps([word])


def test_numbers() -> None:
    assert number("42") == 42
    for word in ("0x", "", "--1", "1_0", "\u0663", "9" * 50):
        with pytest.raises(UbError) as caught:
            number(word)
        assert caught.value.exit_code == 2


def _said(parse: Callable[[str], object], word: str) -> str:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse(word)
    return str(caught.value)


def test_types_say_what_they_want_without_names_from_the_source() -> None:
    assert whole()("0") == 0
    assert whole(-5)("-5") == -5
    assert _said(whole(), "x") == "'x' is not a whole number"
    assert _said(whole(1, 8), "0") == "0 is less than 1"
    assert _said(whole(1, 8), "9") == "9 is more than 8"
    assert seconds(0.5, 10)("1.5") == 1.5
    assert _said(seconds(0.5, 10), "soon") == "'soon' is not a number of seconds"
    for word in ("0", "11", "nan", "inf"):
        assert "is not between 0.5 and 10 seconds" in _said(seconds(0.5, 10), word)
