# SPDX-License-Identifier: GPL-2.0-only
"""The same program natively and boosted: nobody must be able to tell."""

from __future__ import annotations

import pytest

from tests.guest.cases import TWIN_CASES
from tests.guest.conftest import Guest, case

pytestmark = pytest.mark.guest


@pytest.mark.parametrize("case", [case(name) for name in TWIN_CASES])
def test_as_natively(guest: Guest, case: str) -> None:
    result = guest.result(case)
    native, boosted = result["native"], result["boosted"]
    # The native run shows that the case is what it claims to be.
    for run in (native, boosted):
        assert run["acted"]
        assert run["ended"]
        for program in run["programs"]:
            assert not any(line.startswith("FAILED") for line in program["output"])
    assert boosted["programs"] == native["programs"]
    assert boosted["boosted_again"]
    for summary in result["summaries"][: len(native["programs"])]:
        assert summary["dispatched"] > 1000


@pytest.mark.guest("fault-read")
def test_the_fault_is_where_it_was_made(guest: Guest) -> None:
    output = guest.result("fault-read")["boosted"]["programs"][0]["output"]
    assert "signal 11 code 2 at fault_read" in output
    assert "address 0x10000000130 error 0x4 trap 14" in output


@pytest.mark.parametrize("case", [case(name) for name in TWIN_CASES])
def test_who_is_trusted(guest: Guest, case: str) -> None:
    """By the engine, and by what the module has recorded."""
    result = guest.result(case)
    trusted = TWIN_CASES[case].trusted
    assert {summary["trusted"] for summary in result["summaries"]} == {trusted}
    assert set(result["trusted_regions"]) <= {trusted}
    assert result["trusted_regions"] or not trusted


@pytest.mark.guest("signal-storm")
def test_the_storm_changed_nothing(guest: Guest) -> None:
    program = guest.result("signal-storm")["boosted"]["programs"][0]
    assert program["output"] == [
        "torn 0 wrong 0",
        "sleeps interrupted 1",
        "signals came 1",
    ]


@pytest.mark.guest("endless-killed")
def test_an_endless_gap_dies(guest: Guest) -> None:
    assert guest.result("endless-killed")["boosted"]["programs"][0]["status"] == -9


@pytest.mark.parametrize(
    "case", [case(name) for name in TWIN_CASES if name.startswith("seccomp-")]
)
def test_no_call_escapes_a_filter(guest: Guest, case: str) -> None:
    (line,) = guest.result(case)["boosted"]["programs"][0]["output"]
    assert line == "allowed before 1, refused after 1, escaped 0, odd 0"


@pytest.mark.parametrize(
    "case", [case(name) for name in TWIN_CASES if name.startswith("remap-")]
)
def test_changed_code_never_runs_as_it_was(guest: Guest, case: str) -> None:
    last = guest.result(case)["boosted"]["programs"][0]["output"][-1]
    if case == "remap-rewrite":
        assert last == "changes 20 wrong 0 last 1020"
    else:
        assert last.endswith("old code ran after the change 0 times")
