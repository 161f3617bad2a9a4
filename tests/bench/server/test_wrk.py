# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.bench.server import wrk
from ubypass.bench.server.measure import Checked, Load
from ubypass.errors import UbError

_SAID = '{"requests": 9, "microseconds": 2, "checked": 8, "wrong": 1, "errors": 3}'


def test_what_wrk_says() -> None:
    assert wrk.read_load(f"Running\n{_SAID}\n") == (Load(9, 2000, Checked(8, 1)), 3)
    with pytest.raises(UbError, match="no result"):
        wrk.read_load("unable to connect")


def test_failed_replies_are_wrong_ones(tmp_path: Path) -> None:
    fake = tmp_path / "wrk"
    fake.write_text(
        f"#!/bin/sh\ntrap 'echo '\\''{_SAID}'\\''; exit 0' INT\n"
        "while :; do sleep 0.05; done\n"
    )
    fake.chmod(0o755)
    assert wrk.load([str(fake)], 0.1) == Load(9, 2000, Checked(11, 4))


def test_its_command() -> None:
    command = wrk.load_command(8080, Path("/srv/4k.html"), 8)
    assert command[-3:] == ["http://127.0.0.1:8080/4k.html", "--", "/srv/4k.html"]
    assert command[command.index("-c") + 1] == "8"


def test_without_wrk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(UbError, match="wrk is not installed"):
        wrk.load_command(8080, Path("file"), 8)
