# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse

import pytest

from ubypass.cli.engine_options import (
    add_engine_options,
    caps,
    own_engine_option,
    tunables,
)
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
    names = {
        name.strip()
        for name in caught.value.hint.removeprefix("choose from").split(",")
    }
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


def test_options_that_only_an_own_engine_can_obey() -> None:
    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    words = {
        "--cap": ["regions=1"],
        "--model": ["sapphire-rapids"],
        "--record": ["file"],
        "--trust": [],
        "--tune": ["gap_ns=1"],
    }
    for option, values in words.items():
        args = parser.parse_args([option, *values])
        assert own_engine_option(args) == option
    args = parser.parse_args(["--children", "--json", "-q", "--own-engine"])
    assert own_engine_option(args) == ""
