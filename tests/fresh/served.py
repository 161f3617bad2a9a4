# SPDX-License-Identifier: GPL-2.0-only
"""What the installed packages do on a Debian that runs two programs under their units.

Redis is Debian's, with Debian's unit; `COPY_UNIT` copies without end and makes nothing
but calls. Each function raises Failed where an operator would complain. ``state``: what
systemd says of the machine without the packages.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.fresh.guest import Guest
from tests.fresh.machine import Done, Failed

__all__ = ["CONFIG", "COPY_UNIT", "commands_typed", "purged", "refused", "served"]

#: There is one processor, and the daemon's weight is low: this unit's is lower.
COPY_UNIT = """\
[Service]
ExecStart=/bin/dd if=/dev/zero of=/dev/null bs=64
CPUWeight=5
[Install]
WantedBy=multi-user.target
"""
#: The emulator's clock says nothing of a processor: no share of time is enough for
#: the daemon, and no program waits for its trial.
CONFIG = """\
version = 1
[limits]
cpu_percent = 100
[metrics]
interval_seconds = 2
[tune]
grace_ms = 0
share_bits = 0
[[rule]]
name = "copy"
unit = "copy.service"
[[rule]]
name = "redis"
unit = "redis-server.service"
"""

_REDIS, _COPY, _OURS = "redis-server.service", "copy.service", "ubypass.service"
_FIRST = "dd if=/dev/zero of=/dev/null bs=64 count=1000000"
_METRICS = "/var/lib/prometheus/node-exporter/ubypass.prom"
_DISPATCHED = re.compile(
    r'^ubypass_system_calls_total\{path="dispatched",rule="copy"\} (\S+)$', re.MULTILINE
)
_BOOSTED = 1000
_SUMMARY = "/run/summary.json"
#: ``ub top`` as over ssh: a terminal of 80 columns, and the key that ends it, pressed
#: once it shows something.
_TOP = (
    "timeout 900 sh -c 'until grep -qw dd /run/shown; do sleep 1; done; printf q' | "
    "TERM=xterm timeout 900 script -qfec 'stty cols 80 rows 24; ub top' /run/shown"
)


def refused(guest: Guest, state: str) -> None:
    """A kernel that requires signatures, and the key of the module is not enrolled."""
    _quiet_without(guest, state, "refused by the kernel")
    doctor = _json(guest.type("ub doctor --json"))
    checks = {check["name"]: check for check in doctor["checks"]}
    signatures = checks["signatures"]
    if signatures["state"] != "fail" or not signatures["advice"]:
        raise Failed(f"ub doctor says of signatures: {signatures}")
    guest.check_log()


def served(guest: Guest, state: str) -> None:
    """The service, started at boot, boosts the copy; whatever becomes of the service,
    the programs go on.
    """
    _must_be_running(guest, state)
    programs = _programs(guest)
    _until_boosted(guest)
    (copy,) = (
        process
        for process in _json(guest.succeeds("ub stats --json"))["processes"]
        if process["pid"] == programs[_COPY]
    )
    if not copy["dispatched"]:
        raise Failed(f"metrics and ub stats differ: {copy}")
    print(
        f"  systemd started the service, which boosted a unit: {copy['dispatched']:,} "
        f"of {copy['calls']:,} system calls dispatched",
        flush=True,
    )
    _looked_at(guest)

    for command in (
        f"systemctl restart {_OURS}",
        f"systemctl kill --signal=KILL --kill-who=main {_OURS}",
    ):
        guest.succeeds(f"rm {_METRICS} && {command}")
        _until_boosted(guest)
        _go_on(guest, programs)
    guest.succeeds(f"systemctl stop {_OURS}")
    _go_on(guest, programs)
    if left := _json(guest.succeeds("ub stats --json"))["processes"]:
        raise Failed(f"the service is stopped, and there is still {left}")
    print("  restarted, killed, stopped: its programs went on", flush=True)

    guest.succeeds("ub module unload")
    module = guest.succeeds("modinfo -n ub").output.strip()
    guest.succeeds(f"mv {module} /run/hidden.ko && depmod")
    guest.type(f"systemctl start {_OURS}")
    _quiet_without(guest, state, "missing")
    guest.succeeds(f"mv /run/hidden.ko {module} && depmod")
    _go_on(guest, programs)


def commands_typed(guest: Guest) -> list[Done]:
    """From the installation to the first boosted program; what was typed."""
    typed = [guest.succeeds("ub module load")]
    typed += [guest.succeeds(f"ub run --summary-file {_SUMMARY} -- {_FIRST}")]
    (process,) = _json(guest.succeeds(f"cat {_SUMMARY}"))["processes"]
    if not process["dispatched"]:
        raise Failed(f"the first program was not boosted: {process}")
    tested = _json(guest.succeeds("ub selftest --json"))
    if not tested["ok"]:
        raise Failed(f"ub selftest: {tested}")
    print(
        f"  ub selftest: {tested['dispatched']:,} calls dispatched, {tested['words']}",
        flush=True,
    )
    guest.succeeds("ub module unload")
    return typed


def purged(guest: Guest) -> None:
    """Purged while the service boosts; nothing of it runs then."""
    guest.succeeds(f"rm -f {_METRICS} && systemctl start {_OURS}")
    programs = _programs(guest)
    _until_boosted(guest)
    guest.succeeds(
        "DEBIAN_FRONTEND=noninteractive apt-get -y purge ubypass ubypass-dkms"
    )
    _go_on(guest, programs)
    left = guest.type("ls -d /sys/module/ub /dev/ub /run/ubypass 2> /dev/null").output
    if left:
        raise Failed(f"purged, and there is still {left.split()}")
    for listed in "list-units --all", "list-unit-files":
        said = guest.succeeds(f"systemctl {listed} --no-legend --plain").output
        if "ubypass" in said:
            raise Failed(f"purged, and systemctl {listed} says:\n{said}")
    guest.check_log()


def _quiet_without(guest: Guest, state: str, how: str) -> None:
    """Without a module there is one line, and everything runs."""
    _must_be_running(guest, state)
    programs = _programs(guest)
    wanted = {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "69"}
    names = ",".join([*wanted, "InvocationID"])
    said = guest.until(
        f"systemctl show -p {names} {_OURS}",
        lambda said: "ActiveState=inactive" in said and "ExecMainStatus=69" in said,
        "the service without a module",
    )
    found = dict(line.split("=", 1) for line in said.splitlines())
    run = found.pop("InvocationID")
    if found != wanted:
        raise Failed(f"without a module the service is {found}")
    said = guest.succeeds(
        f"journalctl -o cat _TRANSPORT=stdout _SYSTEMD_INVOCATION_ID={run}"
    ).output
    if len(said.splitlines()) != 1 or "event=unavailable" not in said:
        raise Failed(f"without a module the journal has:\n{said}")
    _go_on(guest, programs)
    print(f"  a module that is {how}: everything runs, and one line:", flush=True)
    print(f"    {said.strip()}", flush=True)


def _looked_at(guest: Guest) -> None:
    """What an operator asks while it runs."""
    doctor = _json(guest.type("ub doctor --json"))
    if not doctor["this_kernel"]:
        raise Failed(f"ub doctor: {doctor}")
    status = _json(guest.succeeds("ub module status --json"))
    if not status["loaded"] or status["tunables"]["grace_ms"]["present"] != 0:
        raise Failed(f"ub module status: {status}")
    service = _json(guest.succeeds("ub service status --json"))
    if service["processes"] != 2 or service["refused"]:
        raise Failed(f"ub service status: {service}")
    shown = guest.succeeds(_TOP).output
    if " dd " not in shown or "Traceback" in shown:
        raise Failed(f"ub top shows:\n{shown}")


def _must_be_running(guest: Guest, state: str) -> None:
    said = guest.type("systemctl is-system-running --wait").output
    if said != state:
        failed = guest.type("systemctl --failed --no-legend --plain").output
        raise Failed(f"the machine is {said.strip()}: {failed}")


def _until_boosted(guest: Guest) -> None:
    def is_boosted(said: str) -> bool:
        found = _DISPATCHED.search(said)
        return found is not None and float(found[1]) > _BOOSTED

    what = "the service does not boost the copy"
    guest.until(f"grep -s _total {_METRICS}; true", is_boosted, what)


def _programs(guest: Guest) -> dict[str, int]:
    """The main process of each unit."""
    found = {}
    for unit in _REDIS, _COPY:
        said = guest.succeeds(f"systemctl show -p MainPID --value {unit}").output
        found[unit] = int(said)
    return found


def _go_on(guest: Guest, programs: dict[str, int]) -> None:
    """They are the same processes, and redis answers."""
    if (now := _programs(guest)) != programs:
        raise Failed(f"programs were started anew: {programs}, then {now}")
    said = guest.succeeds("redis-cli set key value && redis-cli get key").output
    if said != "OK\nvalue\n":
        raise Failed(f"redis answers {said!r}")


def _json(done: Done) -> Any:
    try:
        return json.loads(done.output)
    except ValueError:
        raise Failed(f"'{done.command}' prints no JSON:\n{done.output}") from None
