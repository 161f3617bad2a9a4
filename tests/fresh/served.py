# SPDX-License-Identifier: GPL-2.0-only
"""What the installed packages do on a Debian that runs two programs under their units.

Redis is Debian's, with Debian's unit; `COPY_UNIT` copies without end and makes nothing
but calls. Each function raises Failed where an operator would complain. ``state``: what
systemd says of the machine without the packages.
"""

from __future__ import annotations

import json
import time
from itertools import zip_longest

from tests.fresh.guest import Guest
from tests.fresh.machine import Done, Failed
from tests.fresh.operated import exported, requested
from tests.fresh.watched import (
    CONFIG_FILE,
    COPY,
    OURS,
    REDIS,
    figures,
    go_on,
    must_be_running,
    parsed,
    programs_of,
    until_attached,
    until_boosted,
    until_dispatching,
)

__all__ = [
    *("CONFIG", "COPY_UNIT"),
    *("commands_typed", "purged", "refused", "served", "switched_off"),
]

#: There is one processor, and the daemon's weight is low: this unit's is lower. While
#: it may not run the processor is idle, and the emulator waits instead of computing.
COPY_UNIT = """\
[Service]
ExecStart=/bin/dd if=/dev/zero of=/dev/null bs=64
CPUWeight=5
CPUQuota=20%
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

#: Longer than the time in which nothing is counted (``grace_ms``), and a build by an
#: engine that shares the only processor with it.
_FIRST = "dd if=/dev/zero of=/dev/null bs=64 count=4000000"
#: Lasts for two seconds of the guest and more. Shorter bursts, every few seconds, are
#: not worth a region: the sites of a process that has nothing to gain are timed in one
#: second of eight, which has to find one. The daemon, whose weight is low, has the
#: processor for itself in the pause.
_LOAD = "redis-benchmark -q -c 4 -n 60000 -t get && sleep 5"
#: One after another, each with its reply, by which it is judged.
_QUESTIONS = 300
_ASK = (
    f"redis-cli del total && for i in $(seq {_QUESTIONS}); do "
    'echo "set key$i value$i"; echo "incrby total $i"; echo "get key$i"; '
    "done | redis-cli"
)
#: Seconds of real time; only ends what hangs.
_PATIENCE = 3600.0
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
    doctor = parsed(guest.type("ub doctor --json"))
    checks = {check["name"]: check for check in doctor["checks"]}
    signatures = checks["signatures"]
    if signatures["state"] != "fail" or not signatures["advice"]:
        raise Failed(f"ub doctor says of signatures: {signatures}")
    guest.check_log()


def switched_off(guest: Guest, state: str) -> None:
    """Booted with ``noubypass``: the service does not start, and everything runs."""
    must_be_running(guest, state)
    names = "ActiveState,ConditionResult,Result"
    said = guest.succeeds(f"systemctl show -p {names} {OURS}").output
    if set(said.split()) != {
        *("ActiveState=inactive", "ConditionResult=no", "Result=success")
    }:
        raise Failed(f"with noubypass the service is {said.split()}")
    go_on(guest, programs_of(guest))
    guest.check_log()
    print("  booted with noubypass: everything runs, natively", flush=True)


def served(guest: Guest, state: str) -> None:
    """The service, started at boot, boosts the copy; whatever becomes of the service,
    the programs go on.
    """
    must_be_running(guest, state)
    programs = programs_of(guest)
    until_boosted(guest)
    copy = figures(guest, programs[COPY])
    if not copy["dispatched"]:
        raise Failed(f"metrics and ub stats differ: {copy}")
    print(
        f"  systemd started the service, which boosted a unit: {copy['dispatched']:,} "
        f"of {copy['calls']:,} system calls dispatched",
        flush=True,
    )
    _serves(guest, programs[REDIS], "under its unit")
    _looked_at(guest)
    _paused(guest, programs)
    _misconfigured(guest)
    programs = _started_anew(guest, programs)
    requested(guest)
    exported(guest, CONFIG)
    go_on(guest, programs)

    for command in (
        f"systemctl restart {OURS}",
        f"systemctl kill --signal=KILL --kill-who=main {OURS}",
    ):
        guest.succeeds(command)
        until_dispatching(guest, programs[COPY])
        go_on(guest, programs)
    guest.succeeds(f"systemctl stop {OURS}")
    go_on(guest, programs)
    if left := parsed(guest.succeeds("ub stats --json"))["processes"]:
        raise Failed(f"the service is stopped, and there is still {left}")
    print("  restarted, killed, stopped: its programs went on", flush=True)

    guest.succeeds("ub module unload")
    module = guest.succeeds("modinfo -n ub").output.strip()
    guest.succeeds(f"mv {module} /run/hidden.ko && depmod")
    guest.type(f"systemctl start {OURS}")
    _quiet_without(guest, state, "missing")
    guest.succeeds(f"mv /run/hidden.ko {module} && depmod")
    go_on(guest, programs)


def _started_anew(guest: Guest, programs: dict[str, int]) -> dict[str, int]:
    """Programs whose units are restarted are boosted again; the new processes."""
    guest.succeeds(f"systemctl restart {REDIS} {COPY}")
    now = programs_of(guest)
    if set(now.values()) & set(programs.values()):
        raise Failed(f"restarted, and the same processes: {programs}, then {now}")
    until_attached(guest, *now.values())
    until_dispatching(guest, now[COPY])
    _serves(guest, now[REDIS], "restarted")
    return now


def _serves(guest: Guest, pid: int, how: str) -> None:
    """Redis under load is boosted, and its replies are right while it is."""
    ends = time.monotonic() + _PATIENCE
    while not figures(guest, pid)["dispatched"]:
        if time.monotonic() > ends:
            why = guest.type(f"ub explain {REDIS}").output
            raise Failed(f"redis under load is not boosted:\n{why}")
        guest.succeeds(_LOAD)
    asked = 0
    before = after = figures(guest, pid)
    # Regions are on trial at first: some runs may be native as a whole.
    while after["dispatched"] == before["dispatched"]:
        if time.monotonic() > ends:
            raise Failed(f"{asked} questions to redis, and no call is dispatched")
        _answers(guest)
        asked += 3 * _QUESTIONS
        after = figures(guest, pid)
    meanwhile = after["dispatched"] - before["dispatched"]
    print(
        f"  redis {how}: {after['dispatched']:,} of {after['calls']:,} system "
        f"calls dispatched, {meanwhile:,} of them while {asked:,} replies were right",
        flush=True,
    )


def _answers(guest: Guest) -> None:
    """Raises Failed unless redis replies to each question as it should."""
    said = guest.succeeds(_ASK).output.splitlines()
    deleted, replies = said[:1], said[1:]
    total, wanted = 0, []
    for number in range(1, _QUESTIONS + 1):
        total += number
        wanted += ["OK", str(total), f"value{number}"]
    if deleted not in (["0"], ["1"]) or replies != wanted:
        different = [
            f"{reply!r} instead of {right!r}"
            for reply, right in zip_longest(replies, wanted)
            if reply != right
        ]
        raise Failed(f"redis replies {different[:3]}, having deleted {deleted}")


def commands_typed(guest: Guest) -> tuple[list[Done], float]:
    """From the installation to the first boosted program: what was typed, and seconds
    of the guest's clock, which counts a nanosecond for each instruction.
    """
    begun = _clock(guest)
    typed = [guest.succeeds("ub module load")]
    typed += [guest.succeeds(f"ub run --summary-file {_SUMMARY} -- {_FIRST}")]
    seconds = _clock(guest) - begun
    (process,) = parsed(guest.succeeds(f"cat {_SUMMARY}"))["processes"]
    if not process["dispatched"]:
        raise Failed(f"the first program was not boosted: {process}")
    print(
        f"  ub run of a program: {process['dispatched']:,} of {process['calls']:,} "
        f"system calls dispatched, the first one {process['first_boost_seconds']:.1f} "
        "s after its start",
        flush=True,
    )
    tested = parsed(guest.succeeds("ub selftest --json"))
    if not tested["ok"]:
        raise Failed(f"ub selftest: {tested}")
    print(
        f"  ub selftest: {tested['dispatched']:,} calls dispatched, {tested['words']}",
        flush=True,
    )
    guest.succeeds("ub module unload")
    return typed, seconds


def purged(guest: Guest) -> None:
    """Purged while the service boosts; nothing of it runs then."""
    guest.succeeds(f"systemctl start {OURS}")
    programs = programs_of(guest)
    until_boosted(guest)
    guest.succeeds(
        "DEBIAN_FRONTEND=noninteractive apt-get -y purge ubypass ubypass-dkms"
    )
    go_on(guest, programs)
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
    must_be_running(guest, state)
    programs = programs_of(guest)
    wanted = {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "69"}
    names = ",".join([*wanted, "InvocationID"])
    said = guest.until(
        f"systemctl show -p {names} {OURS}",
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
    go_on(guest, programs)
    print(f"  a module that is {how}: everything runs, and one line:", flush=True)
    print(f"    {said.strip()}", flush=True)


def _looked_at(guest: Guest) -> None:
    """What an operator asks while it runs."""
    doctor = parsed(guest.type("ub doctor --json"))
    if not doctor["this_kernel"]:
        raise Failed(f"ub doctor: {doctor}")
    status = parsed(guest.succeeds("ub module status --json"))
    if not status["loaded"] or status["tunables"]["grace_ms"]["present"] != 0:
        raise Failed(f"ub module status: {status}")
    service = parsed(guest.succeeds("ub service status --json"))
    if service["processes"] != 2 or service["refused"]:
        raise Failed(f"ub service status: {service}")
    shown = guest.succeeds(_TOP).output
    if " dd " not in shown or "Traceback" in shown:
        raise Failed(f"ub top shows:\n{shown}")
    # It does not wait for an engine that is busy, and says so.
    guest.until(
        "ub",
        lambda said: "running; see: ub service status" in said and "dd" in said,
        "ub alone is wrong",
    )
    explained = guest.succeeds(f"ub explain {COPY}").output
    if "dd" not in explained:
        raise Failed(f"ub explain says:\n{explained}")
    ranked = parsed(guest.succeeds("ub estimate --json"))["processes"]
    if not any(process["name"] == "dd" for process in ranked):
        raise Failed(f"ub estimate does not know the copy: {ranked}")


def _paused(guest: Guest, programs: dict[str, int]) -> None:
    """Everything is native during a pause, and boosted after it."""
    guest.succeeds("ub service pause")
    guest.until(
        "ub stats --json",
        lambda said: not json.loads(said)["processes"],
        "the service has paused, and programs are still boosted",
    )
    go_on(guest, programs)
    guest.succeeds("ub service resume")
    until_dispatching(guest, programs[COPY])
    go_on(guest, programs)
    print("  paused and resumed: its programs went on", flush=True)


def _misconfigured(guest: Guest) -> None:
    """A wrong configuration is refused with its line; the old one stays in force."""
    line = len(CONFIG.splitlines()) + 1
    guest.succeeds(f"cp {CONFIG_FILE} /run/right && echo '[limits' >> {CONFIG_FILE}")
    done = guest.type("ub service reload")
    if done.status == 0 or f"{CONFIG_FILE}:{line}:" not in done.output:
        raise Failed(f"a wrong configuration, and ub service reload says {done.output}")
    if parsed(guest.succeeds("ub service status --json"))["processes"] != 2:
        raise Failed("a wrong configuration, and programs are not boosted any more")
    guest.succeeds(f"cp /run/right {CONFIG_FILE} && ub service reload")
    print(f"  a wrong configuration: {done.output.strip().splitlines()[0]}", flush=True)


def _clock(guest: Guest) -> float:
    return float(guest.succeeds("cat /proc/uptime").output.split()[0])
