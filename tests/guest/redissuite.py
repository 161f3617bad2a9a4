# SPDX-License-Identifier: GPL-2.0-only
"""Redis' own tests in the guest, natively and with every server boosted.

    python -m tests.guest.redissuite RESULT [UNIT]...

What the suite starts as src/redis-server is a script that says which process it is
and becomes Debian's redis-server; an engine attaches each of them. The source is
fetched by ``tools/redis-source.sh``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ubypass.bench.workloads import ROOT
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.engine.build import Builder
from ubypass.engine.engine import Engine
from ubypass.errors import UbError
from ubypass.process.status import identify

__all__ = ["SOURCE", "UNITS", "main"]

SOURCE = ROOT / "build" / "redis-source"

UNITS = (
    "unit/protocol",
    *(f"unit/type/{name}" for name in ("string", "incr", "hash", "list", "list-2")),
    *(f"unit/type/{name}" for name in ("list-3", "set", "zset", "stream")),
    "unit/type/stream-cgroups",
    "unit/expire",
    "integration/aof",
)

#: What takes minutes on hardware would take hours under emulation.
_TAGS = "-slow -large-memory"
_PROGRAMS = ("redis-cli", "redis-benchmark", "redis-check-aof", "redis-check-rdb")
_VERDICT = re.compile(r"\[(ok|err|exception|ignore|skip)\]: (.*?)(?: \(\d+ ms\))?$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main(arguments: list[str]) -> int:
    result, *units = arguments
    with _suite() as directory:
        runs = {
            "native": _run(directory, units or list(UNITS), boost=False),
            "boosted": _run(directory, units or list(UNITS), boost=True),
        }
    Path(result).write_text(json.dumps(runs, indent=1) + "\n")
    for name, run in runs.items():
        figures = {key: value for key, value in run.items() if key != "verdicts"}
        print(f"{name}: {figures}", flush=True)
    native, boosted = runs["native"]["verdicts"], runs["boosted"]["verdicts"]
    for test in sorted(native.keys() | boosted.keys()):
        if native.get(test) != boosted.get(test):
            print(f"differs: {test}: {native.get(test)} {boosted.get(test)}")
    same = native == boosted and runs["boosted"]["dispatched"] > 0
    return 0 if same and runs["boosted"]["status"] == 0 else 1


@contextlib.contextmanager
def _suite() -> Iterator[Path]:
    """A copy of the tests, with Debian's programs where they expect their own."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="ub-suite-") as name:
        directory = Path(name)
        for part in ("tests", "utils"):
            shutil.copytree(SOURCE / part, directory / part, symlinks=True)
        (directory / "src").mkdir()
        for program in _PROGRAMS:
            (directory / "src" / program).symlink_to(_path(program))
        server = directory / "src" / "redis-server"
        server.write_text(
            f"#!/bin/sh\n[ -p {name}/started ] && echo $$ > {name}/started\n"
            f'exec {_path("redis-server")} "$@"\n'
        )
        server.chmod(0o755)
        yield directory


def _path(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise UbError(f"{program} is not installed", "apt install redis-server")
    return found


def _run(directory: Path, units: list[str], *, boost: bool) -> dict[str, Any]:
    command = ["tclsh", "tests/test_helper.tcl", "--clients", "1", "--tags", _TAGS]
    # Emulated, everything takes longer than the suite would wait.
    command += ["--timeout", "100000", "--baseport", "22000"]
    command += [word for unit in units for word in ("--single", unit)]
    began = time.monotonic()
    with (
        _boosting(directory) if boost else contextlib.nullcontext() as booster,
        (directory / "output").open("w+") as output,
    ):
        suite = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=2
        )
        while suite.poll() is None:
            if booster is None:
                time.sleep(0.2)
            else:
                booster.step()
        output.seek(0)
        lines = [_COLOUR.sub("", line.rstrip("\n")) for line in output]
        figures = booster.figures() if booster is not None else {}
    verdicts: dict[str, str] = {}
    unit = ""
    for line in lines:
        if line.startswith("Testing "):
            unit = line.removeprefix("Testing ")
        elif found := _VERDICT.match(line):
            verdicts[f"{unit}: {found[2]}"] = found[1]
    return {
        "status": suite.returncode,
        "seconds": round(time.monotonic() - began, 1),
        "ok": list(verdicts.values()).count("ok"),
        "failed": [name for name, word in verdicts.items() if word == "err"],
        "last": lines[-6:],
        "verdicts": verdicts,
        **figures,
    }


class _Booster:
    """Attaches whatever process id is written to the pipe, once it is redis."""

    def __init__(self, engine: Engine, pipe: int) -> None:
        self._engine = engine
        self._pipe = pipe
        self._waiting: set[int] = set()
        self._attached = 0
        self._failed: list[str] = []

    def step(self) -> None:
        """Let the engine work for a moment, and see who is new."""
        with contextlib.suppress(BlockingIOError):
            self._waiting.update(
                int(word) for word in os.read(self._pipe, 4096).split()
            )
        for pid in list(self._waiting):
            self._try(pid)
        self._engine.step(0.05)

    def figures(self) -> dict[str, Any]:
        """What boosting came to, over all servers."""
        summaries = self._engine.summaries()
        return {
            "attached": self._attached,
            "failed_to_attach": self._failed,
            "calls": sum(summary.calls for summary in summaries),
            "dispatched": sum(summary.stats.dispatched for summary in summaries),
            "boosted_servers": sum(
                summary.stats.dispatched > 0 for summary in summaries
            ),
        }

    def _try(self, pid: int) -> None:
        try:
            if "redis" not in os.readlink(f"/proc/{pid}/exe"):
                return  # the script still
            self._engine.watch_end(self._engine.attach(identify(pid)))
            self._attached += 1
        except FileNotFoundError:
            pass  # it has ended
        except UbError as error:
            self._failed.append(error.message)
        self._waiting.discard(pid)


@contextlib.contextmanager
def _boosting(directory: Path) -> Iterator[_Booster]:
    path = directory / "started"
    os.mkfifo(path)
    # Both ends, so that it is always open for writers and never at its end.
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        with Device() as device:
            device.tune(Tunable.HOT_CALLS, 8)
            device.tune(Tunable.WINDOW_MS, 200)
            device.tune(Tunable.GAP_NS, 80_000)
            engine = Engine(device, build=Builder(device.info()))
            with contextlib.closing(engine):
                yield _Booster(engine, pipe)
    finally:
        path.unlink()
        os.close(pipe)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
