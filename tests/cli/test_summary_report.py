# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ubypass.cli.summary_report import print_report, say
from ubypass.engine.summary import Summary

_PROCESS = Summary(7, "one", alive=False, notes=("a note",)).as_json()


def _print(*processes: Any, **changes: Any) -> None:
    options: dict[str, Any] = {
        "peak": 3 << 20,
        "by_service": False,
        "as_json": False,
        "file": None,
        "quiet": False,
        "extra": {"seconds": 1},
    }
    print_report(processes, **{**options, **changes})


def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    _print(_PROCESS)
    own = capsys.readouterr().err
    assert own.startswith("ub: process 7 (one)\n")
    assert "engine        3 MiB peak memory" in own
    assert own.endswith("a note\n")
    _print(_PROCESS, left_out=1234)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "ub: 1,234 more processes were boosted before these"
    _print(_PROCESS, by_service=True)
    assert "engine        of the service, 3 MiB" in capsys.readouterr().err


def test_for_machines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    _print(_PROCESS, as_json=True, file=str(file), by_service=True)
    data = json.loads(capsys.readouterr().err)
    assert data == json.loads(file.read_text())
    assert (data["version"], data["seconds"], data["by_service"]) == (1, 1, True)
    assert data["processes"] == [_PROCESS]


def test_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    _print()
    _print(by_service=True)
    _print(quiet=True)
    say("so")
    assert capsys.readouterr().err.splitlines() == [
        "ub: the program ended before it was attached",
        "ub: the service attached no process",
        "ub: so",
    ]
