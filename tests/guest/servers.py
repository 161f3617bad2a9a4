# SPDX-License-Identifier: GPL-2.0-only
"""redis and nginx under ``ub run``, under load and checked all the while.

Boosted whether or not it pays off here: to be found is whether what is dispatched is
right.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.guest.command import dispatched
from tests.guest.program import PROGRAMS
from tests.guest.waiting import TUNE, UB

__all__ = ["ENOUGH", "nginx", "redis"]

_REDIS_PORT = 16379
_NGINX_PORT = 18080
#: Seconds after which something has failed; nothing else depends on them.
_HANG = 300.0

#: Requests of wrk that say something.
ENOUGH = 100

#: Loads go on until something is dispatched and enough is answered, which takes a busy
#: machine longer, and give up after as many rounds.
_ROUNDS = 20

# Nothing is saved, nothing listens but loopback, nothing is read from the system.
_REDIS_CONF = f"""
bind 127.0.0.1
port {_REDIS_PORT}
save ""
appendonly no
daemonize no
dir {{home}}
logfile {{home}}/log
"""

# One process: children of a boosted process start natively.
_NGINX_CONF = f"""
daemon off;
master_process off;
pid {{home}}/pid;
error_log {{home}}/errors warn;
events {{{{ worker_connections 256; }}}}
http {{{{
    access_log off;
    sendfile on;
    keepalive_requests 1000000;
    client_body_temp_path {{home}}/body;
    proxy_temp_path {{home}}/proxy;
    fastcgi_temp_path {{home}}/fastcgi;
    uwsgi_temp_path {{home}}/uwsgi;
    scgi_temp_path {{home}}/scgi;
    server {{{{ listen 127.0.0.1:{_NGINX_PORT}; root {{home}}/www; }}}}
}}}}
"""


def redis(requests: int = 12_000, confined: str = "") -> dict[str, Any]:
    """redis-benchmark and a client of our own that checks each answer.

    ``confined``: under which of the filters of ``programs/confine.c``, if any.
    """
    checked = 0
    with _home() as home:
        conf = home / "redis.conf"
        conf.write_text(_REDIS_CONF.format(home=home))
        command = [*_confined(confined), "redis-server", str(conf)]
        with _under_ub(command, _REDIS_PORT, home) as server:
            for rounds in range(1, _ROUNDS):
                checked += _check_redis(2000, rounds)
                if dispatched():
                    break
            bench = subprocess.run(
                [
                    *("redis-benchmark", "-h", "127.0.0.1", "-p", str(_REDIS_PORT)),
                    *("-t", "set,get", "-n", str(requests), "-c", "20", "--csv"),
                ],
                capture_output=True,
                text=True,
                timeout=2 * _HANG,
            )
            checked += _check_redis(2000, _ROUNDS)
            filters = _filters("redis-server")
        return {
            "filters": filters,
            "benchmark_status": bench.returncode,
            "benchmark": bench.stdout.splitlines(),
            "benchmark_errors": bench.stderr.strip(),
            "checked": checked,
            "asked": 2000 * (rounds + 1),
            **server,
        }


def nginx(seconds: int = 5, confined: str = "") -> dict[str, Any]:
    """wrk, while files are fetched and compared; ``confined`` as above."""
    fetched = 0
    wrong: list[str] = []
    statuses: list[int] = []
    output: list[str] = []

    def fetch() -> None:
        nonlocal fetched
        fetched += _fetch_all(contents, wrong)

    with _home() as home:
        (home / "www").mkdir()
        contents = {}
        for size in (0, 100, 4096, 150_000):
            contents[f"/{size}"] = random.Random(size).randbytes(size)
            (home / "www" / str(size)).write_bytes(contents[f"/{size}"])
        conf = home / "nginx.conf"
        conf.write_text(_NGINX_CONF.format(home=home))
        command = [*_confined(confined), "nginx", "-p", str(home), "-c", str(conf)]
        with _under_ub(command, _NGINX_PORT, home) as server:
            for _ in range(_ROUNDS):
                status, out = _load_nginx(seconds, fetch)
                statuses.append(status)
                output += out
                if dispatched() and _requests(output) > ENOUGH:
                    break
            fetch()
            filters = _filters("nginx")
        errors = home / "errors"
        return {
            "filters": filters,
            "wrk_status": max(statuses),
            "wrk": output,
            "requests": _requests(output),
            "fetched": fetched,
            "wrong": wrong,
            "errors": errors.read_text().splitlines() if errors.exists() else [],
            **server,
        }


def _requests(output: Sequence[str]) -> int:
    """How many wrk says were answered."""
    return sum(map(int, re.findall(r"(\d+) requests in", "\n".join(output))))


def _confined(how: str) -> list[str]:
    """Words that run a server under these filters."""
    return [str(PROGRAMS / "confine"), how] if how else []


def _filters(name: str) -> list[int]:
    """How many seccomp filters each process of that name has."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            rows = dict(re.findall(r"^(\w+):\s*(\S+)", status.read_text(), re.M))
            if rows["Name"] == name:
                found.append(int(rows["Seccomp_filters"]))
    return found


