# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.process.tracepoints import PLACES, tracepoint_numbers

_NAMES = ("raw_syscalls/sys_enter", "raw_syscalls/sys_exit")


def _tree(root: Path) -> Path:
    for number, name in enumerate(_NAMES):
        folder = root / "events" / name
        folder.mkdir(parents=True)
        (folder / "id").write_text(f"{400 + number}\n")
    return root


def test_where_tracefs_is_mounted(tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert tracepoint_numbers(_NAMES, [other, _tree(tmp_path)]) == (400, 401)


def test_where_it_is_not_mounted_it_stays_so() -> None:
    """The host's own, or a line that says what to do."""
    before = Path("/proc/self/mountinfo").read_text()
    try:
        first, second = tracepoint_numbers(_NAMES)
    except UbError as error:
        pytest.skip(f"no tracefs: {error.message}")
    assert first > 0 < second
    assert first != second
    assert Path("/proc/self/mountinfo").read_text() == before


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="tracefs is not mounted") as caught:
        tracepoint_numbers(["no_such/event"], [tmp_path / "nowhere"])
    assert caught.value.hint
    with pytest.raises(UbError):
        tracepoint_numbers(["no_such/event"], PLACES)
