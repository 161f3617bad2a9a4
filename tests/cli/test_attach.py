# SPDX-License-Identifier: GPL-2.0-only
"""``ub attach``: bad targets are refused clearly, and Ctrl-C lets go."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import TunableDevice
from tests.cli.gate import Gate, when
from tests.process.test_status import _kernel_thread
from tests.service.played import program, running

Ub = Callable[..., int]


@pytest.mark.parametrize(
    ("word", "text", "code"),
    [
        ("no-such-one", "no process has the name 'no-such-one'", 1),
        ("1.5", "no process has the name '1.5'", 1),
        ("no-such-one.service", "in the unit no-such-one.service", 1),
        ("", "names no process", 2),
        ("0", "positive", 1),
        ("4194305", "no process", 1),
        ("99999999999999999999", "no process", 1),
        ("ours", "itself", 1),
    ],
)
def test_bad_targets(
    ub: Ub, capsys: pytest.CaptureFixture[str], word: str, text: str, code: int
) -> None:
    # Not as a parameter: each process of a parallel test run has another number.
    assert ub("attach", str(os.getpid()) if word == "ours" else word) == code
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) <= 2


def test_a_kernel_thread(ub: Ub, capsys: pytest.CaptureFixture[str]) -> None:
    pid = _kernel_thread()
    if pid is None:
        pytest.skip("no kernel thread can be seen from this container")
    assert ub("attach", pid) == 1
    assert "kernel thread" in capsys.readouterr().err


def test_ctrl_c_detaches_and_the_program_goes_on(
    ub: Ub, device: TunableDevice, capfd: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        thread = when(
            lambda: device.observed, lambda: os.kill(os.getpid(), signal.SIGINT)
        )
        assert ub("attach", child.pid) == 0
        thread.join()
        assert child.poll() is None
        child.kill()
    assert device.detached == [1]
    err = capfd.readouterr().err
    assert "Ctrl-C" in err
    assert "dispatched" in err


def test_a_closed_terminal_ends_it_but_not_under_nohup(
    ub: Ub, device: TunableDevice, gate: Gate
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heard = threading.Event()

    def hang_up() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.5)  # if it were to end by that, it would now
        heard.set()

    try:
        with subprocess.Popen(["sh", "-c", gate.shell]) as child:
            when(lambda: device.observed, hang_up)
            gate.open_when(heard.is_set)
            assert ub("attach", "-q", child.pid) == 0
            assert child.wait(0) == 0  # it has ended by itself before
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_ends_with_the_program(ub: Ub, device: TunableDevice, gate: Gate) -> None:
    with subprocess.Popen(["sh", "-c", gate.shell]) as child:
        gate.open_when(lambda: device.observed)
        assert ub("attach", "-q", child.pid) == 0
        child.wait(60)
    assert device.detached == [1]


def _parent(gate: Gate) -> subprocess.Popen[str]:
    """A shell that waits for its child, which runs already and waits for the gate."""
    script = f'sh -c "echo ready; {gate.shell}" & wait'
    shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert shell.stdout is not None
    assert shell.stdout.readline() == "ready\n"
    return shell


def test_children_are_attached_if_asked_for(
    ub: Ub, device: TunableDevice, gate: Gate, capfd: pytest.CaptureFixture[str]
) -> None:
    with _parent(gate) as shell:
        gate.open_when(lambda: device.observed)
        assert ub("attach", shell.pid) == 0
    assert list(device.attached.values()) == [shell.pid]
    with _parent(gate) as shell:
        gate.open_when(lambda: len(device.observed) == 3)
        assert ub("attach", "--children", shell.pid) == 0
    assert len(device.attached) == 3
    assert "attached to its child" in capfd.readouterr().err
    assert not device.trusted


def test_trust_is_for_the_processes_that_are_named_and_for_children_if_asked_for(
    ub: Ub, device: TunableDevice, gate: Gate, capfd: pytest.CaptureFixture[str]
) -> None:
    with _parent(gate) as shell:
        gate.open_when(lambda: len(device.observed) == 2)
        assert ub("attach", "--trust", "--children", shell.pid) == 0
    assert device.trusted == set(device.attached.values())
    assert len(device.trusted) == 2
    assert "no protection of kernel memory" in capfd.readouterr().err


def test_several_programs_at_once(ub: Ub, device: TunableDevice, gate: Gate) -> None:
    with (
        subprocess.Popen(["sh", "-c", gate.shell]) as first,
        subprocess.Popen(["sh", "-c", gate.shell]) as second,
    ):
        gate.open_when(lambda: len(device.observed) == 2, programs=2)
        assert ub("attach", "-q", first.pid, second.pid, first.pid) == 0
    assert sorted(device.attached.values()) == sorted([first.pid, second.pid])
    assert sorted(device.detached) == [1, 2]


def test_a_program_that_ends_meanwhile_does_not_keep_others_native(
    ub: Ub,
    device: TunableDevice,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with (
        subprocess.Popen(["sleep", "60"]) as first,
        subprocess.Popen(["sh", "-c", gate.shell]) as second,
    ):
        attach = device.attach

        def attach_dying(pid: int, **how: bool) -> int:
            if pid == first.pid:
                first.kill()
                first.wait()
            return attach(pid, **how)

        monkeypatch.setattr(device, "attach", attach_dying)
        gate.open_when(lambda: 2 in device.observed)
        assert ub("attach", first.pid, second.pid) == 0
    assert sorted(device.detached) == [1, 2]
    assert f"process {first.pid} no longer exists" in capfd.readouterr().err


def test_all_of_a_name_are_attached(
    ub: Ub, device: TunableDevice, tmp_path: Path
) -> None:
    path = program(tmp_path, "ub-test-named")
    with running(path, 2) as children:
        pids = {child.pid for child in children}
        while any(os.readlink(f"/proc/{pid}/exe") != str(path) for pid in pids):
            time.sleep(0.01)
        thread = when(
            lambda: len(device.observed) == 2,
            lambda: os.kill(os.getpid(), signal.SIGINT),
        )
        # Twice the same is attached once.
        assert ub("attach", "-q", "ub-test-named", str(path)) == 0
        thread.join()
        assert set(device.attached.values()) == pids
