# SPDX-License-Identifier: GPL-2.0-only
"""Starting and ending servers and loads; none is left behind.

A directory of its own for each server, in memory and readable by everybody, since
servers give up root for other users. Server and load run as if each had a processor of
its own, see :func:`beside`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError

__all__ = [
    "beside",
    "free_port",
    "home",
    "interrupt",
    "needs",
    "output_of",
    "output_until",
    "running",
    "started",
]

_LOOK = 0.05  # seconds between looks whether a server listens
_AGAIN = 0.5  # seconds between signals


def needs(program: str, package: str) -> str:
    """The path of ``program``. Raises UbError if it is not installed."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise UbError(f"{program} is not installed", f"apt install {package}")
    return found


def beside(command: Sequence[str]) -> list[str]:
    """The command for a program that, once woken, does not preempt who runs.

    Where there is one processor, as under icount, each request would else end the
    load's turn and each reply the server's: natively that is a thread switch that a
    busy server with a processor of its own does not see, boosted it is the end of each
    run (a pending switch is work that waits at the way to user mode). SCHED_BATCH, see
    sched(7); a server's workers inherit it.
    """
    return [needs("chrt", "util-linux"), "--batch", "0", *command]


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


@contextlib.contextmanager
def home(name: str) -> Iterator[Path]:
    """A directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix=f"ub-{name}-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@contextlib.contextmanager
def started(command: Sequence[str], port: int, directory: Path) -> Iterator[int]:
    """A server's pid, once it listens on ``port``; it is ended by SIGTERM."""
    log = directory / "output"
    with log.open("wb") as output:
        process = child.start(
            beside(command),
            last=signal.SIGTERM,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        # No time limit: an idle clock that counts instructions jumps ahead.
        while not _listens(port):
            if process.poll() is not None:
                said = log.read_text(errors="replace").strip()
                raise UbError(f"{Path(command[0]).name} does not start: {said}")
            time.sleep(_LOOK)
        yield process.pid
    finally:
        child.end(process, signal.SIGTERM)


def output_of(command: Sequence[str]) -> str:
    """What a load says; it runs to its end. Raises UbError if it fails."""
    done = child.run(
        beside(command), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise UbError(f"{Path(command[0]).name} has failed: {said}")
    out: str = done.stdout
    return out


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[None]:
    """A load without an end, for as long as the block lasts."""
    process = child.start(
        beside(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
        ended = process.poll() is not None
    finally:
        child.end(process)
    if ended:
        raise UbError(f"{Path(command[0]).name} has ended while it should run on")


def output_until(command: Sequence[str], seconds: float) -> str:
    """What a load says that ends well when it is interrupted.

    As it is after ``seconds`` from when it is ready for that. Whoever runs in the
    background of a shell ignores interrupts, and so would the load.
    """
    with child.start(
        [needs("env", "coreutils"), "--default-signal=INT", *beside(command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            while process.poll() is None and not _minds_interrupts(process.pid):
                time.sleep(_LOOK)
            time.sleep(seconds)
            interrupt(process)
            assert process.stdout is not None
            out: str = process.stdout.read()
        finally:
            child.end(process)
    if process.returncode != 0:
        raise UbError(f"{Path(command[0]).name} has failed: {out.strip()}")
    return out


def interrupt(process: subprocess.Popen[str]) -> None:
    """Interrupt a load that ends well then, and wait for its end."""
    # Once more if the first came between its looking and its waiting.
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_AGAIN)


def _minds_interrupts(pid: int) -> bool:
    """Whether it has a handler for them.

    That it ignores them says nothing: what we are about to start may have inherited
    that, and a moment later be ended by the first one.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    found = re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (signal.SIGINT - 1) & 1)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
