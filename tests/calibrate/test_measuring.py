# SPDX-License-Identifier: GPL-2.0-only
"""On this CPU: relations that hold on every one, however busy the machine is."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ubypass import executable, processor
from ubypass.calibrate import measuring
from ubypass.calibrate.figures import Calibration, Kind
from ubypass.calibrate.measuring import measure
from ubypass.errors import UbError

_SOME = 0.15  # seconds


@pytest.fixture(scope="module")
def measured() -> Calibration:
    return measure(_SOME)


def test_what_was_measured(measured: Calibration) -> None:
    assert measured.measured
    assert measured.processor == processor.describe()
    assert {t.kind for t in measured.transitions} >= set(Kind) - {Kind.SEND}
    assert measured.rounds > 0
    assert measured.seconds > 0
    assert Calibration.from_data(measured.as_data()) == measured


@pytest.mark.skipif(processor.is_emulated(), reason="times of an emulator mean nothing")
class TestRelations:
    """That a processor cannot but show."""

    def test_a_cycle(self, measured: Calibration) -> None:
        assert 0.1 < measured.ns_per_cycle < 10

    def test_a_transition_is_no_call(self, measured: Calibration) -> None:
        assert measured.transition_ns > 2 * measured.predicted_return.ns
        assert measured.transition_ns > 10 * measured.ns_per_cycle

    def test_handlers_take_time(self, measured: Calibration) -> None:
        pread = measured.transition(Kind.PREAD)
        assert pread is not None
        assert pread.ns > measured.transition_ns

    def test_returns_take_nothing_away(self, measured: Calibration) -> None:
        for transition in measured.transitions:
            assert all(f.ns > 0.5 * transition.ns for f in transition.by_depth)

    def test_a_misprediction(self, measured: Calibration) -> None:
        assert measured.mispredicted_return.ns > 2 * measured.ns_per_cycle

    def test_a_clamp_delays_what_waits_for_it(self, measured: Calibration) -> None:
        """The conditional move takes a cycle."""
        assert measured.clamp_latency.ns > 0.5 * measured.ns_per_cycle
        assert measured.clamp_throughput.ns < measured.clamp_latency.ns + 5

    def test_a_lock(self, measured: Calibration) -> None:
        assert measured.locked_add.ns > measured.plain_add.ns


def test_in_another_thread() -> None:
    found: list[Calibration] = []
    thread = threading.Thread(target=lambda: found.append(measure(0.01)))
    thread.start()
    thread.join()
    assert found[0].measured


def test_where_generated_code_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, code: bytes) -> None:
        raise UbError("forbidden")

    monkeypatch.setattr(executable.Executable, "__init__", refuse)
    with pytest.raises(UbError, match="forbidden"):
        measure(0.01)


def test_where_files_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "devnull", "/nonexistent")
    with pytest.raises(UbError, match="cannot calibrate: No such file"):
        measure(0.01)


@pytest.mark.parametrize(("features", "refused"), [("shstk wrss", True), ("", False)])
def test_a_shadow_stack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, features: str, refused: bool
) -> None:
    status = tmp_path / "status"
    status.write_text(
        measuring._STATUS.read_text() + f"x86_Thread_features:\t{features}\n"
        "x86_Thread_features_locked:\tshstk wrss\n"
    )
    monkeypatch.setattr(measuring, "_STATUS", status)
    if refused:
        with pytest.raises(UbError, match="shadow stack"):
            measure(0.01)
    else:
        assert measure(0.01).measured
