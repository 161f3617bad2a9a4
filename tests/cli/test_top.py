# SPDX-License-Identifier: GPL-2.0-only
"""``ub top`` against a running engine; as a whole in a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.fakes import FakeDevice
from ubypass.cli import top
from ubypass.cli.rates import Rates
from ubypass.cli.top_screen import View

_ROW = Rates(4242, "looper", 100.0, 90.0, None, 1)

#: In a process of its own: it has a terminal, and engines are asked elsewhere.
_PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from ubypass.cli.main import main
from ubypass.engine import control
control.ask_all = partial(control.ask_all, directory=Path(sys.argv[1]))
sys.exit(main(["top", "--interval", "0.2"]))
"""


def _view() -> View:
    view = View()
    view.take([_ROW])
    return view


def test_no_terminal(
    ub: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("top") == 1
    said = capsys.readouterr().err
    assert "must be a terminal" in said
    assert "ub stats --watch" in said


def test_a_process_is_explained_and_left_again(running: FakeDevice) -> None:
    view = _view()
    top.press(view, "enter", page=10)
    assert view.page is not None
    assert any("dec rbx" in line for line in view.page)
    top.press(view, "page down", page=10)
    assert view.offset == 10
    top.press(view, "escape", page=10)
    assert view.page is None


def test_who_has_just_ended_cannot_be_explained(running: FakeDevice) -> None:
    view = View()
    view.take([Rates(4243, "gone", 0.0, 0.0, None, 0)])
    top.press(view, "enter", page=10)
    assert view.page is not None
    assert "4243" in view.page[0]


def test_a_process_is_detached_if_that_is_meant(running: FakeDevice) -> None:
    view = _view()
    top.press(view, "x", page=10)
    assert "detach process 4242?" in view.message
    top.press(view, "q", page=10)
    assert view.message == "not detached"
    assert not running.detached
    top.press(view, "x", page=10)
    top.press(view, "y", page=10)
    assert view.message == "detached process 4242, which now runs natively"
    assert running.detached
    top.press(view, "x", page=10)
    top.press(view, "y", page=10)
    assert view.message == "process 4242 is not attached"


def test_another_order() -> None:
    view = _view()
    top.press(view, "b", page=10)
    assert view.sort == "b"
    top.press(view, "?", page=10)
    assert view.sort == "b"


# ---- in a terminal ------------------------------------------------------------------


class _Terminal:
    """80x24, with ``ub top`` in it; ``seen``: all that it has written."""

    def __init__(self, directory: Path) -> None:
        self.person, self.side = pty.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.side)
        self.seen = ""
        self.child = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(directory)],
            stdin=self.side,
            stdout=self.side,
            stderr=self.side,
            env={**os.environ, "TERM": "xterm"},
            # As a shell starts it: in a group without a parent outside of it nobody
            # can be stopped by the terminal.
            process_group=0,
        )

    def resize(self, lines: int, columns: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, size)

    def until(self, pattern: str) -> bool:
        """Whether that was written in time; forgets what was before."""
        end = time.monotonic() + 60
        while not re.search(pattern, self.seen, re.DOTALL):
            if time.monotonic() > end:
                return False
            self.read(0.1)
        self.seen = ""
        return True

    def read(self, seconds: float) -> None:
        if select.select([self.person], [], [], seconds)[0]:
            self.seen += os.read(self.person, 1 << 16).decode()

    def type(self, keys: str) -> None:
        os.write(self.person, keys.encode())

    def stopped(self) -> bool:
        """Whether it is, in time."""
        state = Path(f"/proc/{self.child.pid}/stat")
        end = time.monotonic() + 60
        while state.read_text().rpartition(")")[2].split()[0] != "T":
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def ended(self) -> int:
        """Its exit status; reads on meanwhile, as a terminal does."""
        end = time.monotonic() + 60
        while self.child.poll() is None and time.monotonic() < end:
            self.read(0.05)
        self.read(0.05)
        return self.child.wait(1)


@pytest.fixture
def terminal(control_directory: Path) -> Iterator[_Terminal]:
    found = _Terminal(control_directory)
    yield found
    found.child.kill()
    found.child.wait()
    os.close(found.person)
    os.close(found.side)


_ENTERED, _LEFT = r"\x1b\[\?1049h", r"\x1b\[\?1049l"


def test_it_shows_what_runs_and_leaves_the_terminal_as_it_was(
    running: FakeDevice, terminal: _Terminal
) -> None:
    assert terminal.until(_ENTERED + r".*PID PROGRAM.*4242 looper \[x\]")
    terminal.type("\r")
    assert terminal.until(r"dec rbx")
    terminal.type("\x1b")
    assert terminal.until(r"PID PROGRAM")
    terminal.resize(12, 60)
    # The last line of 12: the keys, cut at column 60.
    assert terminal.until(r"sort: c d b s p")
    terminal.type("q")
    assert terminal.ended() == 0
    assert re.search(_LEFT, terminal.seen)
    assert termios.tcgetattr(terminal.side) == terminal.before


@pytest.mark.parametrize(
    ("by", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_signal_leaves_it_so_as_well(
    running: FakeDevice, terminal: _Terminal, by: int, status: int
) -> None:
    assert terminal.until("4242")
    terminal.child.send_signal(by)
    assert terminal.ended() in (status, -by)
    assert re.search(_LEFT, terminal.seen)
    assert termios.tcgetattr(terminal.side) == terminal.before


def test_it_may_be_stopped_and_go_on(running: FakeDevice, terminal: _Terminal) -> None:
    assert terminal.until("4242")
    terminal.type("\x1a")
    assert terminal.until(_LEFT)
    assert terminal.stopped()
    assert termios.tcgetattr(terminal.side) == terminal.before
    terminal.child.send_signal(signal.SIGCONT)
    assert terminal.until(_ENTERED + ".*4242")
    terminal.type("q")
    assert terminal.ended() == 0
