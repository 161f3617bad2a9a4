# SPDX-License-Identifier: GPL-2.0-only
"""lighttpd under wrk: a static file over persistent connections, as nginx."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from ubypass.bench.server import wrk
from ubypass.bench.server.measure import Load
from ubypass.bench.server.nginx import NginxCase, content
from ubypass.bench.server.process import free_port, home, needs, running, started

__all__ = ["Lighttpd", "lighttpd_server"]

#: As root it serves as root, as nginx' workers do.
_CONF = """
server.document-root = "{home}/www"
server.port = {port}
server.bind = "127.0.0.1"
server.errorlog = "{home}/errors"
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
server.max-read-idle = 3600
server.max-write-idle = 3600
"""

_CLIENTS = 8


@contextlib.contextmanager
def lighttpd_server(kib: int, seconds: float) -> Iterator[Lighttpd]:
    """A running lighttpd with a file of ``kib`` KiB, and a load of ``seconds``.

    Raises UbError if it does not start.
    """
    needs("wrk", "wrk")
    program = needs("lighttpd", "lighttpd")
    with home("lighttpd") as directory:
        file = directory / "www" / "file"
        file.parent.mkdir()
        file.write_bytes(content(NginxCase(kib)))
        port = free_port()
        conf = directory / "lighttpd.conf"
        conf.write_text(_CONF.format(home=directory, port=port))
        with started([program, "-D", "-f", str(conf)], port, directory) as pid:
            yield Lighttpd(pid, seconds, wrk.load_command(port, file, _CLIENTS))


class Lighttpd:
    """See :class:`ubypass.bench.chains.subjects.Loadable`."""

    def __init__(self, pid: int, seconds: float, command: list[str]) -> None:
        self._pid = pid
        self._seconds = seconds
        self._command = command

    def serving(self) -> tuple[int, ...]:
        """The pid of the only process."""
        return (self._pid,)

    def load(self) -> Load:
        """Run wrk, which compares the body of each reply."""
        return wrk.load(self._command, self._seconds)

    def background(self) -> AbstractContextManager[None]:
        """An endless load by wrk."""
        return running(self._command)
