# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with a machine that runs, by recorded answers; booting takes root."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.fresh.guest import Guest
from tests.fresh.machine import Done, Failed
from tests.fresh.served import (
    CONFIG,
    commands_typed,
    purged,
    refused,
    served,
    switched_off,
)

_STOP = "systemctl stop ubypass.service"
_LINE = "event=unavailable reason='the module is not loaded' programs=native\n"
_OFF = "ActiveState=inactive\nConditionResult=no\nResult=success\n"
_WRONG = f"ub: /etc/ubypass/config.toml:{CONFIG.count(chr(10)) + 1}: not TOML\n"
_UNIT = "ActiveState=inactive\nResult=success\nExecMainStatus=69\nInvocationID=4711\n"
_SIGNATURES = {"name": "signatures", "state": "fail", "advice": "mokutil --import"}
_STATS = {
    "processes": [
        {"pid": 12, "calls": 9000, "dispatched": 8000, "first_boost_seconds": 2.5}
    ]
}
_METRICS = """\
# TYPE ubypass_system_calls_total counter
ubypass_system_calls_total{path="dispatched",rule="redis"} 5.0
ubypass_system_calls_total{path="dispatched",rule="copy"} 123456.0
"""

_REPLIES = "0\n" + "".join(
    f"OK\n{number * (number + 1) // 2}\nvalue{number}\n" for number in range(1, 301)
)

#: By the beginning of what is typed; the longest that fits.
_WELL = {
    "systemctl is-system-running": "running\n",
    "systemctl show -p ActiveState,ConditionResult": _OFF,
    "systemctl show -p ActiveState": _UNIT,
    "systemctl show -p MainPID": "12\n",
    "systemctl": "",
    "journalctl": _LINE,
    "redis-cli del": _REPLIES,
    "redis-cli": "OK\nvalue\n",
    "redis-benchmark": "",
    "ub explain": "dd 12, libc.so.6: native\n",
    "ub estimate": json.dumps({"processes": [{"name": "dd"}]}),
    "ub service reload": _WRONG,
    "cat /proc/uptime": "12.50 3.00\n",
    "ub doctor": json.dumps({"this_kernel": True, "checks": [_SIGNATURES]}),
    "ub module status": json.dumps(
        {"loaded": True, "tunables": {"grace_ms": {"present": 0}}}
    ),
    "ub service status": json.dumps({"processes": 2, "refused": {}}),
    "timeout 900 sh": " 12 dd   99.9 %\n",
    "modinfo -n ub": "/lib/modules/6.1.0/updates/dkms/ub.ko\n",
    "ub stats": json.dumps(_STATS),
    "ub selftest": json.dumps({"ok": True, "dispatched": 1, "words": "all is well"}),
    "cat /run/summary.json": json.dumps(_STATS),
    "grep -s _total /var/lib/prometheus": _METRICS,
    "dmesg": "[    0.0] Linux\n",
    "ub": "  service  running; see: ub service status\n  boosted  dd 12 (99%)\n",
    "": "",
}


class _Played(Guest):
    """A machine that gives these answers.

    ``ends``: programs are native once the service has stopped or paused. ``boosts``:
    there are more dispatched calls each time. ``refuses``: a wrong configuration.
    """

    ends = boosts = refuses = True

    def __init__(self, **answers: str) -> None:
        self._answers = _WELL | answers
        self.typed: list[str] = []

    def type(self, command: str, *, timeout: float = 0) -> Done:
        self.typed.append(command)
        if command == "ub stats --json" and self.ends and self._is_native:
            return Done(command, 0, '{"processes": []}', 1.0, 1.0)
        if command == "ub service reload" and self.refuses:
            return Done(command, 1, self._answers[command], 1.0, 1.0)
        if command == "ub stats --json" and self.boosts:
            (process,) = _STATS["processes"]
            more = {**process, "dispatched": process["dispatched"] + len(self.typed)}
            return Done(command, 0, json.dumps({"processes": [more]}), 1.0, 1.0)
        begins = (each for each in self._answers if command.startswith(each))
        begin = max(begins, key=len)
        return Done(command, 0, self._answers[begin], 1.0, 1.0)

    @property
    def _is_native(self) -> bool:
        resumed = any(each.endswith("ub service resume") for each in self.typed)
        paused = "ub service pause" in self.typed and not resumed
        return paused or _STOP in self.typed

    def until(
        self,
        command: str,
        holds: Callable[[str], bool],
        what: str,
        *,
        timeout: float = 0,
    ) -> str:
        said = self.type(command).output
        if not holds(said):
            raise Failed(what)
        return said


