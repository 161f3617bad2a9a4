# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.abi import ExitReason
from ubypass.cli.process_figures import process_rows
from ubypass.device.types import Stats
from ubypass.device.uapi import Decline
from ubypass.engine.declines import REASONS
from ubypass.engine.summary import Summary


def test_exits_the_most_frequent_first_and_reasons_in_words() -> None:
    counters = Stats(
        native=10,
        dispatched=990,
        exits={ExitReason.RET_MISS: 2, ExitReason.FAULT: 7},
        declines={Decline.PTRACE: 3},
        filtered=5,
    )
    rows = process_rows(Summary(7, "a", True, counters, notes=("why",)).as_json())
    values = dict(rows)
    assert values["exits"] == "fault 7, ret_miss 2"
    assert values["dispatched"] == "990 (99.00%)"
    assert values["declined"] == f"3: {REASONS[Decline.PTRACE]}"
    assert values["filtered"].startswith("5: a seccomp filter")
    assert values["first boost"] == "never"
    assert values["note"] == "why"


def test_what_was_not_counted_is_said() -> None:
    data = Summary(7, "a", True, Stats()).as_json()
    assert dict(process_rows(data))["system calls"] == "0"
    said = dict(process_rows({**data, "uncounted_seconds": 0.25}))["system calls"]
    assert said.startswith("0, not counting 0.25 s of CPU time at the beginning")
    assert "it ended" not in said
    over = {**data, "uncounted_seconds": 0.25, "alive": False}
    said = dict(process_rows(over))["system calls"]
    assert "at rest, then it ended (--tune=grace_ms=0 --tune=rest_bits=0" in said


def test_rest_is_said() -> None:
    data = Summary(7, "a", True, Stats(native=9, resting=True)).as_json()
    assert data["resting"] is True
    assert dict(process_rows(data))["at rest"].startswith("yes: nothing to gain")
    data = Summary(7, "a", True, Stats(native=9)).as_json()
    assert "at rest" not in dict(process_rows(data))


def test_what_only_lasts_a_moment_is_counted_and_not_named() -> None:
    counters = Stats(declined=5, declines={Decline.WORK: 5})
    rows = dict(process_rows(Summary(7, "a", True, counters).as_json()))
    assert rows["runs"] == "0 (5 declined)"
    assert "declined" not in rows


def test_regions() -> None:
    data = Summary(7, "a", True, Stats()).as_json()
    assert dict(process_rows(data))["regions"] == "none"
    sizes = {"regions": 1, "entries": 2, "region_instructions": 1_300}
    sizes |= {"source_bytes": 5_000, "code_bytes": 20_000}
    assert dict(process_rows({**data, **sizes}))["regions"] == (
        "1: 2 entries, 1,300 instructions, 5,000 -> 20,000 bytes"
    )


def test_trust_is_said() -> None:
    data = Summary(7, "a", True, Stats()).as_json()
    assert "trusted" not in dict(process_rows(data))
    rows = dict(process_rows({**data, "trusted": True}))
    assert rows["trusted"].startswith("yes: no protection of kernel memory")
