# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with a service that is asked for more, by recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.fresh.guest import Guest
from tests.fresh.machine import Failed
from tests.fresh.operated import exported, requested
from tests.packaging.played_machine import METRICS, STATS, STORE, Played

_LINES = [
    {"version": 1, "event": "started", "pid": 7, "rule": None},
    {"version": 1, "event": "attached", "pid": 12, "rule": "copy"},
]
_JOURNAL = "".join(f"{json.dumps(line)}\n" for line in _LINES)
_UP = f"# TYPE ubypass_up gauge\nubypass_up 1.0\n{METRICS}"
_SUMMARY = "cat /run/summary.json"


def _exported(guest: Guest) -> None:
    exported(guest, "version = 1\n")


def test_what_is_well_passes(capsys: pytest.CaptureFixture[str]) -> None:
    guest = Played()
    requested(guest)
    out = capsys.readouterr().out
    assert out.count("8,000 of 9,000 calls dispatched") == 2
    assert any(each.startswith("systemctl stop attached") for each in guest.typed)
    guest = Played(journalctl=_JOURNAL)
    _exported(guest)
    out = capsys.readouterr().out
    assert "123,456 calls of the copy" in out
    assert "2 lines" in out
    assert "found 3 times by the second" in out
    starts = [each for each in guest.typed if "systemctl restart ubypass" in each]
    assert len(starts) == 3
    # All is as it was before.
    assert "rm -r /run/systemd/system/ubypass.service.d" in " ".join(guest.typed[-3:])
    assert guest.typed[-2] == "printf %s 'version = 1\n' > /etc/ubypass/config.toml"


@pytest.mark.parametrize(
    ("function", "asked", "answer", "complaint"),
    [
        (
            requested,
            _SUMMARY,
            json.dumps({**STATS, "by_service": False}),
            "the service has not boosted it",
        ),
        (
            requested,
            _SUMMARY,
            json.dumps({**STATS, "processes": [{"dispatched": 0}]}),
            "the service has not boosted it",
        ),
        (requested, "systemctl show -p SubState --value", "running\n", "not end"),
        (
            requested,
            "systemctl show -p SubState,ExecMainStatus",
            "SubState=failed\nExecMainStatus=1\n",
            "has ended with",
        ),
        (
            _exported,
            "ub service status",
            json.dumps({"store": None}),
            "has no store",
        ),
        (
            _exported,
            "ub service status",
            json.dumps({"store": {**STORE, "hits": 0}}),
            "nothing is found in the store",
        ),
        (_exported, "ub store status", '{"translations": 0}', "comes into the store"),
        (_exported, "python3 -c", METRICS, "/metrics is wrong"),
        (_exported, "python3 -c", _UP.replace("123456", "0"), "/metrics is wrong"),
        (_exported, "journalctl", f"{_JOURNAL}event=x\n", "not all of the journal"),
        (_exported, "journalctl", "{}\n", "not all of the journal"),
        (_exported, "journalctl", _JOURNAL.replace("copy", "other"), "lacks the start"),
        (_exported, "journalctl", _JOURNAL.replace("12", "11"), "lacks the start"),
        (_exported, "journalctl", _JOURNAL.replace("started", "x"), "lacks the start"),
    ],
)
def test_what_is_wrong_is_seen(
    function: Callable[[Guest], object], asked: str, answer: str, complaint: str
) -> None:
    with pytest.raises(Failed, match=complaint):
        function(Played(**{"journalctl": _JOURNAL, asked: answer}))


def test_a_program_that_stays_boosted_is_seen() -> None:
    guest = Played()
    guest.detaches = False
    with pytest.raises(Failed, match="the service still boosts 12"):
        requested(guest)
