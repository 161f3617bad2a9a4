# SPDX-License-Identifier: GPL-2.0-only
"""A program in a file whose server, in user space, does not answer any more.

What the program does then, and what everybody does who has to do with it: the engine
that boosts it, and another program as well; whoever asks; who unloads the module.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.guest.cases import DATA_FILE
from tests.guest.command import attached, run_ub
from tests.guest.program import ACT, END, PROGRAMS, Program
from tests.guest.waiting import TUNE, UB, wait
from tests.kernel.handmade import translation
from ubypass.device.client import Device, SourceChanged
from ubypass.process.elf import open_elf
from ubypass.process.maps import read_maps

__all__ = ["CASES"]

_TAIL = 1 << 18  # bytes behind the program, in no page that anybody has read
_CALLS = 1000
_PAUSE = 0.5
_HUNG_TASKS = Path("/proc/sys/kernel/hung_task_timeout_secs")


@contextlib.contextmanager
def _unreported() -> Iterator[None]:
    """The kernel does not complain of who waits for the server for long.

    Natively the program does; so does a child of ``ub explain`` that is left behind.
    """
    before = _HUNG_TASKS.read_text()
    _HUNG_TASKS.write_text("0")
    try:
        yield
    finally:
        _HUNG_TASKS.write_text(before)


@_unreported()
def _case(kind: str) -> dict[str, Any]:
    """What needs the server is code (``text``), or a dispatched ``read``."""
    with (
        _server() as server,
        Program("file", kind, home=server.directory) as program,
        contextlib.closing(server),
    ):
        wait(lambda: program.is_warm)
        native = _play(server, program)
    with (
        _server() as server,
        Program("file", kind, home=server.directory) as program,
        Program("spin", DATA_FILE) as other,
        contextlib.closing(server),
    ):
        wait(lambda: program.is_warm and other.is_warm)
        missing = False
        if kind == "text":
            server.hang()
            missing = _is_refused(program.pid)
        with _engine(program, other) as engine:
            boosted = _boosted([program, other])
            server.hang()
            program.stage(ACT)
            stuck = _is_stuck(program)
            asked = [run_ub("stats"), run_ub("explain", str(program.pid))]
            goes_on = _boosted([other])
            engine.send_signal(signal.SIGINT)
            left = wait(lambda: engine.poll() is not None)
        detached = wait(lambda: attached() == 0)
        unloaded = [run_ub("module", "unload", "--seconds", "10")]
        outcome = _play(server, program)
        unloaded += [run_ub("module", "unload"), run_ub("module", "load")]
        other.stage(END)
        wait(lambda: other.ended)
        others_outcome = other.outcome()
        pid = program.pid
    return {
        "pid": pid,
        "native": native,
        "missing": missing,
        "boosted": boosted,
        "stuck": stuck,
        "asked": asked,
        "goes_on": goes_on,
        "left": left,
        "detached": detached,
        "unloaded": unloaded,
        "outcome": outcome,
        "other": others_outcome,
    }


CASES = {f"hung-{kind}": partial(_case, kind) for kind in ("text", "read")}


class _Server:
    """The file system, with the program as its only file."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self.directory = directory

    def hang(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGUSR2)

    def close(self) -> None:
        """No program can end while it waits."""
        self.resume()


@contextlib.contextmanager
def _server() -> Iterator[_Server]:
    subprocess.run(["modprobe", "fuse"], check=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as work:
        file = Path(work, "program")
        file.write_bytes((PROGRAMS / "hung").read_bytes() + bytes(_TAIL))
        directory = Path(work, "mount")
        directory.mkdir()
        process = subprocess.Popen([PROGRAMS / "hungfs", file, directory])
        try:
            # Not by a look into the directory, which would ask the server.
            wait(lambda: str(directory) in Path("/proc/mounts").read_text())
            yield _Server(process, directory)
        finally:
            # Whoever still waits for it gets an error then.
            process.send_signal(signal.SIGUSR2)
            process.terminate()
            process.wait()


@contextlib.contextmanager
def _engine(*programs: Program) -> Iterator[subprocess.Popen[bytes]]:
    """An engine that boosts all of them, and is killed at the end."""
    pids = [str(program.pid) for program in programs]
    engine = subprocess.Popen(
        [sys.executable, "-m", UB, "attach", "--quiet", *TUNE, *pids],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield engine
    finally:
        engine.kill()


def _is_refused(pid: int) -> bool:
    """Whether a region of code that is not in memory is refused at once."""
    base = read_maps(pid).areas[0].start
    address = open_elf(str(PROGRAMS / "hung")).address_of("far")
    assert address is not None
    child = os.fork()
    if child == 0:
        with Device() as device:
            made = translation(base + address, bytes(8), device.info())
            try:
                device.load(device.attach(pid), made)
            except SourceChanged:
                os._exit(0)
            finally:
                os._exit(1)
    status = []

    def has_ended() -> bool:
        ended, how = os.waitpid(child, os.WNOHANG)
        status.append(how)
        return ended != 0

    return wait(has_ended) and status[-1] == 0


def _boosted(programs: list[Program]) -> bool:
    """Whether each of them dispatches calls, and goes on doing so."""
    before = _dispatched()
    return wait(
        lambda: all(
            _dispatched().get(each.pid, 0) > before.get(each.pid, 0) + _CALLS
            for each in programs
        ),
        look=_PAUSE,
    )


def _dispatched() -> dict[int, int]:
    """Calls dispatched by process; nothing if the engine does not answer."""
    done = run_ub("stats", "--json")
    if done["status"] != 0:
        return {}
    processes = json.loads("\n".join(done["stdout"]))["processes"]
    return {each["pid"]: each["dispatched"] for each in processes}


def _is_stuck(program: Program) -> bool:
    """Whether one thread waits, and the other one can change the memory map."""
    time.sleep(_PAUSE)
    before = program.turns[1]
    return wait(lambda: program.turns[1] > before + 2) and not program.has_acted


def _play(server: _Server, program: Program) -> dict[str, Any]:
    """Wait for the server, which answers again after a time; then the end."""
    server.hang()
    time.sleep(_PAUSE)
    program.stage(ACT)
    stuck = _is_stuck(program)
    maps = _reads_maps(program.pid)
    server.resume()
    acted = wait(lambda: program.has_acted)
    program.stage(END)
    ended = wait(lambda: program.ended)
    return {
        "stuck": stuck,
        "maps": maps,
        "acted": acted,
        "ended": ended,
        "outcome": program.outcome(),
    }


def _reads_maps(pid: int) -> bool:
    """Whether others can read its memory map at once."""
    done = subprocess.Popen(["cat", f"/proc/{pid}/maps"], stdout=subprocess.DEVNULL)
    return wait(lambda: done.poll() is not None)
