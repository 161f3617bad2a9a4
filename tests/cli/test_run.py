# SPDX-License-Identifier: GPL-2.0-only
"""``ub run``: the program must not notice, whatever happens to the engine."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import TunableDevice
from tests.cli.gate import Gate, when
from ubypass import processor
from ubypass.abi import ExitReason
from ubypass.device.types import Event, Stats
from ubypass.device.uapi import EventType, Tunable
from ubypass.engine import control
from ubypass.engine.admission import EMULATED_DISTINCT, AdmissionPolicy
from ubypass.errors import UbError
from ubypass.process import status

Ub = Callable[..., int]


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143)],
)
def test_the_exit_code_is_the_programs(
    device: TunableDevice, ub: Ub, command: str, code: int
) -> None:
    assert ub("run", "--", "sh", "-c", command) == code
    assert len(device.detached) == len(device.attached)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [("/no/such/program", 127, "not found"), ("/etc/passwd", 126, "Permission denied")],
)
def test_a_program_that_cannot_start(
    device: TunableDevice,
    ub: Ub,
    capsys: pytest.CaptureFixture[str],
    command: str,
    code: int,
    words: str,
) -> None:
    assert ub("run", "--", command) == code
    assert words in capsys.readouterr().err
    assert not device.attached


def test_without_a_command_nothing_starts(ub: Ub, device: TunableDevice) -> None:
    assert ub("run") == 2
    assert ub("run", "--") == 2


def test_a_missing_module_is_told_before_the_program_starts(
    ub: Ub,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from ubypass.cli import session

    def missing() -> None:
        raise UbError("the kernel module ub is not loaded", "ub module load")

    monkeypatch.setattr(session, "Device", missing)
    assert ub("run", "--", "touch", tmp_path / "started") == 1
    assert not (tmp_path / "started").exists()
    assert "ub module load" in capsys.readouterr().err


def test_output_is_the_programs_and_the_summary_goes_to_stderr(
    device: TunableDevice, ub: Ub, gate: Gate, capfd: pytest.CaptureFixture[str]
) -> None:
    gate.open_when(lambda: device.observed)
    script = f'echo "$@"; {gate.shell}'
    assert ub("run", "--", "sh", "-c", script, "sh", "--json", "hello") == 0
    captured = capfd.readouterr()
    assert captured.out == "--json hello\n"
    assert "system calls" in captured.err
    assert "engine" in captured.err


def test_quiet_is_quiet(
    device: TunableDevice, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ub("run", "-q", "--", "true") == 0
    assert capfd.readouterr() == ("", "")


def test_the_summary_for_machines(
    device: TunableDevice,
    ub: Ub,
    gate: Gate,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    gate.open_when(lambda: device.observed)
    device.counters = Stats(
        native=1, dispatched=99, runs=2, exits={ExitReason.FAULT: 2}, first_run_ns=1
    )
    file = tmp_path / "summary.json"
    script = f"{gate.shell}; sleep 0.2; exit 4"
    words = ["run", "--json", "--summary-file", file, "--", "sh", "-c", script]
    assert ub(*words) == 4
    data = json.loads(file.read_text())
    assert json.loads(capfd.readouterr().err) == data
    assert data["command"] == ["sh", "-c", script]
    assert data["exit_code"] == 4
    assert 0.2 <= data["seconds"] < 30
    assert data["engine_peak_bytes"] > 1 << 20
    (process,) = data["processes"]
    assert process["bypass_rate"] == 0.99
    assert process["exits"] == {"fault": 2}
    assert process["trusted"] is False
    assert not device.trusted


def test_a_summary_that_cannot_be_written_is_an_error(
    device: TunableDevice, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ub("run", "--summary-file", "/no/such/folder/x", "--", "true") == 1
    assert "cannot write /no/such/folder/x" in capfd.readouterr().err


@pytest.mark.parametrize("emulated", [False, True])
def test_gaps_are_traced_as_far_as_they_are_admitted(
    device: TunableDevice, ub: Ub, monkeypatch: pytest.MonkeyPatch, emulated: bool
) -> None:
    monkeypatch.setattr(processor, "is_emulated", lambda: emulated)
    assert ub("run", "--", "true") == 0
    most = EMULATED_DISTINCT if emulated else AdmissionPolicy().max_distinct
    assert device.tuned[Tunable.PATH_STEPS] == 2 * most
    assert ub("run", "--tune", "path_steps=9", "--", "true") == 0
    assert device.tuned[Tunable.PATH_STEPS] == 9


def test_tunables_are_set_and_nonsense_is_refused(
    device: TunableDevice, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        ub("run", "--tune", "hot_calls=7", "--tune", "gap_ns=0x10", "--", "true") == 0
    )
    assert device.tuned[Tunable.HOT_CALLS] == 7
    assert device.tuned[Tunable.GAP_NS] == 16
    for word in ("speed=1", "hot_calls=many", "hot_calls"):
        assert ub("run", "--tune", word, "--", "true") == 2
    assert "gap_ns" in capfd.readouterr().err


def test_ctrl_c_is_for_the_program(device: TunableDevice, ub: Ub) -> None:
    """The program gets it from the terminal; we wait for what it makes of it."""
    script = "trap 'exit 5' INT; kill -INT $PPID; kill -INT $$; sleep 1"
    assert ub("run", "-q", "--", "bash", "-c", script) == 5


def test_a_request_to_end_is_passed_on(
    device: TunableDevice, ub: Ub, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    script = f"trap 'exit 6' TERM; : > '{ready}'; while :; do sleep 0.05; done"
    thread = when(
        lambda: device.attached and ready.exists(),
        lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    assert ub("run", "-q", "--", "bash", "-c", script) == 6
    thread.join()


def _tell_of_children(device: TunableDevice) -> threading.Thread:
    """Play the module: say that there is a child as soon as there is one."""

    def tell() -> None:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            for proc, pid in list(device.attached.items()):
                for child in status.descendants(pid):
                    device.send(Event(EventType.FORK, proc, target=child))
                    return
            time.sleep(0.005)

    thread = threading.Thread(target=tell)
    thread.start()
    return thread


def test_children_of_the_command_are_attached_if_asked_for(
    device: TunableDevice, ub: Ub, gate: Gate
) -> None:
    thread = _tell_of_children(device)
    gate.open_when(lambda: len(device.attached) == 2)
    script = f'sh -c "{gate.shell}" & wait'
    assert ub("run", "-q", "--children", "--", "sh", "-c", script) == 0
    thread.join()
    assert len(device.attached) == 2
    assert len(device.followed) == 2


def test_what_the_command_leaves_behind_is_boosted_until_it_ends(
    device: TunableDevice, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    thread = _tell_of_children(device)
    began = time.monotonic()
    script = "sleep 1.5 >/dev/null 2>&1 & sleep 0.2; exit 3"
    assert ub("run", "--children", "--", "sh", "-c", script) == 3
    thread.join()
    assert time.monotonic() - began >= 1.5
    assert len(device.attached) == 2
    assert len(device.detached) == 2
    said = capfd.readouterr().err
    assert "sh has ended; 1 of its processes still run" in said


def test_ctrl_c_leaves_native_what_the_command_has_left_behind(
    device: TunableDevice, ub: Ub
) -> None:
    thread = _tell_of_children(device)
    script = "sleep 60 >/dev/null 2>&1 & sleep 0.2; exit 3"

    def stop() -> None:
        while len(device.detached) < 1:
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    stopper = threading.Thread(target=stop)
    stopper.start()
    began = time.monotonic()
    assert ub("run", "-q", "--children", "--", "sh", "-c", script) == 3
    thread.join()
    stopper.join()
    assert time.monotonic() - began < 30
    left = list(device.attached.values())[1]
    assert status.start_time(left) is not None
    os.kill(left, signal.SIGKILL)


def test_the_program_is_attached_before_it_does_anything(
    device: TunableDevice, ub: Ub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "began"
    seen = []
    attach = device.attach

    def late(pid: int, *, children: bool = False, trusted: bool = False) -> int:
        time.sleep(0.3)
        seen.append(mark.exists())
        return attach(pid, children=children)

    monkeypatch.setattr(device, "attach", late)
    assert ub("run", "-q", "--", "touch", mark) == 0
    assert seen == [False]
    assert mark.exists()


def test_signals_are_handled_as_before_afterwards(
    device: TunableDevice, ub: Ub
) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = [signal.getsignal(number) for number in numbers]
    assert ub("run", "-q", "--", "true") == 0
    assert [signal.getsignal(number) for number in numbers] == before


def test_the_program_does_not_inherit_our_signal_handling(
    device: TunableDevice, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ub("run", "-q", "--", "grep", "^SigIgn", "/proc/self/status") == 0
    ignored = int(capfd.readouterr().out.split()[1], 16)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE):
        assert not ignored >> (number - 1) & 1


def test_what_is_ignored_stays_so(
    device: TunableDevice, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    """As natively: nohup, and the background of a shell."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        assert ub("run", "-q", "--", "grep", "^SigIgn", "/proc/self/status") == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ignored = int(capfd.readouterr().out.split()[1], 16)
    assert all(ignored >> (number - 1) & 1 for number in numbers)


