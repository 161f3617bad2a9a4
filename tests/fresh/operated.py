# SPDX-License-Identifier: GPL-2.0-only
"""What an operator does with the service that runs, beside starting and stopping it.

Each function raises Failed where that operator would complain.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.fresh.guest import Guest
from tests.fresh.machine import Failed
from tests.fresh.watched import (
    CONFIG_FILE,
    COPY,
    OURS,
    dispatched,
    main_process,
    parsed,
    until_dispatching,
)

__all__ = ["exported", "requested"]

_SUMMARY = "/run/summary.json"
#: The daemon's weight is low, and there is one processor.
_MEEK = "-p CPUWeight=5 -p CPUQuota=40%"
_COPY = "dd if=/dev/zero of=/dev/null bs=64"
_STORE, _KEYS = "/srv/ubypass", "/etc/ubypass"
_ADDRESS = "127.0.0.1:9464"
_DROP_IN = f"/run/systemd/system/{OURS}.d"
_UNIT = f"""\
[Service]
ExecStart=
ExecStart=/usr/bin/ub service run --json --listen {_ADDRESS}
ReadWritePaths={_STORE}
"""
_SHARED = f"""\
[store]
place = "{_STORE}"
public_key = "{_KEYS}/store.pub"
private_key = "{_KEYS}/store.key"
"""
#: systemd refuses the sixth start within five minutes, unless it is told to forget.
_RESTART = f"systemctl restart {OURS} && systemctl reset-failed {OURS}"
_FETCH = (
    "import urllib.request as request;"
    f"print(request.urlopen('http://{_ADDRESS}/metrics').read().decode())"
)


def requested(guest: Guest) -> None:
    """``ub run`` and ``ub attach`` while the service runs, which has no rule for their
    programs: it boosts them until the command ends.
    """
    guest.succeeds(
        f"systemd-run -q --wait --pipe {_MEEK} "
        f"ub run --summary-file {_SUMMARY} -- {_COPY} count=2000000"
    )
    run = _by_service(guest)
    other, attached = "other.service", "attached.service"
    guest.succeeds(f"systemd-run -q --unit={other} {_MEEK} {_COPY}")
    pid = main_process(guest, other)
    command = f"ub attach --summary-file {_SUMMARY} {pid}"
    guest.succeeds(f"systemd-run -q --unit={attached} --remain-after-exit {command}")
    until_dispatching(guest, pid)
    guest.succeeds(f"systemctl kill --signal=INT {attached}")
    guest.until(
        f"systemctl show -p SubState --value {attached}",
        lambda said: said != "running\n",
        "ub attach does not end",
    )
    names = "SubState,ExecMainStatus"
    said = guest.succeeds(f"systemctl show -p {names} {attached}").output
    if set(said.split()) != {"SubState=exited", "ExecMainStatus=0"}:
        raise Failed(f"ub attach has ended with {said.split()}")
    attach = _by_service(guest)
    left = parsed(guest.succeeds("ub stats --json"))["processes"]
    if any(process["pid"] == pid for process in left):
        raise Failed(f"ub attach has ended, and the service still boosts {pid}: {left}")
    if main_process(guest, other) != pid:
        raise Failed("ub attach has ended, and so has the program")
    guest.succeeds(f"systemctl stop {attached} {other}")
    print(
        f"  ub run and ub attach while the service runs, which boosts: {run}; {attach}",
        flush=True,
    )


def _by_service(guest: Guest) -> str:
    """The figures of the command that has ended, in words."""
    summary = parsed(guest.succeeds(f"cat {_SUMMARY} && rm {_SUMMARY}"))
    (process,) = summary["processes"]
    if summary["by_service"] is not True or not process["dispatched"]:
        raise Failed(f"the service has not boosted it: {summary}")
    return f"{process['dispatched']:,} of {process['calls']:,} calls dispatched"


def exported(guest: Guest, config: str) -> None:
    """The service with metrics by HTTP, its journal as JSON, and a store, in which the
    next start of the service finds translations. ``config``: the usual one.
    """
    guest.succeeds(f"ub store keygen {_KEYS} && install -d -m 755 {_STORE}")
    _write(guest, CONFIG_FILE, config + _SHARED)
    guest.succeeds(f"ub service check && mkdir -p {_DROP_IN}")
    _write(guest, f"{_DROP_IN}/test.conf", _UNIT)
    guest.succeeds("systemctl daemon-reload")
    first = _start(guest)
    _fetched(guest)
    _written(guest)
    stored = guest.until(
        "ub store status --json",
        lambda said: bool(json.loads(said)["translations"]),
        "nothing comes into the store",
    )
    second = _start(guest)
    if not second.get("hits"):
        raise Failed(f"nothing is found in the store: {first}, then {second}")
    print(
        f"  a store: {json.loads(stored)['translations']} translations from the first "
        f"start ({first}), found {second['hits']} times by the second ({second})",
        flush=True,
    )
    guest.succeeds(f"rm -r {_DROP_IN} {_STORE} && systemctl daemon-reload")
    _write(guest, CONFIG_FILE, config)
    guest.succeeds(_RESTART)


def _start(guest: Guest) -> dict[str, int]:
    """Start the service anew, until it boosts; what it had to do with its store."""
    guest.succeeds(_RESTART)
    until_dispatching(guest, main_process(guest, COPY))
    status = parsed(guest.succeeds("ub service status --json"))
    if not status["store"]:
        said = guest.type(f"journalctl -o cat -u {OURS} -n 20").output
        raise Failed(f"the service has no store:\n{said}")
    return {name: number for name, number in status["store"].items() if number}


def _fetched(guest: Guest) -> None:
    """The metrics come by HTTP, too: the newest that were taken at intervals."""
    said = guest.until(
        f"python3 -c {shlex.quote(_FETCH)}",
        lambda said: "\nubypass_up 1.0\n" in said and dispatched(said, "copy") > 0,
        f"http://{_ADDRESS}/metrics is wrong",
    )
    count = dispatched(said, "copy")
    print(f"  metrics by HTTP: {count:,.0f} calls of the copy dispatched", flush=True)


def _written(guest: Guest) -> None:
    """The journal has an object in each line of this start."""
    run = guest.succeeds(f"systemctl show -p InvocationID --value {OURS}").output
    said = guest.succeeds(
        f"journalctl -o cat _TRANSPORT=stdout _SYSTEMD_INVOCATION_ID={run.strip()}"
    ).output
    try:
        lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
        events = [(line["event"], line["version"]) for line in lines]
    except (ValueError, KeyError):
        raise Failed(f"not all of the journal is JSON:\n{said}") from None
    pid = main_process(guest, COPY)
    found = any(
        (line["event"], line.get("pid"), line.get("rule")) == ("attached", pid, "copy")
        for line in lines
    )
    if events[0] != ("started", 1) or not found:
        raise Failed(f"the journal lacks the start or the copy:\n{said}")
    print(f"  the journal as JSON: {len(lines)} lines", flush=True)


def _write(guest: Guest, file: str, text: str) -> None:
    guest.succeeds(f"printf %s {shlex.quote(text)} > {file}")
