# SPDX-License-Identifier: GPL-2.0-only
"""Runs selftests in the guest: ``python -m tests.selftests.inside PHASE DIRECTORY``.

``DIRECTORY/jobs`` (JSON) has what to run. In phase ``native`` each is run, run once
more held at the gate, which shows whether that changes anything, and recorded in
single steps; in phase ``boosted`` it is run natively and boosted, both again and again
while runs differ. ``DIRECTORY/PHASE.jsonl`` gets a line for each program.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.selftests import frozen
from tests.selftests.compare import needs_more
from tests.selftests.keeper import Booster, Gate, Holder, Imager
from tests.selftests.tap import BAD, verdicts
from tests.selftests.translations import ABI
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.lab.logcheck import log_problems

__all__ = ["main"]

#: In memory: tests write beside themselves.
_HOME = Path("/tmp/ub-selftests")
_SOCKET = Path("/tmp/ub-gate")
_IDLE = Path("/tmp/ub-idle")
_STEPS = 10_000_000
#: Runs of each kind, at most, of what does not always say the same.
_REPEATS = 3
_OUTPUT = 1 << 20  # bytes that are read
_WHY = 60  # lines that are kept of a run that differs

#: No entry is given up because little is dispatched from it.
_TUNE = {Tunable.GRACE_MS: 0, Tunable.IDLE_RUNS: 1_000_000_000}

_Job = dict[str, Any]
_Run = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Run all jobs of one phase."""
    phase, name = arguments
    directory = Path(name)
    jobs = json.loads((directory / "jobs").read_text())
    programs = directory / "programs"
    shutil.copytree(programs, _HOME, symlinks=True, dirs_exist_ok=True)
    with (directory / f"{phase}.jsonl").open("w") as lines:

        def each(do: Callable[[_Job], dict[str, Any]]) -> None:
            for number, job in enumerate(jobs, 1):
                began = time.monotonic()
                line = {"name": job["name"], **do(job)}
                lines.write(json.dumps(line) + "\n")
                lines.flush()
                seconds = time.monotonic() - began
                said = f"[{number}/{len(jobs)}] {job['name']}: {line['said']}"
                print(f"{said}, {seconds:.0f} s", flush=True)

        with Device() as device:
            if phase == "native":
                (directory / ABI).write_bytes(frozen.dumps(device.info()))
                with Gate(_SOCKET, Imager(directory)) as gate:
                    each(lambda job: _natively(job, gate, directory))
            else:
                for what, value in _TUNE.items():
                    device.tune(what, value)
                booster = Booster(device, directory)
                with Gate(_SOCKET, booster) as gate, Gate(_IDLE, Holder()) as idle:
                    each(lambda job: _boosted(job, gate, idle, booster))
    return 0


def _natively(job: _Job, gate: Gate, directory: Path) -> dict[str, Any]:
    plain = _run(job, _gated("none"))
    held = _run(job, _gated(str(_SOCKET)), gate)
    if seconds := job["record"]:
        steps = directory / f"{job['name'].replace('/', '-').replace(' ', '_')}.steps"
        # On one processor: three times as many steps as with wake-ups of another.
        recorder = ["taskset", "-c", "0", str(_HOME / "steps"), str(steps)]
        recorder += [str(_STEPS), str(seconds)]
        _run({**job, "timeout": seconds + 10}, [*recorder, *_gated("step")])
    return {"native": [plain], "held": [held], "said": _line(plain)}


def _boosted(job: _Job, gate: Gate, idle: Gate, booster: Booster) -> dict[str, Any]:
    native: list[_Run] = []
    boosted: list[_Run] = []
    while True:
        boosted.append(_run(job, _gated(str(_SOCKET)), gate) | booster.take())
        if not native or needs_more(
            [run["verdicts"] for run in native], [run["verdicts"] for run in boosted]
        ):
            native.append(_run(job, _gated(str(_IDLE)), idle))
        if len(boosted) == _REPEATS or not needs_more(
            [run["verdicts"] for run in native], [run["verdicts"] for run in boosted]
        ):
            break
    for run in (*native, *boosted):
        if run["verdicts"] == native[0]["verdicts"] and run is not native[0]:
            del run["why"]
    dispatched = sum(run.get("dispatched", 0) for run in boosted)
    said = f"{_line(boosted[0])}, {dispatched} calls dispatched"
    if len(boosted) > 1:
        said += f", {len(boosted)} runs"
    return {"native": native, "boosted": boosted, "said": said}


def _gated(gate: str) -> list[str]:
    preload = f"LD_PRELOAD={_HOME / 'gate.so'}"
    # Lazy binding would make the first call of each function a path of its own.
    return ["/usr/bin/env", f"UB_GATE={gate}", preload, "LD_BIND_NOW=1"]


def _run(job: _Job, prefix: list[str], gate: Gate | None = None) -> _Run:
    """One run, at the same addresses each time."""
    cwd = _HOME / job["directory"]
    command = ["setarch", "-R", *prefix, *job["command"]]
    output = Path("/tmp/ub-output")
    before = len(_log())
    began = time.monotonic()
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        end = began + job["timeout"]
        status: int | None = None
        while (left := end - time.monotonic()) > 0:
            if _has_ended(process, gate, left):
                status = process.returncode
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    seconds = round(time.monotonic() - began, 2)
    with output.open("rb") as file:
        lines = file.read(_OUTPUT).decode(errors="replace").splitlines()
    return {
        "seconds": seconds,
        "verdicts": verdicts(lines, status),
        "why": lines[-_WHY:],
        "log": log_problems(_log()[before:], "\0"),
    }


def _log() -> str:
    """The kernel's log, which holds all since the boot (log_buf_len of the lab).

    A mark in it would be lost now and then: the kernel limits the rate of such.
    """
    log = subprocess.run(["dmesg", "-r"], capture_output=True, check=True).stdout
    return log.decode(errors="replace")


def _has_ended(
    process: subprocess.Popen[bytes], gate: Gate | None, seconds: float
) -> bool:
    if gate is not None:
        return gate.wait(process, min(seconds, 1.0))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def _line(run: _Run) -> str:
    found = list(run["verdicts"].values())
    bad = sum(verdict.startswith(BAD) for verdict in found)
    return f"{len(found) - 1} tests, {bad} fail, {found[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
