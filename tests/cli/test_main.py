# SPDX-License-Identifier: GPL-2.0-only
"""The frame of every verb: help, errors, exit codes, never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ubypass.cli import main
from ubypass.cli.verbs import Verb
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
    verb = Verb("stats", "a played verb", lambda parser: None, run)
    monkeypatch.setattr(main, "_verb", lambda name: verb)


def test_help_lists_every_verb() -> None:
    done = _ub("--help")
    assert done.returncode == 0
    for verb in main.VERBS:
        assert verb in done.stdout.split()


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_has_help_that_fits(verb: str) -> None:
    done = _ub(verb, "--help", COLUMNS="80")
    assert done.returncode == 0
    assert done.stderr == ""
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


@pytest.mark.parametrize(
    "words", [["run"], ["stats"], ["explain", "1"], ["service", "status"]]
)
def test_a_verb_imports_no_other(words: list[str]) -> None:
    """Start-up time: nobody waits for what only another verb needs.

    Who asks a running engine needs none.
    """
    unwanted = ["capstone", "iced_x86", "rich.live", "ubypass.engine.engine"]
    code = (
        "import sys; from ubypass.cli.main import main\n"
        f"try: main({words})\n"
        "except SystemExit: pass\n"
        f"print([m for m in {unwanted} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


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


def _wrong_usage() -> list[tuple[str, ...]]:
    return [
        *(("fly",), ("stats", "1", "2"), ("run", "--zap"), ("run",)),
        *(("attach", ""), ("attach",), ("explain", ""), ("stats", "unit:")),
        *(("stats", "--interval", "x"), ("stats", "--watch", "--interval", "0")),
        *(("run", "--tune", "x=1", "true"), ("run", "--cap", "x=1", "true")),
        *(("translate", "/bin/true", "0", "--reach", "x"), ("translate", "/bin/true")),
        *(("coverage", "--blockers", "x", "/bin/true"), ("coverage",)),
        *(("lab", "run", "--timeout", "x", "true"), ("lab", "run", "--cpus", "0", "x")),
        *(("lab", "run", "--boot-timeout", "-1", "x"), ("lab",), ("bench",)),
        ("lab", "run", "--share", "/no/such", "true"),
        *(("bench", "server"), ("module",), ("module", "fly")),
        *(("service",), ("service", "fly"), ("service", "pause", "x")),
        *(("bench", "translate", "--builds", "-1"), ("bench", "replay")),
        *(
            ("bench", "server", server, option, "x")
            for server, option in (
                ("redis", "--requests"),
                ("redis", "--pipeline"),
                ("nginx", "--seconds"),
                ("nginx", "--workers"),
                ("rawsocket", "--size"),
                ("rawsocket", "--runs"),
                ("redis", "--cycles"),
            )
        ),
    ]


@pytest.mark.parametrize("words", _wrong_usage(), ids=" ".join)
def test_wrong_usage_is_exit_code_2_and_says_no_names_from_the_source(
    words: tuple[str, ...],
    ub: Callable[..., int],
    device: object,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ub(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage:" in err or err.startswith("ub: ")
    assert not re.search(r"\bint\b|float|parse|\b_\w|Traceback", err)


def test_alone_it_says_what_is_the_case() -> None:
    done = _ub()
    assert (done.returncode, done.stderr) == (0, "")
    assert "ub --help" in done.stdout
    assert json.loads(_ub("--json").stdout)["version"] == 1


@pytest.mark.parametrize("words", [("bench",), ("lab",), ("module",), ("service",)])
def test_a_verb_of_verbs_alone_shows_them(words: tuple[str, ...]) -> None:
    done = _ub(*words)
    assert done.returncode == 2
    assert done.stderr == _ub(*words, "--help").stdout


@pytest.mark.parametrize(
    "words",
    [
        *(("bench", verb) for verb in ("io", "functions", "translate", "gaps")),
        ("bench", "replay", "x"),
        ("bench", "server", "redis"),
        ("bench", "server", "nginx"),
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_found_out_first(
    words: tuple[str, ...], ub: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub(*words, "--json", "/etc/passwd/x") == 1
    assert capsys.readouterr().err == (
        "ub: cannot write /etc/passwd/x: /etc/passwd is not a directory\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("translate", "{}", "main"),
        ("coverage", "{}"),
        ("bench", "show", "{}"),
        ("bench", "replay", "{}"),
        ("bench", "results", "/dev/null", "{}"),
        ("module", "load", "--file", "{}"),
        ("lab", "run", "--disk", "{}", "--", "true"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero"])
def test_no_verb_reads_for_ever(
    words: tuple[str, ...],
    kind: str,
    tmp_path: Path,
) -> None:
    if kind == "fifo":
        kind = str(tmp_path / "fifo")
        os.mkfifo(kind)
    done = _ub(*(word.format(kind) for word in words))
    assert done.returncode == 1
    assert "not a regular file" in done.stderr
    assert "Error" not in done.stderr


def test_in_a_directory_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    command = f"{sys.executable} -m ubypass.cli.main"
    for words in ("lab run -- true", "module status", "doctor", "bench show x"):
        gone.mkdir()
        done = subprocess.run(
            ["sh", "-c", f"cd {gone}; rmdir {gone}; {command} {words}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "internal error" not in done.stderr
        assert "Traceback" not in done.stderr


def test_where_to_measure_is_said_with_the_same_words(
    ub: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if Path("/dev/ub").exists():
        pytest.skip("this machine has the module")
    words = ["bench", "server", "redis", "--size", "64"]
    monkeypatch.setattr(sys, "argv", ["ub", *words])
    for number in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda number=number: number)
        assert ub(*words) == 1
        assert capsys.readouterr().err.splitlines()[-1].strip() == (
            "ub lab run --icount -- ub bench server redis --size 64"
        )


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = f"{sys.executable} -m ubypass.cli.main doctor --json | head -c 1"
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""


def test_the_version_is_told() -> None:
    from ubypass.version import VERSION

    assert _ub("--version").stdout == f"ub {VERSION}\n"
