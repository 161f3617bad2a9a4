# SPDX-License-Identifier: GPL-2.0-only
"""The service in the guest: boosts what a rule names, and dies under it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.guest.boost import HANG, NotBoosted, wait
from tests.guest.cases import DATA_FILE, start
from tests.guest.command import UB, attached, dispatched, run_ub
from tests.guest.program import ACT, END, PROGRAMS
from tests.places import ROOT

__all__ = ["service"]

_SPIN = ("spin", DATA_FILE)

# An emulator is slow: no share of its CPU would be enough, and no process waits.
_CONFIG = """
[service]
scan_seconds = 0.2
[limits]
cpu_percent = 100
memory_mib = 4096
[metrics]
interval_seconds = 1
[tune]
grace_ms = 0
share_bits = 0
[[rule]]
name = "by-path"
exe = "{exe}"
[[rule]]
name = "by-user"
user = {user}
"""
_USER = 4711
_UNIT = ROOT / "debian" / "ubypass.service"
_COPY = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64")


def service() -> dict[str, Any]:
    """Programs under a rule each, and one under none; pause, resume, kill -9, start
    anew. One is another user's; the daemon has what the unit leaves it.
    """
    found: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
        start([_SPIN]) as (program,),
        start([("calls", DATA_FILE, "100")]) as (other,),
        _copying() as copy,
    ):
        config, textfile = Path(directory, "config.toml"), Path(directory, "ub.prom")
        config.write_text(_CONFIG.format(exe=PROGRAMS / "spin", user=_USER))
        with _daemon(config, textfile) as daemon:
            _boosted(daemon)
            found["figures"] = all(
                wait(lambda rule=rule: _dispatched_in(textfile, rule) > 1000)
                for rule in ("by-path", "by-user")
            )
            found["attached"] = attached()
            found["pids"] = [program.pid, copy.pid]
            found["stats"] = run_ub("stats", "--json")
            found["status"] = run_ub("service", "status", "--json")
            found["pause"] = run_ub("service", "pause")
            found["native_in_a_pause"] = wait(lambda: attached() == 0)
            found["resume"] = run_ub("service", "resume")
            _boosted(daemon)
            daemon.kill()
            daemon.wait()
        found["regions_gone"] = wait(lambda: attached() == 0 and dispatched() == 0)
        found["alive"] = not program.ended and copy.poll() is None
        found["asked_then"] = run_ub("service", "status")
        with _daemon(config, textfile) as daemon:
            _boosted(daemon)
            daemon.send_signal(signal.SIGTERM)
            found["stopped_with"] = daemon.wait(HANG)
        found["attached_after"] = attached()
        for each in program, other:
            each.stage(ACT)
            each.stage(END)
        found["ended"] = wait(lambda: program.ended)
        found["outcome"] = program.outcome()
        found["journal"] = Path(directory, "journal").read_text().splitlines()
    with start([_SPIN]) as (program,):
        wait(lambda: program.is_warm)
        program.stage(ACT)
        program.stage(END)
        wait(lambda: program.ended)
        found["native"] = program.outcome()
    return found


@contextlib.contextmanager
def _copying() -> Iterator[subprocess.Popen[bytes]]:
    """A program of another user that makes nothing but calls."""
    words = ["setpriv", f"--reuid={_USER}", "--clear-groups", "nice", *_COPY]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as copy:
        try:
            yield copy
        finally:
            copy.kill()


def _confined() -> list[str]:
    """Words that run a command with the capabilities that the unit leaves."""
    (line,) = re.findall(r"^CapabilityBoundingSet=(.+)$", _UNIT.read_text(), re.M)
    names = [f"+{name.removeprefix('CAP_').lower()}" for name in line.split()]
    bound = ",".join(["-all", *names])
    return ["setpriv", f"--bounding-set={bound}", "--inh-caps=-all", "--no-new-privs"]


@contextlib.contextmanager
def _daemon(config: Path, textfile: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = ["service", "run", "--config", str(config), "--textfile", str(textfile)]
    with config.with_name("journal").open("a") as journal:
        daemon = subprocess.Popen([*_confined(), *UB, *words], stderr=journal)
        try:
            yield daemon
        finally:
            daemon.kill()
            daemon.wait()


def _boosted(daemon: subprocess.Popen[bytes]) -> None:
    if not wait(lambda: dispatched() > 1000):
        raise NotBoosted(f"ub service: {daemon.poll()}, {dispatched()} calls")


def _dispatched_in(textfile: Path, rule: str) -> float:
    """What the metrics say of it."""
    name = f'ubypass_system_calls_total{{path="dispatched",rule="{rule}"}}'
    with contextlib.suppress(OSError):
        for line in textfile.read_text().splitlines():
            if line.startswith(name):
                return float(line.split()[-1])
    return 0.0


def answer(result: dict[str, Any]) -> Any:
    """What a command printed as JSON."""
    return json.loads("\n".join(result["stdout"]))
