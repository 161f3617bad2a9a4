# SPDX-License-Identifier: GPL-2.0-only
"""``ub`` as a function, and a device that needs no module."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cli.gate import Gate
from tests.engine.fakes import FakeDevice, FakeMemory
from ubypass.abi import ExitReason
from ubypass.cli import main, session
from ubypass.device.types import Event, Stats
from ubypass.device.uapi import EventType, Tunable
from ubypass.engine import control
from ubypass.engine.build import Builder
from ubypass.engine.engine import Engine
from ubypass.engine.requests import serve_detach, serve_explain, serve_stats
from ubypass.process.status import ProcessId


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Holds programs up."""
    gate = Gate(tmp_path)
    yield gate
    gate.close()


class TunableDevice(FakeDevice):
    """A played device that also has tunables."""

    def __init__(self) -> None:
        super().__init__()
        self.tuned: dict[Tunable, int] = {Tunable.GAP_NS: 4000}

    def tune(self, what: Tunable, value: int | None = None) -> int:
        before = self.tuned.get(what, 0)
        if value is not None:
            self.tuned[what] = value
        return before


@pytest.fixture
def ub() -> Callable[..., int]:
    """Runs ``ub`` with these words and returns its exit code."""
    return lambda *words: main.main([str(word) for word in words])


@pytest.fixture
def control_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where engines listen and are asked, in this test."""
    directory = tmp_path / "control"
    monkeypatch.setattr(control, "CONTROL_DIRECTORY", directory)
    monkeypatch.setattr(
        session, "Control", partial(control.Control, directory=directory)
    )
    asking = partial(control.ask_all, directory=directory)
    monkeypatch.setattr(control, "ask_all", asking)
    return directory


@pytest.fixture
def device(
    monkeypatch: pytest.MonkeyPatch, control_directory: Path
) -> Iterator[TunableDevice]:
    device = TunableDevice()
    monkeypatch.setattr(session, "Device", lambda: device)
    monkeypatch.setattr(device, "close", lambda: None)
    yield device
    FakeDevice.close(device)


# syscall; dec rbx; je out; mov eax, 39; jmp to the syscall
_CODE = bytes.fromhex("0f05 48ffcb 7407 b827000000 ebf2")


@pytest.fixture
def running(control_directory: Path) -> Iterator[FakeDevice]:
    """An engine in a thread, with one boosted process of number 4242."""
    device = FakeDevice()
    device.counters = Stats(
        native=10, dispatched=990, runs=3, exits={ExitReason.RET_MISS: 2}
    )
    engine = Engine(
        device,
        build=Builder(device.info()),
        open_memory=lambda pid: FakeMemory({0x401000: _CODE}),
    )
    server = control.Control(
        engine,
        {
            "stats": lambda question: serve_stats(engine, question),
            "explain": lambda question: serve_explain(engine, question),
            "detach": lambda question: serve_detach(engine, question),
        },
        control_directory,
    )
    engine.attach(ProcessId(4242, 1, "looper [x]"))
    device.send(Event(EventType.HOT, proc=1, nr=39, ip=0x401002))
    stop = False

    def loop() -> None:
        while not stop:
            engine.step(0.02)

    thread = threading.Thread(target=loop)
    thread.start()
    end = time.monotonic() + 60
    while not device.loads and time.monotonic() < end:
        time.sleep(0.01)
    yield device
    stop = True
    thread.join()
    server.close()
    engine.close()
    device.close()
