# SPDX-License-Identifier: GPL-2.0-only
"""The frame of every verb: help, errors, exit codes, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from ubypass.cli import main
from ubypass.errors import UbError


def _ub(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ubypass.cli.main", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )


def _play(monkeypatch: pytest.MonkeyPatch, run: Callable[[object], int]) -> None:
    verb = SimpleNamespace(
        NAME="stats", HELP="a played verb", configure=lambda parser: None, run=run
    )
    monkeypatch.setattr(main, "_verb", lambda name: verb)


def test_help_lists_every_verb() -> None:
    done = _ub("--help")
    assert done.returncode == 0
    for verb in main.VERBS:
        assert f" {verb} " in done.stdout


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_has_help_that_fits(verb: str) -> None:
    done = _ub(verb, "--help", COLUMNS="80")
    assert done.returncode == 0
    assert done.stderr == ""
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_a_verb_imports_no_other() -> None:
    """Start-up time: nobody waits for what only another verb needs."""
    code = (
        "import sys; from ubypass.cli.main import main\n"
        "try: main(['run'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('capstone', 'iced_x86', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_errors_for_people_have_a_line_and_a_hint(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ub: Callable[..., int],
) -> None:
    def run(args: object) -> int:
        raise UbError("it does not work", "turn it on", 5)

    _play(monkeypatch, run)
    assert ub("stats") == 5
    captured = capsys.readouterr()
    assert captured.err == "ub: it does not work\n    turn it on\n"
    assert captured.out == ""


def test_our_own_mistakes_are_one_line_unless_debugging(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ub: Callable[..., int],
) -> None:
    def run(args: object) -> int:
        raise ZeroDivisionError("oh")

    _play(monkeypatch, run)
    monkeypatch.delenv("UBYPASS_DEBUG", raising=False)
    assert ub("stats") == 70
    assert "internal error: ZeroDivisionError: oh" in capsys.readouterr().err
    monkeypatch.setenv("UBYPASS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        ub("stats")


def test_ctrl_c_is_quiet(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ub: Callable[..., int],
) -> None:
    def run(args: object) -> int:
        raise KeyboardInterrupt

    _play(monkeypatch, run)
    assert ub("stats") == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", [("fly",), (), ("stats", "1", "2"), ("run", "--zap")])
def test_wrong_usage_is_exit_code_2_and_no_traceback(words: tuple[str, ...]) -> None:
    done = _ub(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "usage:" in done.stderr or "hint" in done.stderr or "ub:" in done.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = f"{sys.executable} -m ubypass.cli.main doctor --json | head -c 1"
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert _ub("--version").stdout.strip() == f"ub {version('ubypass')}"
