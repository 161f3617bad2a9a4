# SPDX-License-Identifier: GPL-2.0-only
"""``ub`` alone: right in each state, short, and never in the way."""

from __future__ import annotations

import json
import platform
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ubypass.cli import first
from ubypass.cli.main import VERBS
from ubypass.cli.module import files
from ubypass.engine import control
from ubypass.errors import UbError

Ub = Callable[..., int]


@pytest.fixture(autouse=True)
def _place(monkeypatch: pytest.MonkeyPatch, control_directory: Path) -> None:
    monkeypatch.setattr(control, "CONTROL_DIRECTORY", control_directory)


def _process(number: int, name: str = "redis-server") -> dict[str, Any]:
    return {
        "pid": 100 + number,
        "name": name,
        "calls": 1000,
        "dispatched": 900 + number,
        "bypass_rate": 0.9,
        "regions": 1,
        "notes": ["not shown"],
    }


def _module(state: str) -> dict[str, Any]:
    get = "apt install ubypass-dkms linux-headers-6.1.0-28-amd64"
    return {"state": state, "file": None, "get": get}


def _state(**changes: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "ub": "0.1.0",
        "kernel": "6.1.0-28-amd64",
        "machine": "x86_64",
        "packaged": False,
        "root": True,
        "module": _module("loaded"),
        "service": {"running": False, "configured": False},
        "boosted": [],
        "why": "",
        **changes,
    }


_STATES = [
    _state(),
    _state(module=_module("absent"), boosted=None, why="x" * 200),
    _state(module=_module("loadable")),
    _state(module=_module("absent"), packaged=True),
    _state(service={"running": None, "configured": True}),
    _state(kernel="6.1.0-" + "9" * 90),
    _state(
        boosted=[_process(n, "a-long-name-of-15") for n in range(9)],
        service={"running": True, "configured": True},
    ),
]


@pytest.mark.parametrize("state", _STATES)
def test_it_fits_a_terminal(state: dict[str, Any]) -> None:
    lines = first.screen(state)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    # Nothing is cut but what can be of any length.
    assert sum("…" in line for line in lines) <= 1


@pytest.mark.parametrize("state", _STATES)
def test_commands_exist(state: dict[str, Any]) -> None:
    text = "\n".join(first.screen(state))
    words = set(re.findall(r"\bub ([a-z]+)\b", text))
    assert {"estimate", "lab", "run", "top"} <= words
    assert words <= set(VERBS)


def test_the_next_step_is_that_of_the_state() -> None:
    absent, loadable = (
        "\n".join(first.screen(_state(module=_module(state))))
        for state in ("absent", "loadable")
    )
    loaded = "\n".join(first.screen(_state()))
    assert "ub module build" in absent
    assert "ub module load" in absent
    assert "ub module build" not in loadable
    assert "ub module load" in loadable
    assert "ub module" not in loaded
    assert "ub doctor" not in loaded


def test_the_next_step_is_that_of_the_package() -> None:
    module = _module("absent")
    text = "\n".join(first.screen(_state(module=module, packaged=True)))
    assert module["get"] in text
    assert "systemctl enable --now ubypass" in text
    assert "ub module build" not in text
    assert "ub service run" not in text


def test_boosted_programs_are_named() -> None:
    text = "\n".join(first.screen(_state(boosted=[_process(n) for n in range(5)])))
    assert "redis-server 100 (90%), redis-server 101" in text
    assert "and 3 more" in text


def test_engines_are_asked(
    ub: Ub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = {"processes": [_process(1), _process(2)]}
    monkeypatch.setattr(control, "ask_all", lambda question: ([answer], []))
    assert ub("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == first.STATE_VERSION
    assert found.keys() == _state().keys()
    assert found["kernel"] == platform.release()
    assert [process["pid"] for process in found["boosted"]] == [102, 101]
    assert found["boosted"][0].keys() == {
        "pid",
        "name",
        "calls",
        "dispatched",
        "bypass_rate",
        "regions",
    }


def test_who_is_silent_is_not_waited_for(
    ub: Ub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = threading.Event()

    def wait(question: object) -> tuple[list[Any], list[UbError]]:
        asked.wait(60)
        return [], []

    monkeypatch.setattr(control, "ask_all", wait)
    monkeypatch.setattr(first, "_ASK_SECONDS", 0.1)
    began = time.monotonic()
    assert ub() == 0
    assert time.monotonic() - began < 30
    assert "engines are busy" in capsys.readouterr().out
    asked.set()


def test_without_permission_it_says_so(
    ub: Ub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(question: object) -> None:
        raise UbError("no permission to read /run/ubypass")

    monkeypatch.setattr(control, "ask_all", refuse)
    assert ub() == 0
    assert "no permission to read" in capsys.readouterr().out


def test_a_service_is_seen(control_directory: Path) -> None:
    assert first.state()["service"]["running"] is False
    control_directory.mkdir(mode=0o700)
    (control_directory / "service").symlink_to("1.1.sock")
    assert first.state()["service"]["running"] is True


def test_the_module_of_a_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LOADED", tmp_path / "loaded")
    assert first._module("0.0.0-none")["state"] == "absent"
    (tmp_path / "loaded").mkdir()
    assert first._module("0.0.0-none")["state"] == "loaded"
