# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.estimate.trace import Enter, Exit, Lost, Passed, Switch, chains

_READ, _WRITE, _SIGRETURN = 0, 1, 15


def test_gaps_with_times() -> None:
    records = [
        Enter(100, 0x12, _READ),
        Exit(150, 0x12, _READ),
        Enter(170, 0x22, _WRITE),
        Exit(300, 0x22, _WRITE),
        Enter(305, 0x12, _READ),
    ]
    assert list(chains(records)) == [
        (
            Passed(0x12, _READ, 0x22, _WRITE, 20, False),
            Passed(0x22, _WRITE, 0x12, _READ, 5, False),
        )
    ]


def test_gaps_without_times() -> None:
    records = [Enter(100, 0x12, _READ), Enter(170, 0x22, _WRITE)]
    assert list(chains(records)) == [(Passed(0x12, _READ, 0x22, _WRITE, None, False),)]


def test_who_waits_does_so_in_a_call_and_who_is_preempted_anywhere() -> None:
    records = [
        Enter(100, 0x12, _READ),
        Switch(asleep=True),
        Exit(900, 0x12, _READ),
        Enter(910, 0x12, _READ),
        Exit(950, 0x12, _READ),
        Switch(asleep=False),
        Enter(5000, 0x12, _READ),
    ]
    (found,) = chains(records)
    assert [(p.ns, p.slept) for p in found] == [(10, True), (None, False)]


def test_a_chain_breaks_where_records_are_lost() -> None:
    read = Enter(1, 0x12, _READ)
    assert [len(c) for c in chains([read, read, Lost(3), read, read, read])] == [1, 2]


def test_a_chain_breaks_behind_a_signal_handler() -> None:
    """Unless it is told where that returned to."""
    records = [
        Enter(1, 0x12, _READ),
        Enter(2, 0x92, _SIGRETURN),
        Enter(3, 0x22, _WRITE),
        Enter(4, 0x12, _READ),
    ]
    assert [[p.resume for p in c] for c in chains(records)] == [[0x12], [0x22]]
    records.insert(2, Exit(3, 0x14, _SIGRETURN))
    assert [[p.resume for p in c] for c in chains(records)] == [[0x12, 0x14, 0x22]]


def test_nothing() -> None:
    assert list(chains([])) == list(chains([Enter(1, 2, 3), Lost(1)])) == []
