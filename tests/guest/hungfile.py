# SPDX-License-Identifier: GPL-2.0-only
"""A program in a file whose server, in user space, does not answer any more.

What the program does then, and what everybody does who has to do with it: the engine
that boosts it, and another program as well; whoever asks; who unloads the module.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.guest.cases import DATA_FILE
from tests.guest.command import attached, run_ub
from tests.guest.program import ACT, END, PROGRAMS, Program
from tests.guest.waiting import HANG, TUNE, UB, wait
from tests.kernel.handmade import translation
from ubypass.device.client import Device, SourceChanged
from ubypass.engine.control import ask_all
from ubypass.errors import UbError
from ubypass.process import reader
from ubypass.process.elf import open_elf
from ubypass.process.maps import read_maps
from ubypass.process.memory import ProcessMemory

__all__ = ["CASES"]

_TAIL = 1 << 18  # bytes behind the program, in no page that anybody has read
_CALLS = 1000
_PAUSE = 0.5
_KINDS = ("text", "read")
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
def hung_file() -> dict[str, Any]:
    """What needs the server is code (``text``), or a dispatched ``read``."""
    with _Scene() as scene:
        wait(lambda: all(each.is_warm for each in scene.programs))
        native = scene.play()
    with _Scene() as scene, Program("spin", DATA_FILE) as other:
        text, read = scene.programs
        wait(lambda: text.is_warm and read.is_warm and other.is_warm)
        scene.hang()
        missing = _apart(partial(_refused, text.pid))
        scene.resume()
        locked = _locked(scene, text)
        with _engine(text, read, other) as engine:
            boosted = _boosted([text, read, other])
            scene.hang()
            stuck = scene.act()
            asked = [run_ub("stats"), run_ub("explain", str(text.pid))]
            goes_on = _boosted([other])
            engine.send_signal(signal.SIGINT)
            left = wait(lambda: engine.poll() is not None)
        detached = wait(lambda: attached() == 0)
        unload = run_ub("module", "unload", "--seconds", "1")
        outcome = scene.play()
        other.stage(END)
        wait(lambda: other.ended)
        return {
            "pid": read.pid,
            "native": native,
            "missing": missing,
            "locked": locked,
            "boosted": boosted,
            "stuck": stuck,
            "asked": asked,
            "goes_on": goes_on,
            "left": left,
            "detached": detached,
            "unload": unload,
            "outcome": outcome,
            "other": other.outcome(),
        }


CASES = {"hung-file": hung_file}


class _Scene:
    """Two programs, each in a file system of its own; a context manager."""

    def __enter__(self) -> _Scene:
        with contextlib.ExitStack() as files:
            self._servers = [files.enter_context(_server()) for _ in _KINDS]
            self.programs = [
                files.enter_context(Program("file", kind, home=server.directory))
                for kind, server in zip(_KINDS, self._servers, strict=True)
            ]
            # No program can end while it waits.
            files.callback(self.resume)
            self._files = files.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def hang(self) -> None:
        for server in self._servers:
            server.process.send_signal(signal.SIGUSR1)

    def resume(self) -> None:
        for server in self._servers:
            server.process.send_signal(signal.SIGUSR2)

    def act(self) -> list[bool]:
        """Let them need the servers; whether each waits."""
        for program in self.programs:
            program.stage(ACT)
        return [_is_stuck(program) for program in self.programs]

    def play(self) -> dict[str, Any]:
        """They wait for the servers, which answer again after a time; then the end."""
        self.hang()
        time.sleep(_PAUSE)
        stuck = self.act()
        maps = [_reads_maps(program.pid) for program in self.programs]
        self.resume()
        acted = [wait(lambda each=each: each.has_acted) for each in self.programs]
        for program in self.programs:
            program.stage(END)
        ended = [wait(lambda each=each: each.ended) for each in self.programs]
        return {
            "stuck": stuck,
            "maps": maps,
            "acted": acted,
            "ended": ended,
            "outcome": [program.outcome() for program in self.programs],
        }


@dataclass(frozen=True)
class _Server:
    """A file system, with the program as its only file."""

    process: subprocess.Popen[bytes]
    directory: Path


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


def _apart(work: Callable[[], Any]) -> Any:
    """What ``work`` gives, as JSON, in a process that may hang; then None."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(theirs, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as answer:
        if not select.select([answer], [], [], HANG)[0]:
            return None
        os.waitpid(child, 0)
        return json.loads(answer.read() or b"null")


def _address(pid: int, function: str) -> int:
    address = open_elf(str(PROGRAMS / "hung")).address_of(function)
    assert address is not None
    return read_maps(pid).areas[0].start + address


def _refused(pid: int) -> bool:
    """Whether a region of code that is not in memory is refused."""
    with Device() as device:
        made = translation(_address(pid, "far"), bytes(8), device.info())
        try:
            device.load(device.attach(pid), made)
        except SourceChanged:
            return True
    return False


def _locked(scene: _Scene, program: Program) -> Any:
    """What is told of a program of which somebody keeps the memory map locked."""
    address = _address(program.pid, "aside")
    memory = os.open(f"/proc/{program.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    scene.hang()

    def lock() -> None:
        if os.fork() == 0:
            try:
                os.dup2(memory, 0)
                os.closerange(1, os.sysconf("SC_OPEN_MAX"))
                os.pread(0, 1, address)  # waits for the server
            finally:
                os._exit(0)
        wait(lambda: not _goes_on(program))

    told = _apart(partial(_told, program.pid, lock))
    scene.resume()
    os.close(memory)
    return {"told": told, "goes_on": wait(lambda: _goes_on(program))}


def _told(pid: int, lock: Callable[[], None]) -> list[str]:
    """Errors of a load, an attachment and a look at the map, once it is locked."""
    reader._SECONDS = 2.0
    told = []

    def note(work: Callable[[], object]) -> None:
        try:
            work()
            told.append("")
        except UbError as error:
            told.append(error.message)

    with Device() as device:
        made = translation(_address(pid, "far"), bytes(8), device.info())
        proc = device.attach(pid)
        ProcessMemory(pid).close()
        lock()
        note(lambda: device.load(proc, made))
        device.detach(proc)
        note(lambda: device.attach(pid))
        note(lambda: ProcessMemory(pid))
    return told


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
    """Calls dispatched by process, as the engine says; nothing if it says nothing."""
    answers, _ = ask_all({"ask": "stats"})
    processes = [each for answer in answers for each in answer["processes"]]
    return {each["pid"]: each["dispatched"] for each in processes}


def _is_stuck(program: Program) -> bool:
    """Whether one thread waits, and the other one can change the memory map."""
    time.sleep(_PAUSE)
    return wait(lambda: _goes_on(program)) and not program.has_acted


def _goes_on(program: Program) -> bool:
    """Whether its other thread changes the memory map."""
    before = program.turns[1]
    time.sleep(_PAUSE)
    return program.turns[1] > before


def _reads_maps(pid: int) -> bool:
    """Whether others can read its memory map at once."""
    done = subprocess.Popen(["cat", f"/proc/{pid}/maps"], stdout=subprocess.DEVNULL)
    return wait(lambda: done.poll() is not None)
