# SPDX-License-Identifier: GPL-2.0-only
"""``ub attach``: bad targets are refused clearly, and Ctrl-C lets go."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from tests.cli.conftest import TunableDevice
from tests.process.test_status import _kernel_thread

Ub = Callable[..., int]


@pytest.mark.parametrize(
    ("word", "text", "code"),
    [
        ("redis", "not a process id", 2),
        ("1.5", "not a process id", 2),
        ("", "not a process id", 2),
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

        def interrupt() -> None:
            while not device.attached:
                time.sleep(0.01)
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        assert ub("attach", child.pid) == 0
        thread.join()
        assert child.poll() is None
        child.kill()
    assert device.detached == [1]
    err = capfd.readouterr().err
    assert "Ctrl-C" in err
    assert "dispatched" in err


def test_a_closed_terminal_ends_it_but_not_under_nohup(
    ub: Ub, device: TunableDevice
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with subprocess.Popen(["sleep", "1"]) as child:

            def hang_up() -> None:
                while not device.attached:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGHUP)

            thread = threading.Thread(target=hang_up)
            thread.start()
            assert ub("attach", "-q", child.pid) == 0
            thread.join()
            assert child.wait(0) == 0  # it has ended by itself before
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_ends_with_the_program(ub: Ub, device: TunableDevice) -> None:
    with subprocess.Popen(["sleep", "0.5"]) as child:
        assert ub("attach", "-q", child.pid) == 0
        child.wait(5)
    assert device.detached == [1]


def test_children_are_attached_if_asked_for(
    ub: Ub, device: TunableDevice, capfd: pytest.CaptureFixture[str]
) -> None:
    script = ["sh", "-c", "sleep 1.5 & wait"]
    with subprocess.Popen(script) as shell:
        assert ub("attach", shell.pid) == 0
    assert list(device.attached.values()) == [shell.pid]
    with subprocess.Popen(script) as shell:
        assert ub("attach", "--children", shell.pid) == 0
    assert len(device.attached) == 3
    assert "attached to its child" in capfd.readouterr().err


def test_several_programs_at_once(ub: Ub, device: TunableDevice) -> None:
    with (
        subprocess.Popen(["sleep", "0.3"]) as first,
        subprocess.Popen(["sleep", "0.5"]) as second,
    ):
        assert ub("attach", "-q", first.pid, second.pid, first.pid) == 0
    assert sorted(device.attached.values()) == sorted([first.pid, second.pid])
    assert sorted(device.detached) == [1, 2]
