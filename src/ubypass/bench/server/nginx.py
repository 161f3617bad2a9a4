# SPDX-License-Identifier: GPL-2.0-only
"""nginx under wrk: static files over persistent connections."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from ubypass.bench.server import artifact, wrk
from ubypass.bench.server.cases import choose
from ubypass.bench.server.cpu import children
from ubypass.bench.server.measure import Checked, Load
from ubypass.bench.server.process import (
    free_port,
    home,
    must_be_free,
    needs,
    running,
    started,
    version_of,
)

__all__ = [
    "AS_PAPER",
    "CASES",
    "QUICK",
    "Nginx",
    "NginxCase",
    "content",
    "nginx_server",
    "select",
    "write_conf",
]

#: Workers run as root: the directory and its parents need no permissions for others.
_CONF = """
daemon {daemon};
user root;
worker_processes {workers};
pid {home}/pid;
error_log {home}/errors warn;
events {{ worker_connections 256; }}
http {{
    access_log {log};
    sendfile on;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{ listen 127.0.0.1:{port}; root {home}/www; }}
}}
"""

_CLIENTS = 8
_LOOK = 0.02  # seconds between polls until all workers run
_CHECKS = 20


@dataclass(frozen=True, slots=True)
class NginxCase:
    """``kib``: size of the file; ``log``: whether each request is logged.

    ``as_paper``: configured as in the artifact of the paper, see
    :mod:`ubypass.bench.server.artifact`; with one worker only.
    """

    kib: int
    log: bool = False
    workers: int = 1
    as_paper: bool = False

    def __str__(self) -> str:
        paper = ", as paper" if self.as_paper else ""
        log = ", log" if self.log else ""
        workers = f", {self.workers} workers" if self.workers > 1 else ""
        return f"{self.kib} KiB{paper}{log}{workers}"

    @property
    def file(self) -> str:
        """The name of the file."""
        return f"{self.kib}k.html" if self.as_paper else "file"

    @property
    def clients(self) -> int:
        """The number of connections of the load."""
        return artifact.CLIENTS if self.as_paper else _CLIENTS


CASES: tuple[NginxCase, ...] = tuple(
    NginxCase(kib, log, workers)
    for workers in (1, 2)
    for log in (False, True)
    for kib in (1, 4, 16, 64, 256)
)
#: The cases of the paper on Userspace Bypass, and the same with a log.
AS_PAPER: tuple[NginxCase, ...] = tuple(
    replace(case, as_paper=True) for case in CASES if case.workers == 1
)
QUICK: tuple[NginxCase, ...] = (NginxCase(4),)


def select(
    sizes: tuple[int, ...],
    logs: tuple[bool, ...],
    workers: tuple[int, ...],
    as_paper: bool = False,
) -> tuple[NginxCase, ...]:
    """The cases of those sizes (KiB), logs and workers; if empty, of all values.

    With ``as_paper`` without a log unless ``logs`` has it. Raises UbError if there is
    none.
    """
    wanted = {"kib": sizes, "log": logs, "workers": workers}
    known = "sizes are 1, 4, 16, 64, 256 KiB; workers"
    if as_paper:
        wanted["log"] = logs or (False,)
        return choose("nginx --as-paper", AS_PAPER, wanted, f"{known} 1")
    return choose("nginx", CASES, wanted, f"{known} 1 and 2")


def write_conf(directory: Path, port: int, case: NginxCase, daemon: bool) -> Path:
    """Write configuration and contents to ``directory``; the configuration's path."""
    (directory / "www").mkdir()
    (directory / "www" / case.file).write_bytes(content(case))
    conf = directory / "nginx.conf"
    text = artifact.CONF if case.as_paper else _CONF
    conf.write_text(
        text.format(
            home=directory,
            port=port,
            workers=case.workers,
            affinity=artifact.affinity(artifact.pinned_to()),
            daemon="on" if daemon else "off",
            log=f"{directory}/access" if case.log else "off",
        )
    )
    return conf


def content(case: NginxCase) -> bytes:
    """The contents of the file."""
    return random.Random(case.kib).randbytes(case.kib * 1024)


@contextlib.contextmanager
def nginx_server(case: NginxCase, seconds: float) -> Iterator[Nginx]:
    """A running nginx, with a load of ``seconds`` per run. Raises UbError."""
    needs("wrk", "wrk")
    if case.as_paper:
        must_be_free(artifact.PORT)
    with home("nginx") as directory:
        port = artifact.PORT if case.as_paper else free_port()
        conf = write_conf(directory, port, case, daemon=False)
        program = needs("nginx", "nginx")
        command = [program, "-p", str(directory), "-c", str(conf)]
        with started(command, port, directory) as pid:
            # nginx listens before its workers run.
            while len(children(pid)) < case.workers:
                time.sleep(_LOOK)
            version = version_of("nginx", [program, "-v"])
            yield Nginx(case, seconds, pid, port, directory, version)


class Nginx:
    """See :class:`ubypass.bench.server.measure.Server`."""

    name = "nginx"
    by_time = False

    def __init__(
        self,
        case: NginxCase,
        seconds: float,
        pid: int,
        port: int,
        directory: Path,
        version: str = "",
    ) -> None:
        self.case = str(case)
        self.version = version
        self.main = pid
        self.port = port
        self.home = directory
        self._case = case
        self._seconds = seconds
        self._content = content(case)

    def serving(self) -> tuple[int, ...]:
        """The pids of the workers."""
        return children(self.main)

    def load(self) -> Load:
        """Run wrk, which compares the body of each reply."""
        self._forget_log()
        return wrk.load(self.load_command(), self._seconds)

    def background(self) -> AbstractContextManager[None]:
        """An endless load by wrk."""
        self._forget_log()
        return running(self.load_command())

    def check(self) -> Checked:
        """Fetch the file several times and a missing one; compare status and body."""
        wrong = 0
        path = f"/{self._case.file}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        with contextlib.closing(connection):
            for number in range(_CHECKS):
                connection.request("GET", path if number else "/nothing")
                answer = connection.getresponse()
                body = answer.read()
                right = (200, self._content) if number else (404, body)
                wrong += (answer.status, body) != right
        return Checked(_CHECKS, wrong)

    def load_command(self) -> list[str]:
        """See :func:`ubypass.bench.server.wrk.load_command`."""
        file = self.home / "www" / self._case.file
        return wrk.load_command(self.port, file, self._case.clients)

    def _forget_log(self) -> None:
        """Truncate the access log, which is in memory."""
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self.home / "access", 0)
