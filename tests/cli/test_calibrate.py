# SPDX-License-Identifier: GPL-2.0-only
"""``ub calibrate``: what is printed, kept, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from tests.calibrate.made import calibration, transition
from ubypass import calibrate, processor
from ubypass.calibrate import cache
from ubypass.calibrate.figures import DEPTHS, Calibration, Figure, Kind
from ubypass.errors import UbError

Ub = Callable[..., int]


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Calibration]:
    """Calibrations that seemed to be measured; each is another one."""
    made: list[Calibration] = []

    def measure() -> Calibration:
        made.append(calibration(rounds=1000 + len(made)))
        return made[-1]

    monkeypatch.setattr(calibrate, "measure", measure)
    monkeypatch.setattr(processor, "is_emulated", lambda: False)
    return made


def test_it_is_measured_once(
    ub: Ub, measured: list[Calibration], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("calibrate") == 0
    assert "measured now" in capsys.readouterr().out
    assert ub("calibrate") == 0
    assert "cached since this boot" in capsys.readouterr().out
    assert len(measured) == 1
    assert cache.found() == measured[0]
    assert ub("calibrate", "--again") == 0
    assert "1,001 rounds" in capsys.readouterr().out
    assert cache.found() == measured[1]


def test_for_machines(
    ub: Ub, measured: list[Calibration], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("calibrate", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["emulated"], data["kept"]) == (False, False)
    assert Calibration.from_data(data) == measured[0]
    assert ub("calibrate", "--json") == 0
    assert json.loads(capsys.readouterr().out)["kept"] is True


def test_every_figure_is_shown(
    ub: Ub, measured: list[Calibration], capsys: pytest.CaptureFixture[str]
) -> None:
    ub("calibrate")
    out = capsys.readouterr().out
    assert "Some Processor (?, family 1, model 2)" in out
    assert "4.00 GHz" in out
    assert "2.00 GHz" in out
    one = measured[0]
    for name in (field.name for field in fields(one)):
        figure = getattr(one, name)
        if isinstance(figure, Figure):
            assert f"{figure.ns:.3f}" in out
            assert f"{one.cycles(figure.ns):.2f}" in out
    for made in one.transitions:
        assert f"{made.ns:.1f}" in out
    assert f"+{DEPTHS[-1] * 4}.0" in out


@pytest.mark.parametrize("columns", ["40", "80", "200"])
@pytest.mark.parametrize("factor", [1, 10])
def test_it_fits_into_80_columns(
    ub: Ub,
    measured: list[Calibration],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: str,
    factor: int,
) -> None:
    slow = tuple(
        transition(kind, [factor * (1000.0 + 100 * depth) for depth in DEPTHS])
        for kind in Kind
    )
    cycle = Figure(30.0 * factor, 1.0 * factor)
    made = calibration(transitions=slow, cycle=cycle, mispredicted_return=cycle)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(cache, "found", lambda: made)
    assert ub("calibrate") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= max(80, int(columns))
    text = " ".join(lines)
    assert "\u2026" not in text
    assert f" {factor * 1000:,} " in text


def test_without_a_network(
    ub: Ub,
    measured: list[Calibration],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fewer = calibration(transitions=calibration().transitions[:-1])
    monkeypatch.setattr(cache, "found", lambda: fewer)
    assert ub("calibrate") == 0
    out = capsys.readouterr().out
    assert "pread" in out
    assert "UDP" not in out


def test_an_emulator_is_refused(
    ub: Ub,
    measured: list[Calibration],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(processor, "is_emulated", lambda: True)
    assert ub("calibrate") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "emulator" in err
    assert "are meaningless" in err
    assert "--anyway" in err
    assert not measured


def test_an_emulator_anyway(
    ub: Ub,
    measured: list[Calibration],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(processor, "is_emulated", lambda: True)
    assert ub("calibrate", "--anyway") == 0
    assert "the figures are meaningless" in capsys.readouterr().out
    assert ub("calibrate", "--anyway", "--json") == 0
    assert json.loads(capsys.readouterr().out)["emulated"] is True


def test_where_nothing_can_be_measured(
    ub: Ub,
    measured: list[Calibration],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse() -> Calibration:
        raise UbError("cannot run generated code in this process: denied", "SELinux")

    monkeypatch.setattr(calibrate, "measure", refuse)
    assert ub("calibrate") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "ub: cannot run generated code in this process: denied\n    SELinux\n"
    )


@pytest.mark.skipif(processor.is_emulated(), reason="it is refused there")
def test_this_cpu(ub: Ub, capsys: pytest.CaptureFixture[str]) -> None:
    assert ub("calibrate", "--json") == 0
    out, err = capsys.readouterr()
    assert Calibration.from_data(json.loads(out)).processor == processor.describe()
    assert err == ""
    assert ub("calibrate") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
