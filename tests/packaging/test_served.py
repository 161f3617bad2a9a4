# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with a machine that runs, by recorded answers; booting takes root."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.fresh import served as served_module
from tests.fresh.guest import Guest
from tests.fresh.machine import Done, Failed
from tests.fresh.served import (
    commands_typed,
    purged,
    refused,
    served,
    switched_off,
)
from tests.packaging.played_machine import (
    LINE,
    METRICS,
    OFF,
    REPLIES,
    SIGNATURES,
    STOP,
    UNIT,
    Played,
)


@pytest.fixture(autouse=True)
def _only_this(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has tests of its own (test_operated.py) is not done here."""
    monkeypatch.setattr(served_module, "requested", lambda guest: None)
    monkeypatch.setattr(served_module, "exported", lambda guest, config: None)


def _refused(guest: Guest) -> None:
    refused(guest, "running\n")


def _served(guest: Guest) -> None:
    served(guest, "running\n")


def _switched_off(guest: Guest) -> None:
    switched_off(guest, "running\n")


def test_what_is_well_passes(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(Played())
    assert LINE in capsys.readouterr().out
    guest = Played()
    typed, seconds = commands_typed(guest)
    assert [done.command.split()[:2] for done in typed] == [
        *(["ub", "module"], ["ub", "run"])
    ]
    assert seconds == 0
    assert "the first one 2.5 s after" in capsys.readouterr().out
    purged(guest)
    assert any("purge ubypass ubypass-dkms" in command for command in guest.typed)
    guest = Played()
    _served(guest)
    assert STOP in guest.typed
    assert "redis restarted: " in (out := capsys.readouterr().out)
    assert "missing" in out
    _switched_off(Played())


@pytest.mark.parametrize(
    ("function", "asked", "answer", "complaint"),
    [
        (_refused, "systemctl is-system-running", "degraded\n", "is degraded"),
        (_refused, "systemctl show -p ActiveState", "ActiveState=failed\n", "without"),
        (
            _refused,
            "systemctl show -p ActiveState",
            UNIT.replace("success", "exit-code"),
            "exit-code",
        ),
        (_refused, "journalctl", LINE + LINE, "the journal has"),
        (_refused, "journalctl", "", "the journal has"),
        (_refused, "redis-cli", "Connection refused\n", "redis answers"),
        (
            _refused,
            "ub doctor",
            json.dumps({"checks": [{**SIGNATURES, "state": "ok"}]}),
            "of signatures",
        ),
        (_refused, "ub doctor", "Traceback", "no JSON"),
        (_refused, "dmesg", "[    3.1] BUG: unable to handle", "complains"),
        (
            commands_typed,
            "cat /run/summary.json",
            json.dumps({"processes": [{"pid": 1, "dispatched": 0}]}),
            "was not boosted",
        ),
        (commands_typed, "ub selftest", json.dumps({"ok": False}), "selftest"),
        (_served, "ub doctor", json.dumps({"this_kernel": False}), "ub doctor"),
        (_served, "ub module status", '{"loaded": false}', "module status"),
        (
            _served,
            "ub service status",
            json.dumps({"processes": 1, "refused": {}}),
            "service status",
        ),
        (_served, "redis-cli del", REPLIES.replace("value7\n", "value8\n"), "replies"),
        (_served, "redis-cli del", "5\n" + REPLIES[2:], "having deleted"),
        (_served, "timeout 900 sh", "Traceback dd ", "ub top"),
        (_served, "timeout 900 sh", "no process", "ub top"),
        (_served, "ub", "  service  not running\n", "ub alone"),
        (_served, "ub explain", "nothing", "ub explain"),
        (_served, "ub estimate", '{"processes": []}', "ub estimate"),
        (_served, "ub service reload", "ub: wrong\n", "a wrong configuration"),
        (
            _switched_off,
            "systemctl show -p ActiveState,ConditionResult",
            OFF.replace("=no", "=yes"),
            "with noubypass",
        ),
        (_switched_off, "redis-cli", "Connection refused\n", "redis answers"),
        (_served, "journalctl", "", "the journal has"),
        (purged, "grep -s _total /var/lib/prometheus", "", "does not boost"),
        (
            purged,
            "grep -s _total /var/lib/prometheus",
            METRICS.replace("123456.0", "0.0"),
            "does not boost",
        ),
        (purged, "ls -d", "/sys/module/ub\n", "still"),
        (purged, "systemctl list-units", "ubypass.service loaded\n", "list-units"),
        (purged, "systemctl list-unit-files", "ubypass.service\n", "unit-files"),
    ],
)
def test_what_is_wrong_is_seen(
    function: Callable[[Guest], object],
    asked: str,
    answer: str,
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.fresh.served._PATIENCE", 0.5)
    with pytest.raises(Failed, match=complaint):
        function(Played(**{asked: answer}))


def test_programs_that_stay_boosted_are_seen() -> None:
    guest = Played()
    guest.ends = False
    with pytest.raises(Failed, match="paused, and programs are still boosted"):
        _served(guest)


def test_a_wrong_configuration_that_is_taken_is_seen() -> None:
    guest = Played()
    guest.refuses = False
    with pytest.raises(Failed, match="a wrong configuration"):
        _served(guest)


def test_redis_that_is_never_boosted_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fresh.served._PATIENCE", 0.1)
    guest = Played()
    guest.boosts, guest.of_redis = False, 0
    with pytest.raises(Failed, match="under load is not boosted"):
        _served(guest)


def test_programs_that_are_not_started_anew_are_seen() -> None:
    guest = Played()
    guest.restarts = False
    with pytest.raises(Failed, match="restarted, and the same processes"):
        _served(guest)


def test_a_server_that_was_started_anew_is_seen() -> None:
    class Restarted(Played):
        """Each time another process."""

        def type(self, command: str, *, timeout: float = 0) -> Done:
            done = super().type(command)
            if "MainPID" in command:
                return Done(command, 0, f"{len(self.typed)}\n", 1.0, 1.0)
            return done

    with pytest.raises(Failed, match="anew"):
        _refused(Restarted())


def test_redis_that_is_not_boosted_while_it_answers_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.fresh.served._PATIENCE", 0.1)
    guest = Played()
    guest.boosts = False
    with pytest.raises(Failed, match="no call is dispatched"):
        _served(guest)
