# SPDX-License-Identifier: GPL-2.0-only
"""Whoever is asked to end leaves nothing behind, whatever the verb."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.test_child import is_gone
from ubypass.cli.signals import orderly_end

#: A verb that has a server, a load and a directory, and says which. If it is "slow",
#: its cleaning waits for a line.
_BUSY = """
import sys, time
from ubypass.bench.server.process import free_port, home, running, started
from ubypass.cli import main
from ubypass.cli.verbs import Verb
def run(args):
    with home("test") as directory:
        port = free_port()
        server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
        with started([*server, str(port)], port, directory) as pid:
            with running(["sleep", "600"]):
                try:
                    print(directory, pid, flush=True)
                    time.sleep(600)
                finally:
                    if sys.argv[1:] == ["slow"]:
                        print("cleaning", flush=True)
                        sys.stdin.readline()
main._verb = lambda name: Verb("stats", "", lambda parser: None, run)
sys.exit(main.main(["stats"]))
"""


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _start(
    words: Sequence[str] = (), arguments: Sequence[str] = (), **options: object
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*words, sys.executable, "-c", _BUSY, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def _is_clean(directory: str, children: Sequence[int]) -> bool:
    return not Path(directory).exists() and all(is_gone(pid) for pid in children)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_servers_loads_and_directories_are_cleaned(number: signal.Signals) -> None:
    with _start(arguments=["slow"], stdin=subprocess.PIPE) as ub:
        assert ub.stdout is not None
        assert ub.stdin is not None
        directory, server = ub.stdout.readline().split()
        children = _children(ub.pid)
        assert int(server) in children
        assert len(children) == 2
        ub.send_signal(number)
        assert ub.stdout.readline() == "cleaning\n"
        if number is not signal.SIGINT:
            ub.send_signal(number)  # the second one must not end the cleaning
        ub.stdin.write("\n")
        ub.stdin.flush()
        assert ub.wait(30) == 128 + number
    assert _is_clean(directory, children)


def test_a_terminal_that_closes() -> None:
    ours, theirs = pty.openpty()
    # setsid: only then does the terminal become the one that controls it.
    with _start(["setsid", "-c"], stdin=theirs, stderr=theirs) as ub:
        os.close(theirs)
        assert ub.stdout is not None
        directory, _ = ub.stdout.readline().split()
        children = _children(ub.pid)
        os.close(ours)
        assert ub.wait(30) == 128 + signal.SIGHUP
    assert _is_clean(directory, children)


def test_timeout_and_its_like() -> None:
    with _start(["timeout", "4"]) as ub:
        assert ub.stdout is not None
        directory, server = ub.stdout.readline().split()
        assert ub.wait(30) == 124
    assert _is_clean(directory, [int(server)])


def test_killed_outright_no_program_is_left() -> None:
    with _start() as ub:
        assert ub.stdout is not None
        directory, _ = ub.stdout.readline().split()
        children = _children(ub.pid)
        ub.kill()
    assert all(is_gone(pid) for pid in children)
    subprocess.run(["rm", "-r", directory], check=True)


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with orderly_end():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with orderly_end():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_real_verb_ends_with_its_children() -> None:
    """``ub bench functions`` measures in processes of its own."""
    command = [sys.executable, "-m", "ubypass.cli.main", "bench", "functions"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as ub:
        deadline = time.monotonic() + 60
        while not (children := _children(ub.pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert children
        ub.send_signal(signal.SIGTERM)
        assert ub.wait(30) == 143
        assert ub.stderr is not None
        assert b"Traceback" not in ub.stderr.read()
    assert all(is_gone(pid) for pid in children)
