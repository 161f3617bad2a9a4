# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses

import pytest

from tests.bench.samples import ICOUNT
from ubypass.bench import transition
from ubypass.bench.handler import HandlerTime


@pytest.mark.parametrize("unit", ["instructions", "ns"])
def test_what_is_left_of_a_call(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def loop(command: list[str]) -> float:
        return 20.0 if "--dry" in command else 330.0

    monkeypatch.setattr(transition, "_loop", loop)
    monkeypatch.setattr(transition.gap, "count_gap", lambda *_: 18)
    monkeypatch.setattr(
        transition.handler, "run", lambda *_: HandlerTime(90.0, 10.0, 1, 1)
    )
    machine = dataclasses.replace(ICOUNT, unit=unit)
    user = 18.0 if unit == "instructions" else 20.0
    assert transition.measure_transition(machine) == 330.0 - 80.0 - user