def _load_nginx(seconds: int, meanwhile: Callable[[], None]) -> tuple[int, list[str]]:
    """wrk's status and what it printed."""
    url = f"http://127.0.0.1:{_NGINX_PORT}/4096"
    wrk = subprocess.Popen(
        ["wrk", "-t", "1", "-c", "8", "-d", f"{seconds}s", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while wrk.poll() is None:
        meanwhile()
    return wrk.returncode, wrk.communicate()[0].splitlines()


def _check_redis(count: int, seed: int) -> int:
    """Set and get random values, also in pipelines; how many came back right."""
    chance = random.Random(seed)
    right = 0
    with socket.create_connection(("127.0.0.1", _REDIS_PORT), timeout=_HANG) as sock:
        stream = sock.makefile("rb")
        for number in range(count // 10):
            values = {
                f"check:{seed}:{number}:{i}": chance.randbytes(chance.randrange(1, 300))
                for i in range(10)
            }
            for key, value in values.items():
                sock.sendall(_resp("SET", key, value))
                if stream.readline() != b"+OK\r\n":
                    raise AssertionError("SET was not answered with OK")
            sock.sendall(b"".join(_resp("GET", key) for key in values))
            for value in values.values():
                header = stream.readline()
                body = stream.read(len(value) + 2)
                right += header == b"$%d\r\n" % len(value) and body == value + b"\r\n"
    return right


def _resp(*words: str | bytes) -> bytes:
    parts = [word if isinstance(word, bytes) else word.encode() for word in words]
    lines = [b"*%d\r\n" % len(parts)]
    lines += [b"$%d\r\n%s\r\n" % (len(part), part) for part in parts]
    return b"".join(lines)


def _fetch_all(contents: dict[str, bytes], wrong: list[str]) -> int:
    """Fetch each file over one connection; whatever differs goes to ``wrong``."""
    connection = http.client.HTTPConnection("127.0.0.1", _NGINX_PORT, timeout=_HANG)
    with contextlib.closing(connection):
        for path, content in contents.items():
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or _hash(body) != _hash(content):
                wrong.append(f"{path}: status {answer.status}, {len(body)} bytes")
    return len(contents)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="ub-server-") as home:
        Path(home).chmod(0o755)
        yield Path(home)


@contextlib.contextmanager
def _under_ub(command: list[str], port: int, home: Path) -> Iterator[dict[str, Any]]:
    """A server under ``ub run``; at the end its summary is in what was yielded."""
    summary = home / "summary.json"
    server: dict[str, Any] = {}
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", UB, "run"),
                "--quiet",
                *TUNE,
                "--summary-file",
                str(summary),
                "--",
                *command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until(lambda: _listens(port) or process.poll() is not None)
            server["survived_start"] = process.poll() is None
            yield server
            server["survived_load"] = process.poll() is None
            process.send_signal(signal.SIGTERM)
            server["status"] = process.wait(_HANG)
        finally:
            process.kill()
            process.wait()
    server["output"] = (home / "output").read_text(errors="replace").splitlines()
    server["summary"] = json.loads(summary.read_text())


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _HANG
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
