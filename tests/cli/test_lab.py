# SPDX-License-Identifier: GPL-2.0-only
import argparse
import io
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ubypass.cli import lab, main
from ubypass.cli.lab import run as lab_run
from ubypass.cli.options import LAB_COMMAND
from ubypass.errors import UbError
from ubypass.lab import kernels
from ubypass.lab.options import LabOptions, LabResult


def _parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    lab.VERB.configure(parser)
    return parser.parse_args(words)


def _run(*words: str) -> int:
    args = _parsed(*words)
    status: int = args.run(args)
    return status


class _Guest:
    """Stands for the machine: keeps what it was asked, returns what it was told."""

    def __init__(self, status: int = 0, problems: tuple[str, ...] = ()) -> None:
        self.result = LabResult(status, b"", b"", problems, "", 1.0)
        self.command: list[str] = []
        self.options = LabOptions()
        self.stdin: int | None = None

    def __call__(
        self, command: list[str], options: LabOptions, **more: Any
    ) -> LabResult:
        more["report"]("booting")
        more["report"]("")
        self.command, self.options, self.stdin = command, options, more["stdin"]
        return self.result


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> _Guest:
    guest = _Guest()
    monkeypatch.setattr(lab_run, "run_in_guest", guest)
    return guest


def test_the_command_keeps_its_own_options(guest: _Guest) -> None:
    assert _run("run", "--icount", "--", "ls", "--kernel", "-l") == 0
    assert guest.command == ["ls", "--kernel", "-l"]
    assert guest.options.icount
    assert guest.options.kernel is None


def test_every_option_arrives(guest: _Guest, tmp_path: Path) -> None:
    words = ["run", "--kernel", "6.1.0-1-amd64", "--cpus", "1", "--memory", "1G"]
    words += ["--suite", "trixie", "--cpu", "EPYC-Milan", "--pti", "off"]
    words += ["--mitigations", "auto,nosmt"]
    words += ["--append", "a=1", "--append", "b", "--disk", "1G", "--timeout", "2.5"]
    words += ["--boot-timeout", "7", "--no-log-check", "--share", str(tmp_path)]
    _run(*words, "--", "true")
    assert guest.options == LabOptions(
        kernel="6.1.0-1-amd64",
        suite="trixie",
        cpus=1,
        cpu="EPYC-Milan",
        pti=False,
        mitigations="auto,nosmt",
        memory="1G",
        append=("a=1", "b"),
        disk="1G",
        timeout=2.5,
        boot_timeout=7.0,
        log_check=False,
        share=(tmp_path,),
        environment={LAB_COMMAND: "ub lab run"},
    )


@pytest.mark.parametrize("separator", [("--",), ()])
def test_the_guest_knows_by_which_command_it_runs(
    guest: _Guest, monkeypatch: pytest.MonkeyPatch, separator: tuple[str, ...]
) -> None:
    words = ["run", "--icount", "--cpu", "max,-erms", *separator, "ls", "-l"]
    if not separator:
        words.pop()
    monkeypatch.setattr("sys.argv", ["/somewhere/ub", "lab", *words])
    _run(*words)
    known = guest.options.environment[LAB_COMMAND]
    assert known == "ub lab run --icount --cpu max,-erms"


def test_the_command_s_status_is_returned(guest: _Guest) -> None:
    guest.result = LabResult(42, b"", b"", (), "", 1.0)
    assert _run("run", "--", "x") == 42


def test_kernel_complaints_are_printed_and_fail(
    guest: _Guest, capsys: pytest.CaptureFixture[str]
) -> None:
    guest.result = LabResult(0, b"", b"", ("BUG: x",), "", 1.0)
    assert _run("run", "--", "x") == 70
    err = capsys.readouterr().err
    assert "kernel: BUG: x\n" in err
    # Without a terminal progress is plain lines, and an end is none.
    assert "lab: booting\n" in err
    assert "lab: \n" not in err


def test_standard_input_is_passed_unless_it_is_a_terminal(
    guest: _Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stdin", terminal)
    _run("run", "--", "x")
    assert guest.stdin == 0
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    _run("run", "--", "x")
    assert guest.stdin is None


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "--cpus", "0", "--", "x"],
        ["run", "--cpus", "many", "--", "x"],
        ["run", "--pti", "maybe", "--", "x"],
        ["run", "--timeout", "0", "--", "x"],
        ["run", "--timeout", "nan", "--", "x"],
        [],
    ],
)
def test_nonsense_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _parsed(*words)
    assert "usage:" in capsys.readouterr().err


@pytest.mark.usefixtures("guest")
def test_sharing_what_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="not a directory"):
        _run("run", "--share", str(tmp_path / "no"), "--", "x")


@pytest.mark.usefixtures("guest")
def test_mitigations_the_kernel_does_not_have() -> None:
    with pytest.raises(UbError, match="unknown mitigations 'some'"):
        _run("run", "--mitigations", "some", "--", "x")


def test_a_cpu_that_qemu_does_not_have_costs_no_boot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "fetch_kernel", lambda *_, **__: pytest.fail("booted"))
    with pytest.raises(UbError, match="no CPU model 'Pentium9'"):
        _run("run", "--cpu", "Pentium9", "--", "x")


def test_kernels_lists_the_cache(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path))
    for release in "6.1.0-10-amd64", "6.1.0-9-amd64":
        (tmp_path / "kernels" / release / "image").mkdir(parents=True)
    assert _run("kernels") == 0
    assert capsys.readouterr().out == "6.1.0-9-amd64\n6.1.0-10-amd64\n"


def test_a_terminated_run_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned = []

    def killed(*_: object, **__: object) -> LabResult:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("the signal was ignored")
        finally:
            cleaned.append(True)

    monkeypatch.setattr(lab_run, "run_in_guest", killed)
    assert main.main(["lab", "run", "--", "x"]) == 128 + signal.SIGTERM
    assert cleaned
