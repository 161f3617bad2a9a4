# SPDX-License-Identifier: GPL-2.0-only
"""``ub`` as a function, and a device that needs no module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cli.gate import Gate
from tests.engine.fakes import FakeDevice
from ubypass.cli import main, session
from ubypass.device.uapi import Tunable
from ubypass.engine import control


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
