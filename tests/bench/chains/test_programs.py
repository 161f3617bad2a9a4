# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ubypass.bench.chains import programs
from ubypass.errors import UbError


def _listing() -> str:
    return subprocess.run(
        ["objdump", "-d", str(programs.replay_program())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_replay_keeps_its_hands_off_what_is_the_programs() -> None:
    text = _listing()
    assert "xrstor" in text
    for name in ("%xmm", "%ymm", "%fs:"):
        assert name not in text


def test_replay_lies_where_programs_do_not() -> None:
    first = re.search(r"^([0-9a-f]{16}) <", _listing(), re.MULTILINE)
    assert first is not None
    assert 0x7000_0000 <= int(first[1], 16) < 0x7100_0000


def test_replay_is_made_of_the_modules_own_code() -> None:
    text = _listing()
    for name in ("ub_trampoline", "ub_after", "ub_enter", "ub_leave", "ub_left"):
        assert f"<{name}>:" in text
    # What cannot run in user mode is not there.
    assert not re.search(r"\b(stac|clac)\b", text)


def test_buffers_are_cleared_last_on_the_way_in() -> None:
    text = _listing()
    entry = text[text.index("<ub_enter>:") :]
    code = [
        line.split("\t")[2].split()[0]
        for line in entry[: entry.index("\n\n")].splitlines()
        if line.count("\t") == 2
    ]
    # A test stands for what the kernel patches. Padding follows.
    last = len(code) - code[::-1].index("jmp")
    assert code[last - 5 : last] == ["jne", "jmp", "jmp", "verw", "jmp"]


def test_history_is_cleared_right_behind_a_run() -> None:
    text = _listing()
    leave, left = (
        text[text.index(f"<{name}>:") :].partition("\n\n")[0]
        for name in ("ub_leave", "ub_left")
    )
    assert re.findall(r"\b(?:call|jmp) .*<(\w+)>", leave) == ["ub_left"]
    # Whether it has to be is asked before anything is called.
    before, asked, behind = left.partition("<ub_shim_has+0x2>")
    assert asked
    assert "call" not in before
    assert behind.count("<ub_clear_history>") == 1


def test_tells_sizes_of_dispatches() -> None:
    out = subprocess.run(
        [str(programs.replay_program()), "sizes"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    plain, vector = (int(word) for word in out.split())
    assert 100 < plain < vector < 384


def test_capture_explains_itself() -> None:
    done = subprocess.run([str(programs.capture_program())], capture_output=True)
    assert done.returncode == 2
    assert b"usage" in done.stderr


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.capture_program.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UbError, match="gcc not found"):
        programs.capture_program()