def _refused(guest: Guest) -> None:
    refused(guest, "running\n")


def _served(guest: Guest) -> None:
    served(guest, "running\n")


def _switched_off(guest: Guest) -> None:
    switched_off(guest, "running\n")


def test_what_is_well_passes(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(_Played())
    assert _LINE in capsys.readouterr().out
    guest = _Played()
    typed, seconds = commands_typed(guest)
    assert [done.command.split()[:2] for done in typed] == [
        *(["ub", "module"], ["ub", "run"])
    ]
    assert seconds == 0
    assert "the first one 2.5 s after" in capsys.readouterr().out
    purged(guest)
    assert any("purge ubypass ubypass-dkms" in command for command in guest.typed)
    guest = _Played()
    _served(guest)
    assert _STOP in guest.typed
    assert "missing" in capsys.readouterr().out
    _switched_off(_Played())


@pytest.mark.parametrize(
    ("function", "asked", "answer", "complaint"),
    [
        (_refused, "systemctl is-system-running", "degraded\n", "is degraded"),
        (_refused, "systemctl show -p ActiveState", "ActiveState=failed\n", "without"),
        (
            _refused,
            "systemctl show -p ActiveState",
            _UNIT.replace("success", "exit-code"),
            "exit-code",
        ),
        (_refused, "journalctl", _LINE + _LINE, "the journal has"),
        (_refused, "journalctl", "", "the journal has"),
        (_refused, "redis-cli", "Connection refused\n", "redis answers"),
        (
            _refused,
            "ub doctor",
            json.dumps({"checks": [{**_SIGNATURES, "state": "ok"}]}),
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
        (_served, "redis-cli del", _REPLIES.replace("value7\n", "value8\n"), "replies"),
        (_served, "redis-cli del", "5\n" + _REPLIES[2:], "having deleted"),
        (
            _served,
            "grep -s _total /var/lib/prometheus",
            _METRICS.replace(" 5.0", " 0.0"),
            "under load is not boosted",
        ),
        (_served, "timeout 900 sh", "Traceback dd ", "ub top"),
        (_served, "timeout 900 sh", "no process", "ub top"),
        (_served, "ub", "  service  not running\n", "ub alone"),
        (_served, "ub explain", "nothing", "ub explain"),
        (_served, "ub estimate", '{"processes": []}', "ub estimate"),
        (_served, "ub service reload", "ub: wrong\n", "a wrong configuration"),
        (
            _switched_off,
            "systemctl show -p ActiveState,ConditionResult",
            _OFF.replace("=no", "=yes"),
            "with noubypass",
        ),
        (_switched_off, "redis-cli", "Connection refused\n", "redis answers"),
        (_served, "journalctl", "", "the journal has"),
        (purged, "grep -s _total /var/lib/prometheus", "", "does not boost"),
        (
            purged,
            "grep -s _total /var/lib/prometheus",
            _METRICS.replace("123456.0", "0.0"),
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
        function(_Played(**{asked: answer}))


def test_programs_that_stay_boosted_are_seen() -> None:
    guest = _Played()
    guest.ends = False
    with pytest.raises(Failed, match="paused, and programs are still boosted"):
        _served(guest)


def test_a_wrong_configuration_that_is_taken_is_seen() -> None:
    guest = _Played()
    guest.refuses = False
    with pytest.raises(Failed, match="a wrong configuration"):
        _served(guest)


def test_a_server_that_was_started_anew_is_seen() -> None:
    class Restarted(_Played):
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
    guest = _Played()
    guest.boosts = False
    with pytest.raises(Failed, match="no call is dispatched"):
        _served(guest)
