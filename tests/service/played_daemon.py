# SPDX-License-Identifier: GPL-2.0-only
"""``ub service run`` as a process of its own, on a played module.

    python -m tests.service.played_daemon SOCKETS CONFIG [PROC]

SOCKETS is the directory of its sockets, PROC what it takes for /proc. One more request,
``count-objects``, tells how many objects it has.
"""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.cli.conftest import TunableDevice
from tests.places import ROOT
from ubypass.cli import main, session
from ubypass.engine import control
from ubypass.service import requests
from ubypass.service import supervisor as supervisor_module
from ubypass.service.place import NotRunning, ask_service
from ubypass.service.scan import Scanner

__all__ = ["Daemon", "cpu_ns", "played_daemon"]

_START_SECONDS = 300.0  # only ends what hangs


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, in nanoseconds."""
    # As clock_getcpuclockid(3) names its clock.
    return time.clock_gettime_ns((~pid << 3) | 2)


class Daemon:
    """The daemon from outside."""

    def __init__(self, pid: int, directory: Path) -> None:
        self.pid = pid
        self._directory = directory

    def ask(self, what: str) -> Mapping[str, Any]:
        """Its answer to a request."""
        return ask_service({"ask": what}, self._directory)

    @property
    def processes(self) -> int:
        """How many are attached."""
        return int(self.ask("service-status")["processes"])

    @property
    def cpu_ns(self) -> int:
        return cpu_ns(self.pid)

    @property
    def holds(self) -> dict[str, int]:
        """What it has of each kind: descriptors, threads, sockets, objects."""
        links = [
            str(link.readlink())
            for link in Path(f"/proc/{self.pid}/fd").iterdir()
            if link.is_symlink()
        ]
        return {
            "descriptors": len(links),
            "sockets": sum(link.startswith("socket:") for link in links),
            "threads": len(list(Path(f"/proc/{self.pid}/task").iterdir())),
            "files": len(list(self._directory.iterdir())),
            "objects": int(self.ask("count-objects")["objects"]),
        }

    @property
    def resident(self) -> int:
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * 4096


@contextlib.contextmanager
def played_daemon(
    directory: Path, config: Path, proc: Path | None = None
) -> Iterator[Daemon]:
    """A running one; killed at the end."""
    words = [sys.executable, "-m", __name__, directory, config]
    words += [] if proc is None else [proc]
    journal = config.with_name("journal")
    with (
        journal.open("w") as out,
        subprocess.Popen(words, cwd=ROOT, stderr=out) as process,
    ):
        daemon = Daemon(process.pid, directory)
        try:
            end = time.monotonic() + _START_SECONDS
            while True:
                assert process.poll() is None, journal.read_text()
                assert time.monotonic() < end
                with contextlib.suppress(NotRunning):
                    daemon.ask("service-status")
                    break
                time.sleep(0.05)
            yield daemon
        finally:
            process.kill()


def _serve(directory: Path, config: str, proc: Path) -> int:
    """Replace what the daemon finds in the machine, and be it."""
    real = requests.handlers

    def count(request: Mapping[str, Any]) -> Mapping[str, Any]:
        gc.collect()
        return {"objects": len(gc.get_objects())}

    requests.handlers = lambda *found: {**real(*found), "count-objects": count}  # type: ignore[assignment]
    supervisor_module.Scanner = partial(Scanner, proc)  # type: ignore[misc, assignment]
    session.Device = TunableDevice  # type: ignore[misc, assignment]
    session.Control = partial(control.Control, directory=directory)  # type: ignore[misc, assignment]
    control.CONTROL_DIRECTORY = directory
    return main.main(["service", "run", "--config", config])


if __name__ == "__main__":
    where, configuration, *rest = sys.argv[1:]
    sys.exit(_serve(Path(where), configuration, Path(*rest or ["/proc"])))
