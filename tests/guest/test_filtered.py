# SPDX-License-Identifier: GPL-2.0-only
"""Programs under seccomp filters are boosted, and their filters obeyed each time."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.guest.conftest import BTF, Guest
from tests.guest.filtered import ACTIONS, DEADLY
from tests.guest.grown import SHARE

_QUIET = ["traps 0 wrong 0 same 1", "asked 0 wrong 0", "third allowed 0 refused 0"]
_REFUSED = "allowed 0 refused 1 with %d given 0 odd 0"
_ALLOWED = ["allowed 1 refused 0 with 0 given 0 odd 0", *_QUIET]

#: What the program shows natively, for each kind: what its filter is to do.
_SHOWN = {
    "all": _ALLOWED,
    "allow": _ALLOWED,
    "log": _ALLOWED,
    "errno": [_REFUSED % -18, *_QUIET],
    "errno0": [_REFUSED % 0, *_QUIET],
    "trap": [_REFUSED % 110, "traps 1 wrong 0 same 1", *_QUIET[1:]],
    "trace": [_REFUSED % -38, *_QUIET],
    "notify": [
        "allowed 1 refused 0 with 0 given 1 odd 0",
        _QUIET[0],
        "asked 1 wrong 0",
        _QUIET[2],
    ],
    "address": [_ALLOWED[0], *_QUIET[:2], "third allowed 0 refused 1"],
    "tracer": [
        "allowed 0 refused 0 with 0 given 1 odd 0",
        *_QUIET,
        "tracer 0",
    ],
    "kill": [],
    "killthread": ["the thread is gone"],
}


def _case(kind: str) -> Any:
    return pytest.param(kind, marks=pytest.mark.guest(f"filtered-{kind}"))


@pytest.mark.guest
@pytest.mark.stock(BTF)
@pytest.mark.parametrize("kind", [_case(kind) for kind in (*ACTIONS, *DEADLY)])
def test_the_filter_is_obeyed_in_a_boosted_loop(guest: Guest, kind: str) -> None:
    result = guest.result(f"filtered-{kind}")
    print(f"{kind}: {result['share']:.1%} of the calls are dispatched")
    assert result["share"] >= SHARE
    assert result["native"]["acted"]
    assert result["native"]["output"] == _SHOWN[kind]
    assert result["native"]["status"] == (-signal.SIGSYS if kind == "kill" else 0)
    assert result["boosted"] == result["native"]
    assert result["goes_on"]
    # A tracer stays native for as long as it traces.
    filtered = sum(each["filtered"] for each in result["summaries"])
    if kind in ("all", "allow"):
        assert filtered == 0
    elif kind != "tracer":
        assert filtered > 0


@pytest.mark.guest("filtered-strict")
def test_strict_mode_stays_native_and_is_named(guest: Guest) -> None:
    result = guest.result("filtered-strict")
    assert result["native"] == {"acted": True, "status": 0, "output": ["strict"]}
    assert result["boosted"] == result["native"]
    (summary,) = result["summaries"]
    assert summary["dispatched"] == 0
    assert any(
        "its seccomp mode or filter is not supported" in note
        for note in summary["notes"]
    )
