# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: what programs cost that are over soon, natively and attached.

    python -m tests.guest.short ROUNDS [CASE]...

Attached means as ``ub run --children`` does it, from the first instruction on, with
all defaults. Prints a line of JSON for each case: medians of the CPU time (ns) of the
program and its children, ``native`` and ``attached``, in turns; their ``ratio``; how
far native runs lie apart (``spread``, of 1); and the system ``calls`` that the module
saw. What the engine and the kernel's workers do is none of it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ubypass.cli.session import Session
from ubypass.process.status import identify

__all__ = ["CASES"]

_TREE = 4_000  # files
_DIRECTORY = 40  # of them in each
_REQUESTS = 900  # of nginx: 5,400 calls
_FEW = 300  # requests of Python's server, which needs more time for each
_PAUSE = 0.5  # seconds until no handler is hooked any more
_DEADLINE = 60.0
_LONG = 100_000_000  # ns; what takes less is measured more often, as it may be
_MORE = 3  # times

_PTRACE_TRACEME = 0
_PTRACE_DETACH = 17
_ADDR_NO_RANDOMIZE = 0x0040000

_SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int compare(const void *a, const void *b) { return *(int *)a - *(int *)b; }
int main(int argc, char **argv)
{
	int values[64];
	for (int i = 0; i < 64; i++)
		values[i] = (i * 7919) % 64;
	qsort(values, 64, sizeof(*values), compare);
	for (int i = 1; i < 64; i++)
		if (values[i - 1] > values[i])
			return 1;
	return printf("%d %s\\n", argc, argv[0]) < 0;
}
"""

_SCRIPT = """
i=0
while [ $i -lt 150 ]; do
	/bin/true; /usr/bin/test -d /tmp; echo $(/bin/echo $i) >/dev/null
	i=$((i + 1))
done
"""

_NGINX = """
daemon off; user root; worker_processes 1; pid {home}/pid;
error_log {home}/errors warn;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; keepalive_requests 1000000;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{ listen 127.0.0.1:{port}; root {home}/www; }}
}}
"""

#: A client of its own, so that the engine's loop runs on: PORT REQUESTS PID SIGNAL.
#: http.client would take a hundred times the instructions that nginx takes.
_CLIENT = """
import os, socket, sys, time
port, requests, pid, number = map(int, sys.argv[1:])
while True:
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        break
    except OSError:
        time.sleep(0.05)
