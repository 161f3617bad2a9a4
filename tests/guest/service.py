# SPDX-License-Identifier: GPL-2.0-only
"""The service in the guest: boosts what a rule or a command names, and is killed."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.guest.cases import DATA_FILE, start
from tests.guest.command import UB, arena_used, attached, dispatched, run_ub
from tests.guest.program import ACT, END, PROGRAMS, Program
from tests.guest.served import (
    CONFIG,
    SPIN,
    USER,
    boosted,
    copying,
    daemon,
    listens,
    native,
)
from tests.guest.waiting import HANG, wait
from ubypass.engine.control import ask_all
from ubypass.service.place import ask_service

__all__ = ["answer", "requests", "service"]


def service() -> dict[str, Any]:
    """Programs under a rule each, and one under none; pause, resume, kill -9, start
    anew. One is another user's; the daemon has what the unit leaves it.
    """
    found: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
        start([SPIN]) as (program,),
        start([("calls", DATA_FILE, "100")]) as (other,),
        copying() as copy,
    ):
        config, textfile = Path(directory, "config.toml"), Path(directory, "ub.prom")
        config.write_text(CONFIG.format(exe=PROGRAMS / "spin", user=USER))
        with daemon(config, textfile) as served:
            boosted(served)
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
            boosted(served)
            served.kill()
            served.wait()
        found["regions_gone"] = wait(lambda: attached() == 0 and dispatched() == 0)
        found["alive"] = not program.ended and copy.poll() is None
        found["asked_then"] = run_ub("service", "status")
        with daemon(config, textfile) as served:
            boosted(served)
            served.send_signal(signal.SIGTERM)
            found["stopped_with"] = served.wait(HANG)
        found["attached_after"] = attached()
        for each in program, other:
            each.stage(ACT)
            each.stage(END)
        found["ended"] = wait(lambda: program.ended)
        found["outcome"] = program.outcome()
        found["journal"] = Path(directory, "journal").read_text().splitlines()
    found["native"] = native()
    return found


def requests() -> dict[str, Any]:
    """``ub run`` and ``ub attach`` while the service runs without a rule for their
    programs: its daemon boosts them; a pause, kill -9 of a client and of the daemon.
    """
    found: dict[str, Any] = {}
    run = [*UB, "run", "-q", "--"]
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
        start([SPIN]) as (other,),
    ):
        config = Path(directory, "config.toml")
        config.write_text(CONFIG.format(exe="/nothing", user=USER))
        with daemon(config, Path(directory, "ub.prom")) as served:
            wait(listens)
            with Program(*SPIN, prefix=run) as asked:
                boosted(served)
                found["run"] = attached()
                found["stats"], _ = ask_all({"ask": "stats"})
                with _attaching(other, directory) as client:
                    found["attach"] = wait(lambda: attached() == 2)
                    found["pause"] = ask_service({"ask": "service-pause"})["paused_by"]
                    found["paused"] = attached()
                    found["resume"] = ask_service({"ask": "service-resume"})
                    found["resumed"] = wait(lambda: attached() == 2)
                    boosted(served)
                    client.kill()
                    found["client_killed"] = wait(lambda: attached() == 1)
                with _attaching(other, directory) as client:
                    wait(lambda: attached() == 2)
                    client.send_signal(signal.SIGINT)
                    found["attach_ended"] = client.wait(HANG)
                    found["detached"] = attached()
                found["summary"] = Path(directory, "summary").read_text()
                found["daemon"] = served.pid
                served.kill()
                served.wait()
                found["daemon_killed"] = wait(
                    lambda: attached() == 0 and arena_used() == 0
                )
                found["alive"] = not asked.ended and not other.ended
                for each in asked, other:
                    each.stage(END)
                found["ended"] = wait(lambda: asked.ended and other.ended)
                found["outcomes"] = [asked.outcome(), other.outcome()]
        found["journal"] = Path(directory, "journal").read_text().splitlines()
    found["native"] = native()
    return found


@contextlib.contextmanager
def _attaching(program: Program, directory: str) -> Iterator[subprocess.Popen[bytes]]:
    """``ub attach`` to that program; killed at the end."""
    summary = f"--summary-file={directory}/summary"
    words = [*UB, "attach", "-q", summary, str(program.pid)]
    with subprocess.Popen(words) as client:
        try:
            yield client
        finally:
            client.kill()


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
