# SPDX-License-Identifier: GPL-2.0-only
"""``ub estimate``: what it says, and that programs go on as if nothing had been."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.estimate.subjects import (
    NO_PTRACE,
    NO_TRACEPOINTS,
    program,
    running,
    tracer_of,
)
from tests.estimate.test_reasons import SECCOMP
from tests.places import ROOT
from ubypass.cli import main, named
from ubypass.errors import UbError
from ubypass.estimate import estimate

_BRIEFLY = ("--seconds", "3")
_TRIES = 5


def _ub(*words: object) -> int:
    return main.main(["estimate", "--model", "zen4", *map(str, words)])


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 2
    return err


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (("--",), "no command given", 2),
        (("no-such-one",), "no process has the name", 1),
        (("7", "--", "true"), "both a process and a command", 2),
        (("0",), "positive", 1),
        (("4194305",), "no process", 1),
        (("--", "/no/such/program"), "not found", 127),
        (("--", "/etc/passwd"), "Permission denied", 126),
    ],
)
def test_bad_input(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], text: str, code: int
) -> None:
    assert _ub(*words) == code
    assert text in _said(capsys)


@pytest.mark.parametrize("word", ["0.1", "x", "4000", "nan"])
def test_bad_seconds(capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert _ub("--seconds", word, "7") == 2
    assert "seconds" in capsys.readouterr().err


def test_ourselves(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ub(os.getpid()) == 1
    assert "itself" in _said(capsys)


@NO_PTRACE
def test_who_is_traced(capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys, time; from ubypass.process.ptrace import Thread;"
        "t = Thread(int(sys.argv[1])); print('traced', flush=True); time.sleep(60)"
    )
    with running("pread") as subject:
        words = [sys.executable, "-c", code, str(subject.pid)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as tracer:
            assert tracer.stdout is not None
            tracer.stdout.readline()
            assert _ub(subject.pid) == 1
            assert f"is being traced by process {tracer.pid}" in _said(capsys)
            tracer.kill()
        assert subject.end() == "errors 0 turns some"


def test_who_is_confined(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [sys.executable, "-c", SECCOMP]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == b"ready\n"
        assert _ub(child.pid) == 1
        err = _said(capsys)
        assert "would not be boosted: its seccomp mode or filter" in err
        assert "--anyway" in err
        child.kill()


@NO_TRACEPOINTS
@NO_PTRACE
def test_a_program_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with running("pread") as subject:
        for _ in range(_TRIES):
            assert _ub(subject.pid, *_BRIEFLY) == 0
            assert tracer_of(subject.pid) == 0
            out = capsys.readouterr().out
            if not out.startswith("Unknown: "):
                break
        assert subject.end() == "errors 0 turns some"
    first = out.splitlines()[0]
    assert re.fullmatch(
        r"Boosting would save [\d.]+ to [\d.]+% of its CPU time "
        r"\(likely [\d.]+%\)\.",
        first,
    )
    assert "pread64 → pread64" in out
    assert "would be dispatched" in out
    assert "ub attach" in out
    assert max(map(len, out.splitlines())) <= 80


@NO_TRACEPOINTS
@NO_PTRACE
def test_a_program_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    with running("pread") as subject:
        assert _ub("--json", subject.pid, *_BRIEFLY) == 0
        assert subject.end() == "errors 0 turns some"
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert 0 < found["share"]["low"] < found["share"]["likely"] < 1
    assert found["model"]["name"] == "zen4"
    assert found["source"] == "tracepoints"
    (process,) = found["processes"]
    assert process["pid"] == subject.pid
    assert process["calls_counted_by"] == "kernel"
    site = process["sites"][0]
    assert (site["call"], site["following"]) == ("pread64", "pread64")
    assert "pread" in site["symbol"]
    assert site["verdict"] == "translated"
    assert site["share"]["likely"] == pytest.approx(found["share"]["likely"])
    assert site["calls_per_second"] == pytest.approx(
        process["calls_per_second"], rel=0.05
    )


@NO_TRACEPOINTS
@NO_PTRACE
def test_all_that_a_name_matches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running("idle") as first, running("idle") as second:
        found = [first.pid, 4194305, second.pid]
        monkeypatch.setattr(named, "processes", lambda word: found)
        assert _ub("idle", "--seconds", "0.5") == 1  # one of them is not there
        out, err = capsys.readouterr()
        assert _ub("idle", "--seconds", "0.5", "--json") == 1
        made = capsys.readouterr()
        monkeypatch.setattr(named, "processes", lambda word: [first.pid])
        assert _ub("idle", "--seconds", "0.5", "--json") == 0
        one = json.loads(capsys.readouterr().out)
        for subject in first, second:
            assert subject.end() == "errors 0 turns some"
    names = [line for line in out.splitlines() if line.startswith("Process ")]
    assert [line.split()[1] for line in names] == [str(first.pid), str(second.pid)]
    assert out.count("Nothing to gain: ") == 2
    assert "'idle' matches 3 processes: 0.5 s for each" in err
    assert "no process 4194305" in err
    assert "no process 4194305" in made.err
    both = json.loads(made.out)
    assert both.keys() == {"version", "matches"}
    assert both["version"] == one["version"]
    assert [each["pid"] for each in both["matches"]] == [first.pid, second.pid]
    for each in both["matches"]:
        assert each.keys() == {"pid", "name", *one}
        assert [process["pid"] for process in each["processes"]] == [each["pid"]]
        assert each["name"] == one["processes"][0]["name"]


@NO_TRACEPOINTS
@NO_PTRACE
def test_an_idle_program(capsys: pytest.CaptureFixture[str]) -> None:
    with running("idle") as subject:
        assert _ub(subject.pid, "--seconds", "1") == 0
        assert subject.end() == "errors 0 turns some"
    out = capsys.readouterr().out
    assert out.startswith("Nothing to gain: it used ")
    assert "leave the program native" in out


@NO_TRACEPOINTS
@NO_PTRACE
def test_without_tracepoints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        raise UbError("the kernel has none")

    monkeypatch.setattr(estimate, "Tracepoints", none)
    with running("pread") as subject:
        assert _ub(subject.pid, *_BRIEFLY, "--json") == 0
        said = capsys.readouterr()
        assert "tracing calls with ptrace, which is less precise" in said.err
        assert json.loads(said.out)["poorer_because"] == "the kernel has none"
        assert subject.end() == "errors 0 turns some"
    with running("getppid") as subject:
        # Nothing counts these calls.
        assert _ub(subject.pid, *_BRIEFLY) == 1
        assert "cannot count the calls of" in capsys.readouterr().err
        assert subject.end() == "errors 0 turns some"


@NO_TRACEPOINTS
@NO_PTRACE
def test_children(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sh", "-c", f"{program()} pread & {program()} pread & wait"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == [b"ready\n"] * 2
        # The two loops may leave no processor to step a whole gap in time.
        for _ in range(_TRIES):
            assert _ub(parent.pid, "--children", "--json", "--seconds", "4") == 0
            found = json.loads(capsys.readouterr().out)
            if found["share"]["likely"] > 0:
                break
        pids = [process["pid"] for process in found["processes"]]
        assert len(pids) == 3
        for pid in pids:
            if pid != parent.pid:
                os.kill(pid, signal.SIGTERM)
        said, _ = parent.communicate(timeout=30)
    assert said == b"errors 0 turns some\n" * 2
    assert found["share"]["likely"] > 0


@NO_TRACEPOINTS
@NO_PTRACE
def test_a_command_runs_on_to_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    code = f"'{program()}' ends; echo over"
    assert _ub("--seconds", "0.5", "--", "sh", "-c", code) == 0
    said = capfd.readouterr()
    assert said.out == "ready\nerrors 0 turns none\nover\n"
    assert said.err


def test_a_command_that_ends_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert _ub(*_BRIEFLY, "--", "sh", "-c", "exit 3") == 1
    assert "ended before it could be observed" in _said_fd(capfd)


def _said_fd(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().err


@NO_TRACEPOINTS
@NO_PTRACE
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
)
def test_however_ub_ends_the_program_goes_on(number: signal.Signals, code: int) -> None:
    with running("pread") as subject:
        words = [sys.executable, "-m", "ubypass.cli.main", "estimate"]
        words += ["--model", "zen4", str(subject.pid), "--seconds", "30"]
        with subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as ours:
            try:
                _until(lambda: _looks(ours.pid))
                ours.send_signal(number)
                out, err = ours.communicate(timeout=30)
            finally:
                ours.kill()
        assert ours.returncode == code
        assert (out, err) == ("", "")
        _until(lambda: _is_free(subject.pid))
        time.sleep(0.1)
        assert subject.status is None
        assert subject.end() == "errors 0 turns some"


def _looks(pid: int) -> bool:
    """Whether it steps, by a child that leads a session, or has a burst open."""
    folder = Path(f"/proc/{pid}")
    for child in (folder / "task" / str(pid) / "children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(child)) == int(child):
                return True
    for file in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "perf_event" in str(file.readlink()):
                return True
    return False


def _is_free(pid: int) -> bool:
    return not any(tracer_of(int(tid)) for tid in os.listdir(f"/proc/{pid}/task"))


def _until(seen: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.001)
