# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ubypass.bench.chains import dd
from ubypass.errors import UbError


def test_copies_without_end_and_leaves_nothing() -> None:
    with dd.copying() as pid:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        assert f"bs={dd.BLOCK}" in words
        (file,) = (Path(word[3:]) for word in words if word.startswith("if="))
        first = dd._position(pid)
        while dd._position(pid) == first:
            time.sleep(0.01)
        assert dd._position(pid) % dd.BLOCK == 0
    assert not file.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_time_of_a_block() -> None:
    assert dd.block_ns() > 0


def test_one_that_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "dd"
    fake.write_text("#!/bin/sh\necho no blocks today >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with (
        pytest.raises(UbError, match="dd does not start: no blocks today"),
        dd.copying(),
    ):
        pass


def test_one_that_ended() -> None:
    with pytest.raises(UbError, match="ended unexpectedly"):
        dd._position(1 << 22)
