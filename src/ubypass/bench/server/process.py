# SPDX-License-Identifier: GPL-2.0-only
"""Starts and ends servers and loads; leaves no process behind.

Each server has its own directory, in memory and readable by all users, since servers
drop root. Server and load run as if each had its own processor, see :func:`beside`.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError

__all__ = [
    "at_once",
    "beside",
    "free_port",
    "home",
    "interrupt",
    "must_be_free",
    "needs",
    "output_of",
    "output_until",
    "ready",
    "running",
    "started",
    "version_of",
]

_LOOK = 0.05  # seconds between polls until a server listens
_AGAIN = 0.5  # seconds between signals
_PATIENCE = 5  # seconds that a connection may take where packets are lost


def needs(program: str, package: str) -> str:
    """The path of ``program``. Raises UbError if it is not installed."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise UbError(f"{program} is not installed", f"apt install {package}")
    return found


def version_of(name: str, command: Sequence[str]) -> str:
    """``name`` and the first version number that ``command`` prints; else "".

    As "redis 7.0.15"; "" also if the command fails.
    """
    done = child.run(command, capture_output=True, text=True)
    found = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return f"{name} {found[0]}" if found and done.returncode == 0 else ""


def beside(command: Sequence[str]) -> list[str]:
    """The command for a program that does not preempt the running one when woken.

    On one processor, as under icount, each request would otherwise end the load's time
    slice and each reply the server's: natively a thread switch that a busy server with
    its own processor does not see, boosted the end of each run (a pending switch is
    work on the return to user mode). SCHED_BATCH, see sched(7); a server's workers
    inherit it.
    """
    return [needs("chrt", "util-linux"), "--batch", "0", *command]


def free_port() -> int:
    """A free TCP port of the loopback interface."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def must_be_free(port: int) -> None:
    """Raise UbError if a program already listens on ``port`` of the loopback."""
    with socket.socket() as sock:
        # As servers do: connections of an earlier one may still be ending.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            raise UbError(
                f"port {port} is taken: {error.strerror}",
                f"stop the program that 'ss -ltnp sport = :{port}' shows",
            ) from error


@contextlib.contextmanager
def home(name: str) -> Iterator[Path]:
    """A temporary directory in memory, readable by all users."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix=f"ub-{name}-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def at_once() -> bool:
    """True: a server whose address leads to it before it listens."""
    return True


@contextlib.contextmanager
def started(
    command: Sequence[str],
    port: int,
    directory: Path,
    host: str = "127.0.0.1",
    reachable: Callable[[], bool] = at_once,
    name: str = "",
) -> Iterator[int]:
    """The pid of a server that listens on ``port``; the server is ended by SIGTERM.

    ``reachable``: whether connections to ``host`` may be tried yet; ``name``: for
    errors, if ``command`` starts the server by another program. Raises UbError if it
    does not start.
    """
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
        # No time limit: a clock that counts instructions jumps ahead when idle.
        while not (reachable() and _listens(port, host)):
            if process.poll() is not None:
                error = log.read_text(errors="replace").strip()
                program = name or Path(command[0]).name
                raise UbError(f"{program} does not start: {error}")
            time.sleep(_LOOK)
        yield process.pid
    finally:
        child.end(process, signal.SIGTERM)


@contextlib.contextmanager
def ready(command: Sequence[str], pass_fds: Sequence[int] = ()) -> Iterator[int]:
    """The pid of a program that has printed ``ready``; it is killed at the end.

    The program inherits ``pass_fds``. Raises UbError with its output if it does not
    start.
    """
    process = child.start(
        beside(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=tuple(pass_fds),
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            error = process.communicate()[1].strip()
            raise UbError(f"the receiver does not start: {error}")
        yield process.pid
    finally:
        child.end(process)
        process.communicate()


def output_of(command: Sequence[str]) -> str:
    """The output of a load that ends by itself. Raises UbError if it fails."""
    done = child.run(
        beside(command), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        error = (done.stderr or done.stdout).strip()
        raise UbError(f"{Path(command[0]).name} has failed: {error}")
    out: str = done.stdout
    return out


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[None]:
    """An endless load, for the time of the block. Raises UbError if the load ends."""
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
        raise UbError(f"{Path(command[0]).name} ended unexpectedly")


def output_until(command: Sequence[str], seconds: float) -> str:
    """The output of a load that is interrupted after ``seconds``.

    The time starts when the load handles interrupts. A background process of a shell
    ignores them, and the load would inherit that. Raises UbError if the load fails.
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
    """Interrupt a load until it ends."""
    # A signal may arrive between the load's check and its wait: send another one.
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_AGAIN)


def _minds_interrupts(pid: int) -> bool:
    """Whether the process has a handler for SIGINT.

    An ignored SIGINT proves nothing: it may be inherited, and a moment later the first
    interrupt would end the process.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    found = re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (signal.SIGINT - 1) & 1)


def _listens(port: int, host: str) -> bool:
    with socket.socket() as sock:
        sock.settimeout(_PATIENCE)
        return sock.connect_ex((host, port)) == 0