def test_the_program_has_no_descriptors_of_ours(
    device: TunableDevice, ub: Ub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ub("run", "-q", "--", "ls", "/proc/self/fd") == 0
    assert capfd.readouterr().out.split() == ["0", "1", "2", "3"]  # 3: ls's own


def test_an_attachment_that_is_refused_leaves_the_program_native(
    device: TunableDevice,
    ub: Ub,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuse(pid: int, *, children: bool = False, trusted: bool = False) -> int:
        raise UbError("process is attached already")

    monkeypatch.setattr(device, "attach", refuse)
    assert ub("run", "--", "sh", "-c", "sleep 0.3; exit 9") == 9
    assert "the program runs natively" in capfd.readouterr().err


def test_an_engine_that_breaks_leaves_the_program_native(
    device: TunableDevice,
    ub: Ub,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    broke = threading.Event()
    gate.open_when(broke.is_set)

    def broken() -> list[Event]:
        broke.set()
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(device, "events", broken)
    device.send(Event(EventType.HOT, proc=1, ip=0x1000))
    monkeypatch.delenv("UBYPASS_DEBUG", raising=False)
    assert ub("run", "--", "sh", "-c", f"{gate.shell}; exit 8") == 8
    err = capfd.readouterr().err
    assert "ZeroDivisionError" in err
    assert "natively" in err


def test_a_program_that_execs_another_is_attached_again(
    device: TunableDevice, ub: Ub, gate: Gate
) -> None:
    when(
        lambda: device.attached,
        lambda: device.send(Event(EventType.GONE, proc=1)),
    )
    gate.open_when(lambda: len(device.attached) == 2)
    script = f'exec sh -c "{gate.shell}"'
    assert ub("run", "-q", "--", "sh", "-c", script) == 0
    pids = list(device.attached.values())
    assert len(pids) == 2
    assert pids[0] == pids[1]


def test_a_trusted_program_stays_so_when_it_execs_another(
    device: TunableDevice, ub: Ub, gate: Gate, tmp_path: Path
) -> None:
    when(
        lambda: device.attached,
        lambda: device.send(Event(EventType.GONE, proc=1)),
    )
    gate.open_when(lambda: len(device.attached) == 2)
    file = tmp_path / "summary.json"
    words = ["--", "sh", "-c", f'exec sh -c "{gate.shell}"']
    assert ub("run", "-q", "--trust", "--summary-file", file, *words) == 0
    assert device.trusted == set(device.attached.values())
    data = json.loads(file.read_text())
    assert [process["trusted"] for process in data["processes"]] == [True, True]


def _leave(directory: Path) -> None:
    """Ask the engine, as ``ub module unload`` does."""
    answers, silent = control.ask_all({"ask": "leave"}, directory=directory)
    assert (len(answers), silent) == (1, [])


@pytest.mark.parametrize("options", [(), ("--children",)])
def test_when_the_module_is_unloaded_the_program_goes_on(
    device: TunableDevice,
    control_directory: Path,
    ub: Ub,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    closed = threading.Event()
    monkeypatch.setattr(device, "close", closed.set)
    when(lambda: device.attached, lambda: _leave(control_directory))
    # The program runs until the device is closed.
    gate.open_when(closed.is_set)
    assert ub("run", *options, "--", "sh", "-c", f"{gate.shell}; exit 5") == 5
    assert device.detached == list(device.attached)
    said = capfd.readouterr().err
    assert "the module is to be unloaded: all processes continue natively" in said
    assert "system calls" in said


@pytest.mark.parametrize("options", [(), ("--children",)])
def test_a_program_that_runs_natively_does_not_keep_the_module(
    device: TunableDevice,
    control_directory: Path,
    ub: Ub,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    refused, closed = threading.Event(), threading.Event()

    def refuse(pid: int, *, children: bool = False, trusted: bool = False) -> int:
        refused.set()
        raise UbError("process is attached already")

    monkeypatch.setattr(device, "attach", refuse)
    monkeypatch.setattr(device, "close", closed.set)
    if options:
        when(refused.is_set, lambda: _leave(control_directory))
    gate.open_when(closed.is_set)
    assert ub("run", "-q", *options, "--", "sh", "-c", f"{gate.shell}; exit 6") == 6
