# SPDX-License-Identifier: GPL-2.0-only
"""A booted Debian that is played, by recorded answers: all is well there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.fresh.guest import Guest
from tests.fresh.machine import Done, Failed
from tests.fresh.served import CONFIG

__all__ = [
    *("LINE", "METRICS", "OFF", "REPLIES", "RESTART", "SIGNATURES", "STATS", "STOP"),
    *("STORE", "UNIT", "Played"),
]

RESTART = "systemctl restart redis-server.service copy.service"
STOP = "systemctl stop ubypass.service"
LINE = "event=unavailable reason='the module is not loaded' programs=native\n"
OFF = "ActiveState=inactive\nConditionResult=no\nResult=success\n"
_WRONG = f"ub: /etc/ubypass/config.toml:{CONFIG.count(chr(10)) + 1}: not TOML\n"
UNIT = "ActiveState=inactive\nResult=success\nExecMainStatus=69\nInvocationID=4711\n"
SIGNATURES = {"name": "signatures", "state": "fail", "advice": "mokutil --import"}
STATS = {
    "by_service": True,
    "processes": [
        {"pid": 12, "calls": 9000, "dispatched": 8000, "first_boost_seconds": 2.5}
    ],
}
STORE = {"hits": 3, "misses": 1, "published": 1}
METRICS = """\
# TYPE ubypass_system_calls_total counter
ubypass_system_calls_total{path="dispatched",rule="redis"} 5.0
ubypass_system_calls_total{path="dispatched",rule="copy"} 123456.0
"""

REPLIES = "0\n" + "".join(
    f"OK\n{number * (number + 1) // 2}\nvalue{number}\n" for number in range(1, 301)
)

#: By the beginning of what is typed; the longest that fits.
_WELL = {
    "systemctl is-system-running": "running\n",
    "systemctl show -p ActiveState,ConditionResult": OFF,
    "systemctl show -p ActiveState": UNIT,
    "systemctl": "",
    "journalctl": LINE,
    "redis-cli del": REPLIES,
    "redis-cli": "OK\nvalue\n",
    "redis-benchmark": "",
    "ub explain": "dd 12, libc.so.6: native\n",
    "ub estimate": json.dumps({"processes": [{"name": "dd"}]}),
    "ub service reload": _WRONG,
    "cat /proc/uptime": "12.50 3.00\n",
    "ub doctor": json.dumps({"this_kernel": True, "checks": [SIGNATURES]}),
    "ub module status": json.dumps(
        {"loaded": True, "tunables": {"grace_ms": {"present": 0}}}
    ),
    "ub service status": json.dumps({"processes": 2, "refused": {}, "store": STORE}),
    "ub store status": json.dumps({"translations": 4}),
    "systemctl show -p InvocationID": "4711\n",
    "systemctl show -p SubState --value": "exited\n",
    "systemctl show -p SubState,ExecMainStatus": "ExecMainStatus=0\nSubState=exited\n",
    "python3 -c": f"# TYPE ubypass_up gauge\nubypass_up 1.0\n{METRICS}",
    "timeout 900 sh": " 12 dd   99.9 %\n",
    "modinfo -n ub": "/lib/modules/6.1.0/updates/dkms/ub.ko\n",
    "ub selftest": json.dumps({"ok": True, "dispatched": 1, "words": "all is well"}),
    "cat /run/summary.json": json.dumps(STATS),
    "grep -s _total /var/lib/prometheus": METRICS,
    "dmesg": "[    0.0] Linux\n",
    "ub": "  service  running; see: ub service status\n  boosted  dd 12 (99%)\n",
    "": "",
}


class Played(Guest):
    """A machine that gives these answers.

    Main processes have other numbers once their units were restarted, if it
    ``restarts``. ``ends``: programs are native once the service has stopped or paused.
    ``boosts``: there are more dispatched calls each time. ``refuses``: a wrong
    configuration. ``detaches``: what ``ub attach`` has boosted, at its end.
    ``of_redis``: its dispatched calls at first.
    """

    ends = boosts = refuses = detaches = restarts = True
    of_redis = 8000

    def __init__(self, **answers: str) -> None:
        self._answers = _WELL | answers
        self.typed: list[str] = []

    def type(self, command: str, *, timeout: float = 0) -> Done:
        self.typed.append(command)
        if command == "ub stats --json" and self.ends and self._is_native:
            return Done(command, 0, '{"processes": []}', 1.0, 1.0)
        if command == "ub service reload" and self.refuses:
            return Done(command, 1, self._answers[command], 1.0, 1.0)
        if command == "ub stats --json":
            return Done(command, 0, json.dumps(self._stats), 1.0, 1.0)
        if command.startswith("systemctl show -p MainPID"):
            pid = self._pids["redis" if "redis" in command else "copy"]
            return Done(command, 0, f"{pid}\n", 1.0, 1.0)
        begins = (each for each in self._answers if command.startswith(each))
        begin = max(begins, key=len)
        return Done(command, 0, self._answers[begin], 1.0, 1.0)

    @property
    def _stats(self) -> dict[str, Any]:
        more = len(self.typed) if self.boosts else 0
        counts = {"redis": self.of_redis + more, "copy": 8000 + more}
        if any("kill --signal=INT attached" in each for each in self.typed):
            counts = {} if self.detaches else counts
        process = {"calls": 9_000_000, "first_boost_seconds": 2.5}
        return {
            "processes": [
                {**process, "pid": self._pids[name], "dispatched": count}
                for name, count in counts.items()
            ]
        }

    @property
    def _pids(self) -> dict[str, int]:
        if self.restarts and RESTART in self.typed:
            return {"redis": 23, "copy": 13}
        return {"redis": 22, "copy": 12}

    @property
    def _is_native(self) -> bool:
        resumed = any(each.endswith("ub service resume") for each in self.typed)
        paused = "ub service pause" in self.typed and not resumed
        return paused or STOP in self.typed

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
