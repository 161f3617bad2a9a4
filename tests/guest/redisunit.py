# SPDX-License-Identifier: GPL-2.0-only
"""Runs one unit of redis' own tests against Debian's redis-server.

Works on a copy of the tests, in which src/redis-server is a script that says which
process it is and becomes the server, at the same addresses each time. Knows nothing
of boosting.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.guest.trained import FIXED
from tests.places import ROOT
from ubypass.bench.server.process import beside
from ubypass.errors import UbError

__all__ = ["SOURCE", "Outcome", "Suite", "read_output", "suite"]

#: Where ``tools/redis-source.sh`` puts it.
SOURCE = ROOT / "build" / "redis-source"

#: What takes minutes on hardware would take hours under emulation. All of some units
#: is slow, by their own account.
_TAGS = "-slow -large-memory"
_SLOW_TAGS = "-large-memory"
_SLOW = ("unit/type/list-2",)
_PROGRAMS = ("redis-cli", "redis-benchmark", "redis-check-aof", "redis-check-rdb")
_VERDICT = re.compile(r"\[(ok|err|exception|ignore|skip)\]: (.*?)(?: \(\d+ ms\))?$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BAD = ("err", "exception")
_PORT = 22000


@dataclass(frozen=True, slots=True)
class Outcome:
    """``verdicts`` by test; ``why`` holds what was said when one failed."""

    status: int
    seconds: float
    verdicts: dict[str, str]
    why: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether tests were run and none of them failed."""
        return self.status == 0 and self.ok > 0 and not self.failed

    @property
    def ok(self) -> int:
        """How many passed."""
        return list(self.verdicts.values()).count("ok")

    @property
    def failed(self) -> list[str]:
        """Tests that failed."""
        return [test for test, verdict in self.verdicts.items() if verdict in _BAD]


class Suite:
    """A copy of the tests in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        #: Open for reading, without waiting: a line for each server that starts.
        self.started = os.open(directory / "started", os.O_RDWR | os.O_NONBLOCK)

    def run(self, unit: str, meanwhile: Callable[[], None]) -> Outcome:
        """Run ``unit``, and ``meanwhile`` again and again until it is done."""
        command = ["tclsh", "tests/test_helper.tcl", "--clients", "1"]
        command += [
            "--tags",
            _SLOW_TAGS if unit in _SLOW else _TAGS,
            "--baseport",
            str(_PORT),
            "--single",
            unit,
        ]
        # Emulated, everything takes longer than the suite would wait.
        command += ["--timeout", "100000"]
        # Else each reply would end the server's turn, natively and boosted.
        command = beside(command)
        with contextlib.suppress(BlockingIOError):
            os.read(self.started, 1 << 16)  # servers of earlier units
        began = time.monotonic()
        with (self._directory / "output").open("w+") as output:
            tests = subprocess.Popen(
                command,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                while tests.poll() is None:
                    meanwhile()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(tests.pid, signal.SIGKILL)
                tests.wait()
            output.seek(0)
            verdicts, why = read_output(output)
        seconds = round(time.monotonic() - began, 1)
        return Outcome(tests.returncode, seconds, verdicts, why)

    def latest(self) -> str:
        """The last line so far."""
        lines = (self._directory / "output").read_text(errors="replace").splitlines()
        return _COLOUR.sub("", lines[-1]) if lines else ""


def read_output(lines: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Verdicts by test, and the lines that say why some are bad.

    A test that comes twice under the same name is two tests.
    """
    verdicts: dict[str, str] = {}
    seen: Counter[str] = Counter()
    why: list[str] = []
    bad = False
    for coloured in lines:
        line = _COLOUR.sub("", coloured.rstrip("\n"))
        found = _VERDICT.match(line)
        if found:
            seen[found[2]] += 1
            again = f" #{seen[found[2]]}" if seen[found[2]] > 1 else ""
            verdicts[found[2] + again] = found[1]
            bad = found[1] in _BAD
        if bad or not line.startswith(("[", "Testing", "Cleanup", "Starting")):
            why.append(line)
    ended_well = any(line.startswith(r"\o/") for line in why)
    return verdicts, [] if ended_well else why[-100:]


@contextlib.contextmanager
def suite() -> Iterator[Suite]:
    """A copy of the tests, with Debian's programs where they expect their own."""
    if not (SOURCE / "tests").is_dir():
        raise UbError("the source of redis is not there", "tools/redis-source.sh")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="ub-suite-") as name:
        directory = Path(name)
        for part in ("tests", "utils"):
            shutil.copytree(SOURCE / part, directory / part, symlinks=True)
        (directory / "src").mkdir()
        for program in _PROGRAMS:
            (directory / "src" / program).symlink_to(_path(program))
        server = directory / "src" / "redis-server"
        server.write_text(
            f"#!/bin/sh\necho $$ > {name}/started\n"
            f'exec {" ".join(FIXED)} {_path("redis-server")} "$@"\n'
        )
        server.chmod(0o755)
        os.mkfifo(directory / "started")
        copy = Suite(directory)
        try:
            yield copy
        finally:
            os.close(copy.started)


def _path(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise UbError(f"{program} is not installed", "apt install redis-server")
    return found
