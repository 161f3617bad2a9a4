# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from ubypass.cli import selftest
from ubypass.cli.selftest import Copied, judge
from ubypass.device import client

_GOOD = Copied(calls=200_000, dispatched=150_000, status=0, right=True)


def _bad(**changes: Any) -> selftest.Tested:
    values = {"calls": 200_000, "dispatched": 150_000, "status": 0, "right": True}
    return judge([_GOOD, Copied(**{**values, **changes})], 300_000, [])


def test_all_is_well() -> None:
    found = judge([_GOOD, _GOOD], 300_000, [])
    assert found.ok
    assert "300,000 of 400,000 calls" in found.words
    assert found.hint == ""


def test_a_wrong_byte_is_a_failure_whatever_else_is_right() -> None:
    found = _bad(right=False)
    assert not found.ok
    assert "differs" in found.words
    assert "ub module unload" in found.hint


def test_the_program_fails() -> None:
    found = _bad(status=1)
    assert not found.ok
    assert "status 1" in found.words


def test_nothing_was_boosted() -> None:
    found = _bad(dispatched=7, notes=("it loses",))
    assert not found.ok
    assert found.words == (
        "only 150,007 of 300,000 calls were dispatched in the kernel: it loses"
    )


def test_a_complaint_of_the_kernel_comes_first() -> None:
    found = judge([_GOOD], 1, ["warning"])
    assert not found.ok
    assert "warning" in found.words


def test_the_kernel_s_own_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tainted = tmp_path / "tainted"
    monkeypatch.setattr(selftest, "_TAINTED", tainted)
    tainted.write_text("12288\n")  # an unsigned module from out of the tree
    assert selftest._complaints() == set()
    tainted.write_text(f"{12288 | 1 << 9}\n")
    assert selftest._complaints() == {"warning"}


def test_no_module(
    ub: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert ub("selftest") == 1
    assert "ub module load" in capsys.readouterr().err


def test_copies_grow_until_enough_was_dispatched(
    ub: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def copy(directory: Path, size: int) -> Copied:
        assert directory.is_dir()
        sizes.append(size)
        return Copied(size // 2, size // 16, 0, True)

    monkeypatch.setattr(client, "Device", nullcontext)
    monkeypatch.setattr(selftest, "_copy", copy)
    assert ub("selftest", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert found["dispatched"] == (5 << 20) // 16
    assert sizes == [1 << 20, 1 << 22]
    assert ub("selftest", "--calls", "10000000") == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_program_that_could_not_be_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(selftest.UbError, match=r"failed \(status 1\)"):
        selftest._copy(tmp_path, 16)
