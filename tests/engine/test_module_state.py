# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.engine.fakes import FakeDevice
from tests.engine.samples import ENTRY
from ubypass.device.client import Gone
from ubypass.device.types import Site, Stats
from ubypass.engine.module_state import ModuleState


def test_what_was_read_last_stays_when_the_process_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = FakeDevice()
    state = ModuleState(device.attach(42), device)
    assert state.stats == Stats()
    assert state.native_ns(ENTRY.key) == 0
    device.counters = Stats(native=7)
    device.known_sites = [ENTRY]
    assert state.refresh_stats().native == 7
    assert state.refresh_sites() == {ENTRY.key: ENTRY}
    assert state.native_ns(ENTRY.key) == ENTRY.native_ns

    def gone(proc: int) -> list[Site]:
        raise Gone

    monkeypatch.setattr(device, "stats", gone)
    monkeypatch.setattr(device, "sites", gone)
    assert state.refresh_stats().native == 7
    assert state.refresh_sites() == {ENTRY.key: ENTRY}
    device.close()
