# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from typing import Any

import pytest

from ubypass.engine.summary import Summary
from ubypass.errors import UbError
from ubypass.process.status import ProcessId
from ubypass.service.config import parse
from ubypass.service.leases import REQUEST_RULE, Lease, Leases
from ubypass.service.rules import Facts, Rule

_ONE, _TWO = ProcessId(7, 100, "one"), ProcessId(8, 200, "two")


def test_a_process_has_one_lease_until_it_is_removed() -> None:
    leases = Leases()
    first, second = Lease([_ONE, _TWO]), Lease([_TWO])
    leases.add(first)
    with pytest.raises(UbError, match=r"process 8 \(two\) is already boosted"):
        leases.add(second)
    assert len(leases) == 1
    assert leases.of(7, 100) is first
    assert leases.of(7, 101) is None  # a later process with the number
    leases.remove(first)
    leases.remove(first)
    leases.add(second)
    assert list(leases) == [second]
    assert leases.of(7, 100) is None


def test_a_later_process_with_the_number_may_have_another() -> None:
    leases = Leases()
    old, new = Lease([_ONE]), Lease([ProcessId(7, 300, "new")])
    leases.add(old)
    leases.add(new)
    leases.remove(old)
    assert leases.of(7, 300) is new


def test_it_stands_for_a_rule_until_it_ends() -> None:
    leases = Leases()
    lease = Lease([_ONE], children=True)
    leases.add(lease)
    facts = Facts(7, 100, exe="/bin/one")
    assert leases.rule(facts) is lease.rule
    assert leases.rule(Facts(7, 101)) is None
    assert leases.inheritable(7) is lease.rule
    assert leases.inheritable(8) is None
    assert leases.is_live(lease.rule)
    assert not leases.is_live(Rule(REQUEST_RULE, children=True))
    lease.ended = True
    assert leases.rule(facts) is None
    assert leases.inheritable(7) is None
    assert not leases.is_live(lease.rule)
    # Its figures are still wanted.
    assert leases.covering(_ONE, Rule("redis")) is lease
    assert leases.covering(_TWO, lease.rule) is lease
    assert leases.covering(_TWO, Rule("redis")) is None


def test_children_are_covered_only_if_wanted() -> None:
    leases = Leases()
    leases.add(Lease([_ONE]))
    assert leases.inheritable(7) is None


def test_the_client_is_told_of_changes_only() -> None:
    told: list[Any] = []
    lease = Lease([_ONE], tell=told.append)
    assert lease.last_state is None
    for state in ("attached", "attached", "paused"):
        lease.tell({"state": state})
    assert told == [{"state": "attached"}, {"state": "paused"}]
    assert lease.last_state == "paused"


def test_figures_are_bounded() -> None:
    lease = Lease([_ONE])
    for number in range(300):
        lease.add(Summary(number, "x", alive=False))
    figures = lease.figures()
    assert figures["left_out"] == 44
    assert [each["pid"] for each in figures["processes"]] == list(range(44, 300))


def test_the_latest_notes_are_kept_and_each_process_has_its_figures() -> None:
    lease = Lease([_ONE])
    notes = tuple(f"{number} " + "\u00e4" * 500 for number in range(100))
    for number in range(256):
        lease.add(Summary(number, "x", alive=False, notes=notes))
    figures = lease.figures()
    assert figures["left_out"] == 0
    assert [each["pid"] for each in figures["processes"]] == list(range(256))
    kept = [note for each in figures["processes"] for note in each["notes"]]
    assert 50 < len(kept) < 256
    *_, before, last = figures["processes"]
    assert last["notes"] == list(notes[-len(last["notes"]) :]) != []
    assert before["notes"] == [] or last["notes"] == list(notes)
    # What a connection keeps for a client that does not read.
    assert len(json.dumps(figures)) < 1 << 20


def test_no_rule_of_a_configuration_has_the_name() -> None:
    with pytest.raises(UbError, match="not a valid name"):
        parse(f'[[rule]]\nname = "{REQUEST_RULE}"\nexe = "/x"\n')
