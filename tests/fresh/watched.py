# SPDX-License-Identifier: GPL-2.0-only
"""The programs under their units, and what the service says of them, in the guest.

Each function raises Failed where an operator would complain.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.fresh.guest import Guest
from tests.fresh.machine import Done, Failed

__all__ = [
    *("CONFIG_FILE", "COPY", "METRICS", "OURS", "REDIS", "TOTALS"),
    *("dispatched", "figures", "go_on", "main_process", "must_be_running", "parsed"),
    *("programs_of", "until_attached", "until_boosted", "until_dispatching"),
]

REDIS, COPY, OURS = "redis-server.service", "copy.service", "ubypass.service"
CONFIG_FILE = "/etc/ubypass/config.toml"
METRICS = "/var/lib/prometheus/node-exporter/ubypass.prom"
TOTALS = f"grep -s _total {METRICS}; true"
_DISPATCHED = re.compile(
    r'^ubypass_system_calls_total\{path="dispatched",rule="(\w+)"\} (\S+)$',
    re.MULTILINE,
)
_BOOSTED = 1000


def figures(guest: Guest, pid: int) -> Any:
    """What ``ub stats`` says of a process."""
    processes = parsed(guest.succeeds("ub stats --json"))["processes"]
    found = [process for process in processes if process["pid"] == pid]
    if len(found) != 1:
        raise Failed(f"ub stats has {len(found)} entries of process {pid}: {processes}")
    return found[0]


def must_be_running(guest: Guest, state: str) -> None:
    """systemd says ``state`` of the machine, as without the packages."""
    said = guest.type("systemctl is-system-running --wait").output
    if said != state:
        failed = guest.type("systemctl --failed --no-legend --plain").output
        raise Failed(f"the machine is {said.strip()}: {failed}")


def until_boosted(guest: Guest) -> None:
    """Wait until the service dispatches calls of the copy, by its metrics.

    A service that has ended leaves them, also those of an earlier boot.
    """
    guest.succeeds(f"rm -f {METRICS}")
    guest.until(
        TOTALS,
        lambda said: dispatched(said, "copy") > _BOOSTED,
        "the service does not boost the copy",
    )


def until_attached(guest: Guest, *pids: int) -> None:
    """Wait until all of these processes are attached."""

    def holds(said: str) -> bool:
        return set(pids) <= {each["pid"] for each in json.loads(said)["processes"]}

    guest.until("ub stats --json", holds, f"processes {pids} are not attached")


def until_dispatching(guest: Guest, pid: int) -> None:
    """Wait until calls of a process are dispatched, as ``ub stats`` counts them."""
    guest.until(
        "ub stats --json",
        lambda said: any(
            each["pid"] == pid and each["dispatched"] > _BOOSTED
            for each in json.loads(said)["processes"]
        ),
        f"process {pid} is not boosted",
    )


def dispatched(said: str, rule: str) -> float:
    """Of a rule, in the metrics; 0.0 if they do not have it."""
    return float(dict(_DISPATCHED.findall(said)).get(rule, 0.0))


def programs_of(guest: Guest) -> dict[str, int]:
    """The main process of each unit."""
    return {unit: main_process(guest, unit) for unit in (REDIS, COPY)}


def main_process(guest: Guest, unit: str) -> int:
    """The number of a unit's main process; 0 if it has none."""
    return int(guest.succeeds(f"systemctl show -p MainPID --value {unit}").output)


def go_on(guest: Guest, programs: dict[str, int]) -> None:
    """They are the same processes, and redis answers."""
    if (now := programs_of(guest)) != programs:
        raise Failed(f"programs were started anew: {programs}, then {now}")
    said = guest.succeeds("redis-cli set key value && redis-cli get key").output
    if said != "OK\nvalue\n":
        raise Failed(f"redis answers {said!r}")


def parsed(done: Done) -> Any:
    """What a command printed as JSON."""
    try:
        return json.loads(done.output)
    except ValueError:
        raise Failed(f"'{done.command}' prints no JSON:\n{done.output}") from None
