# SPDX-License-Identifier: GPL-2.0-only
"""One clear line each, a status that is not zero, and nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest.conftest import Guest

# Stands for the number of this process, which names no test.
_OWN_PID = "OWN-PID"
_WORDS = {
    "no-number": "no process has the name '12x'",
    "negative": "positive",
    "dead": "no process",
    "kernel-thread": "kernel thread",
    "32-bit": "32-bit",
    "no-root": "permission",
    "no-root-run": "permission",
    "no-such-command": "not found",
    "no-command": "no command",
    "bad-tunable": "speed",
}


@pytest.mark.guest
@pytest.mark.guest("bad-input")
@pytest.mark.parametrize("what", list(_WORDS))
def test_with_the_module(guest: Guest, what: str) -> None:
    answer = guest.result("bad-input")["answers"][what]
    clear(answer["status"], answer["stdout"], answer["stderr"], _WORDS[what])


@pytest.mark.guest
@pytest.mark.guest("bad-input")
def test_nothing_changed(guest: Guest) -> None:
    result = guest.result("bad-input")
    assert set(result["answers"]) == set(_WORDS)
    assert result["attached"] == 0
    assert result["still_running"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "--", "true"], "module"),
        (["attach", _OWN_PID], "module"),
        (["attach", "99999999"], "no process 99999999"),
        (["attach", "x"], "no process has the name 'x'"),
        (["translate", "/bin/true", "0x10"], "is not code"),
        (["translate", "/bin/true", "nonsense"], "nonsense"),
        (["translate", "/etc/passwd", "0x10"], "ELF"),
        (["translate", "/nonexistent", "0x10"], "/nonexistent"),
        (["module", "load", "--file", "/nonexistent.ko"], "/nonexistent.ko"),
        (["module", "build", "--kernel", "../x"], "not a kernel release"),
        (["module", "build", "--kernel", "0.1.2-none"], "0.1.2-none"),
        (["lab", "run", "--kernel", "0.1.2-none", "--", "true"], "0.1.2-none"),
        (["bench", "io"], "ub_bench"),
        (["bench", "show", "/etc/passwd"], "no records"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)
def test_on_the_host(arguments: list[str], word: str) -> None:
    if Path("/dev/ub").exists():
        pytest.skip("this machine has the module: other answers are right here")
    words = [str(os.getpid()) if each == _OWN_PID else each for each in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "ubypass.cli.main", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    clear(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), word)


def clear(status: int, stdout: list[str], stderr: list[str], word: str) -> None:
    assert status != 0
    assert stdout == []
    ours = [line for line in stderr if not line.startswith(("lab: ", "module: "))]
    # The line, and perhaps one more with the way out.
    assert 1 <= len(ours) <= 2, stderr
    assert ours[0].startswith("ub: ")
    assert word in ours[0]
    assert all(line.startswith("    ") for line in ours[1:])
