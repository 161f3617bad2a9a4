# SPDX-License-Identifier: GPL-2.0-only
"""Twenty different programs that run side by side in the lab, with what each has done.

Servers have a client each, which is a program too. All are nice, so that who looks at
them does not wait for them.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.guest.program import PROGRAMS

__all__ = ["Candidate", "cpu_ns", "machine"]

_FILE = "/dev/shm/ub-ranked-data"
_NICE = 19
#: Seconds alone in which a program starts: a loop, an interpreter, others.
_BEGIN_LOOP, _BEGIN_PYTHON, _BEGIN = 0.02, 2.0, 0.6
_LISTENS = 30.0  # seconds at most until a server takes connections
_LOOPS = (
    *("getppid", "read", "read-1000", "read-20000", "read-4096", "write", "pair"),
    *("wait", "compute"),
)
_SCRIPTS = {
    "dd, 64 bytes": ["dd", "if=/dev/zero", "of=/dev/null", "bs=64"],
    "dd, 64 KiB": ["dd", "if=/dev/zero", "of=/dev/null", "bs=64k"],
    "cat": ["cat", "/dev/zero"],
    "python, reads": [
        sys.executable,
        "-c",
        "import os\n"
        f"fd = os.open({_FILE!r}, os.O_RDONLY)\n"
        "while True: os.pread(fd, 64, 0)",
    ],
    "perl": [
        "perl",
        "-e",
        "open(my $in, '<:raw', '/dev/zero'); my ($n, $d) = (0, '');"
        "while (sysread($in, $d, 40)) { $n += unpack('%32C*', $d); }",
    ],
    "dash": ["dash", "-c", f"while :; do while read -r x; do :; done < {_FILE}; done"],
    "tclsh": ["tclsh", f"{_FILE}.tcl"],
}
_COMPUTE = """import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
page = memoryview(mmap.mmap(file, 4096)).cast('Q')
while True:
    sum(range(1000)); page[0] += 1
"""
_TCL = """set in [open /dev/zero rb]
fconfigure $in -buffersize 64
while 1 { read $in 64 }
"""
_REDIS = """bind 127.0.0.1
port 16379
save ""
appendonly no
daemonize no
"""
_NGINX = """daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/nginx.errors warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{ listen 127.0.0.1:18080; root {home}; }}
}}
"""


@dataclass(slots=True)
class Candidate:
    """``work``: units done so far; ``others``: what it needs to do any."""

    title: str
    pid: int
    work: Callable[[], int]
    others: list[int] = field(default_factory=list)

    def signal(self, number: signal.Signals) -> None:
        """Send to it and to what it needs."""
        for pid in (self.pid, *self.others):
            os.kill(pid, number)


def cpu_ns(pid: int) -> int:
    """CPU time of all its threads so far."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files)


@contextlib.contextmanager
def machine(home: Path) -> Iterator[list[Candidate]]:
    """All programs, running; killed at the end. ``home``: an empty directory."""
    Path(_FILE).write_bytes(b"some words of a line\n" * 400)
    Path(f"{_FILE}.tcl").write_text(_TCL)
    with contextlib.ExitStack() as stack:
        pids: list[int] = []

        def start(command: Sequence[str | Path], seconds: float = _BEGIN) -> int:
            """Start it; all that was started before is stopped for that time."""
            process = stack.enter_context(
                subprocess.Popen(
                    ["nice", "-n", str(_NICE), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.kill)
            pids.append(process.pid)
            time.sleep(seconds)
            return process.pid

        def stopped(found: list[Candidate]) -> list[Candidate]:
            for each in found:
                each.signal(signal.SIGSTOP)
            return found

        found: list[Candidate] = []
        for mode in _LOOPS:
            counter = _emptied(home / f"counter-{mode}")
            pid = start([PROGRAMS / "ranked", mode, _FILE, counter], _BEGIN_LOOP)
            found += stopped([Candidate(f"loop: {mode}", pid, _counted(counter))])
        for title, words in _SCRIPTS.items():
            if shutil.which(words[0]):
                python = words[0] == sys.executable
                pid = start(words, _BEGIN_PYTHON if python else _BEGIN)
                found += stopped([Candidate(title, pid, _transfers(pid))])
        counter = _emptied(home / "counter-python")
        pid = start([sys.executable, "-c", _COMPUTE, counter], _BEGIN_PYTHON)
        found += stopped([Candidate("python, computes", pid, _counted(counter))])
        found += stopped(_servers(home, start))
        pid = start(["sleep", "1000000"], _BEGIN_LOOP)
        found += stopped([Candidate("sleep", pid, lambda: 0)])
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        yield found


def _servers(
    home: Path, start: Callable[[Sequence[str | Path]], int]
) -> list[Candidate]:
    """Redis and nginx under one connection each, and what loads them."""
    (home / "redis.conf").write_text(_REDIS)
    (home / "nginx.conf").write_text(_NGINX.format(home=home))
    (home / "page").write_bytes(b"x" * 4096)
    pairs = (
        (
            16379,
            ("redis-server", home / "redis.conf"),
            "redis-benchmark -p 16379 -c 1 -t get -n 100000 -l",
        ),
        (
            18080,
            ("nginx", "-p", home, "-c", home / "nginx.conf"),
            "wrk -t 1 -c 1 -d 360000s http://127.0.0.1:18080/page",
        ),
    )
    found = []
    for port, server, load in pairs:
        client = load.split()
        if not (shutil.which(server[0]) and shutil.which(client[0])):
            continue
        pid = start(server)
        _wait_for(port)
        other = start(client)
        work = _transfers(pid)  # of the client as well: one request after another
        found.append(Candidate(server[0], pid, work, [other]))
        found.append(Candidate(client[0], other, work, [pid]))
    return found


def _wait_for(port: int) -> None:
    """Wait until a server takes connections: its client may not try again."""
    ends = time.monotonic() + _LISTENS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
        else:
            return


def _emptied(path: Path) -> Path:
    path.write_bytes(bytes(mmap.PAGESIZE))
    return path


def _counted(path: Path) -> Callable[[], int]:
    """Rounds that a program counts in a file."""

    def count() -> int:
        with path.open("rb") as file:
            return int.from_bytes(file.read(8), sys.byteorder)

    return count


def _transfers(pid: int) -> Callable[[], int]:
    """Calls of the kinds of read and write, as the kernel counts them."""

    def count() -> int:
        try:
            text = Path(f"/proc/{pid}/io").read_text()
        except OSError:
            return 0  # it has ended
        rows = dict(line.split(": ") for line in text.splitlines())
        return int(rows["syscr"]) + int(rows["syscw"])

    return count