for _ in range(requests):
    connection.sendall(b"GET /file HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    reply, body = b"", b""
    while len(body) < 4096:
        more = connection.recv(65536)
        assert more, reply
        reply += more
        body = reply.partition(b"\\r\\n\\r\\n")[2]
    assert reply.startswith(b"HTTP/1.1 200 ") and len(body) == 4096, reply[:200]
connection.close()
os.kill(pid, number)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """``command``; ``requests``: made of it at ``port``, then ``signal`` ends it."""

    command: Sequence[str]
    requests: int = 0
    port: int = 0
    signal: int = 0


def _tree(home: Path) -> Path:
    for number in range(_TREE // _DIRECTORY):
        directory = home / "tree" / str(number % 10) / str(number)
        directory.mkdir(parents=True)
        for file in range(_DIRECTORY):
            (directory / f"file{file}").write_bytes(b"x" * file)
    return home / "tree"


def _find(home: Path, times: int = 1) -> Case:
    tests = ["-type", "f", "-size", "+0", "-newer", "/"]
    return Case(["find", *[str(_tree(home))] * times, *tests])


def _du(home: Path) -> Case:
    return Case(["du", "-a", str(_tree(home))])


def _ls(home: Path) -> Case:
    return Case(["ls", "-lR", "--color=never", str(_tree(home))])


def _gcc(home: Path) -> Case:
    (home / "small.c").write_text(_SOURCE)
    return Case(
        [
            "/usr/bin/gcc",
            "-O2",
            "-c",
            "-o",
            str(home / "small.o"),
            str(home / "small.c"),
        ]
    )


def _dd(home: Path, count: int = 5_000) -> Case:
    return Case(["dd", "if=/dev/zero", "of=/dev/null", "bs=512", f"count={count}"])


def _sh(home: Path) -> Case:
    (home / "script").write_text(_SCRIPT)
    return Case(["sh", str(home / "script")])


def _www(home: Path) -> Path:
    (home / "www").mkdir()
    (home / "www" / "file").write_bytes(b"x" * 4096)
    return home / "www"


def _nginx(home: Path) -> Case:
    _www(home)
    (home / "conf").write_text(_NGINX.format(home=home, port=8081))
    command = ["/usr/sbin/nginx", "-e", str(home / "errors"), "-c", str(home / "conf")]
    return Case(command, _REQUESTS, 8081, 3)


def _python(home: Path, requests: int = _FEW) -> Case:
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "8082"]
    command += ["--directory", str(_www(home)), "--protocol", "HTTP/1.1"]
    return Case(command, requests, 8082, 15)


CASES: dict[str, Callable[[Path], Case]] = {
    "find": _find,
    "du": _du,
    "ls": _ls,
    "dd": _dd,
    "gcc": _gcc,
    "sh": _sh,
    "nginx": _nginx,
    "python": _python,
    "find-long": partial(_find, times=16),
    "dd-long": partial(_dd, count=200_000),
    "python-long": partial(_python, requests=1_000),
}

_libc = ctypes.CDLL(None, use_errno=True)


def _stopped(command: Sequence[str]) -> int:
    """Start ``command``; its pid. It waits before its first instruction."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return pid
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        # Addresses that differ make pages differ, and so what a program costs.
        _libc.personality(_ADDR_NO_RANDOMIZE)
        _libc.ptrace(_PTRACE_TRACEME, 0, 0, 0)
        os.execvpe(command[0], command, {**os.environ, "PYTHONHASHSEED": "0"})
    finally:
        os._exit(127)


def _used(pid: int) -> int:
    """CPU time (ns) of a stopped process without threads, so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _cost(case: Case, session: Session | None) -> tuple[int, int]:
    """CPU time (ns) of one run, and the calls that were seen, if it is attached."""
    pid = _stopped(case.command)
    # Until now it was a copy of this process, and the larger that is the more it took.
    forked = _used(pid)
    client = None
    if case.requests:
        words = (case.port, case.requests, pid, case.signal)
        client = subprocess.Popen([sys.executable, "-c", _CLIENT, *map(str, words)])
    ended = os.pidfd_open(pid)
    over = False

    def end() -> None:
        nonlocal over
        over = True

    calls = 0
    if session is None:
        _libc.ptrace(_PTRACE_DETACH, pid, 0, 0)
    else:
        assert session.engine is not None
        engine = session.engine
        engine.attach(identify(pid), children=True)
        engine.watch(ended, end)
        _libc.ptrace(_PTRACE_DETACH, pid, 0, 0)
        limit = time.monotonic() + _DEADLINE
        engine.run(lambda: over or time.monotonic() > limit)
        engine.unwatch(ended)
        calls = sum(summary.calls for summary in engine.summaries())
    os.close(ended)
    _, status, used = os.wait4(pid, 0)
    if client is not None:
        assert client.wait() == 0
    wanted = (0, -case.signal) if case.requests else (0,)
    assert os.waitstatus_to_exitcode(status) in wanted, case.command
    return round((used.ru_utime + used.ru_stime) * 1e9) - forked, calls


def _measure(name: str, rounds: int) -> dict[str, object]:
    native, attached, seen = [], [], 0
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        case = CASES[name](home)
        for turn in range(-1, rounds * _MORE):
            if turn >= rounds and sum(native) > _LONG * len(native):
                break
            first, _ = _cost(case, None)
            with Session({}, quiet=True) as session:
                second, calls = _cost(case, session)
            time.sleep(_PAUSE)
            if turn >= 0:  # files are in memory now
                native.append(first)
                attached.append(second)
                seen = max(seen, calls)
    finally:
        shutil.rmtree(home)
    usual = statistics.median(native)
    return {
        "case": name,
        "native": round(usual),
        "attached": round(statistics.median(attached)),
        "ratio": round(statistics.median(attached) / usual, 5),
        "spread": round((max(native) - min(native)) / usual, 5),
        "calls": seen,
        "each": [native, attached],
    }


def main(arguments: Sequence[str]) -> int:
    rounds, *names = arguments
    for name in names or CASES:
        print(json.dumps(_measure(name, int(rounds))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
