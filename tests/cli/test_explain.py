# SPDX-License-Identifier: GPL-2.0-only
"""What ``ub explain`` prints, with an engine that is played."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from ubypass.cli import explain
from ubypass.engine import control


def _shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **answer: Any
) -> str:
    site = {
        "address": 0x1002,
        "symbol": "read",
        "nr": 0,
        "decision": "boosted",
        "native_ns": 376,
        "boosted_ns": 504,
        "overhead_ns": 210,
        "calls_per_run": 17.0,
        "saved_per_gap_ns": 149.0,
        "saved_per_run_ns": 2443.0,
    }
    process = {
        "pid": 7,
        "name": "server",
        "reason": None,
        "hint": None,
        "filtered": 0,
        "trusted": False,
        "sites": [site],
        "regions": [],
        **answer,
    }
    monkeypatch.setattr(control, "ask_all", lambda question: ([process], []))
    args = argparse.Namespace(
        id="7",
        json=False,
        html=None,
        sites=not process["regions"],
        exits=True,
    )
    assert explain.run(args) == 0
    return capsys.readouterr().out


def test_times_of_the_clock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _shown(monkeypatch, capsys, priced_by="clock")
    assert "2,443" in text
    assert "model" not in text


def test_a_trusted_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "trusted" not in _shown(monkeypatch, capsys, priced_by="clock")
    text = _shown(monkeypatch, capsys, priced_by="clock", trusted=True)
    assert "trusted: no protection of kernel memory" in text


def test_what_a_filter_keeps_native(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _shown(monkeypatch, capsys, priced_by="clock", filtered=1234)
    assert "1,234 calls were made natively" in text
    assert "seccomp filter" in text


def test_a_gain_by_a_model_is_labelled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _shown(monkeypatch, capsys, priced_by="zen4")
    assert "GAIN from the model zen4" in text
    assert max(map(len, text.splitlines())) <= 80


def test_registers_that_hold_no_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    region = {
        **{"region": 3, "pid": 7, "name": "server", "instructions": 5},
        **{"source_bytes": 9, "code_bytes": 99, "dispatched": 1, "runs": 1},
        **{"exits": []},
        "nonpointers": [
            {"address": 0x1002, "symbol": "copy+0x2", "registers": ["rbx", "r12"]}
        ],
    }
    text = _shown(monkeypatch, capsys, priced_by="clock", regions=[region])
    assert "NO ADDRESS IN" in text
    assert "rbx r12" in text
    assert "copy+0x2" in text
