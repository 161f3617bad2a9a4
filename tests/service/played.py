# SPDX-License-Identifier: GPL-2.0-only
"""A supervisor on a played device, and real processes for it to find."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.engine.fakes import FakeDevice, FakeMemory
from ubypass.engine import control
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.engine import Engine
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.service.config import Config, parse
from ubypass.service.figures import Snapshot
from ubypass.service.journal import Journal
from ubypass.service.labels import Labels
from ubypass.service.place import only_one
from ubypass.service.requests import handlers, lasting_handlers
from ubypass.service.scan import Scanner
from ubypass.service.supervisor import Supervisor

__all__ = ["House", "program", "running", "serving"]


def program(directory: Path, name: str) -> Path:
    """A program of its own path that does nothing for a minute."""
    path = directory / name
    found = shutil.which("sleep")
    assert found is not None
    shutil.copy(found, path)
    return path


@contextlib.contextmanager
def running(path: Path, number: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes of it; killed at the end."""
    children = [subprocess.Popen([path, "60"]) for _ in range(number)]
    try:
        yield children
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def _build(profile: Profile, memory: MemoryLike) -> Built:
    raise NothingToBuild


class House:
    """All that a supervisor needs; ``text`` is the configuration in force."""

    def __init__(
        self,
        text: str,
        pause_file: Path | None = None,
        scanner: Scanner | None = None,
        labels: Labels | None = None,
    ) -> None:
        self.text = text
        self.device = FakeDevice()
        self.engine = Engine(
            self.device,
            build=_build,
            build_trusted=_build,
            open_memory=lambda pid: FakeMemory({0x1000: bytes(4096)}),
            open_sampler=None,
        )
        self.journal = io.StringIO()
        self.figures: list[Snapshot] = []
        self.applied: list[Config] = []
        self.memory = 0
        self.supervisor = Supervisor(
            self.engine,
            parse(text),
            Journal(self.journal),
            read_config=lambda: parse(self.text, "/etc/ubypass/config.toml"),
            apply=self.applied.append,
            publish=self.figures.append,
            pause_file=pause_file,
            scanner=scanner,
            memory=lambda: self.memory,
            labels=labels,
        )

    def look(self) -> None:
        """As if the time for the next look had come."""
        self.engine.step(0)
        self.supervisor.look(time.monotonic())

    def until(self, condition: Callable[[], bool], seconds: float = 300.0) -> None:
        """Run; fails if it does not come true."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.lines
            self.engine.step(0.01)
            self.supervisor.look(time.monotonic())

    @property
    def pids(self) -> list[int]:
        """Of the processes that are attached."""
        return sorted(target.process.pid for target in self.engine.targets)

    @property
    def lines(self) -> list[str]:
        return self.journal.getvalue().splitlines()

    def close(self) -> None:
        self.engine.close()
        self.device.close()


@contextlib.contextmanager
def serving(house: House, directory: Path) -> Iterator[threading.Event]:
    """A daemon in a thread, which listens in ``directory``; set the event to end it."""
    stop = threading.Event()
    ready = threading.Event()

    def serve() -> None:
        server = control.Control(
            house.engine,
            handlers(lambda: house.supervisor, "/etc/ubypass/config.toml"),
            directory,
            lasting_handlers(lambda: house.supervisor),
        )
        with contextlib.closing(server), only_one(directory):
            ready.set()
            while not stop.is_set():
                house.engine.step(0.01)
                house.supervisor._account()
                house.supervisor.look(time.monotonic())

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(60)
    try:
        yield stop
    finally:
        stop.set()
        thread.join()
