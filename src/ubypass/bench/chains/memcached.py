# SPDX-License-Identifier: GPL-2.0-only
"""memcached under ``workloads/getload.c``: gets of one small value.

One thread of memcached works for all connections. Its threads that maintain the cache
are off: the chain of a thread cannot be replayed if others change its memory.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ubypass.bench.server.measure import Checked, Load
from ubypass.bench.server.process import (
    free_port,
    home,
    needs,
    output_of,
    running,
    started,
)
from ubypass.bench.workloads import build_workload
from ubypass.errors import UbError

__all__ = ["Memcached", "memcached_server"]

_KEY = "key"
_CLIENTS = 50
#: The capture copies all memory of the program at each call: not the usual 64 MiB for
#: values, and 8 MiB for the stack of each thread.
_VALUES = 4  # MiB
_STACK = 256  # KiB
_OPTIONS = "no_lru_crawler,no_lru_maintainer,no_hashexpand"


@contextlib.contextmanager
def memcached_server(size: int, requests: int) -> Iterator[Memcached]:
    """A running memcached with a value of ``size`` bytes, and a load of ``requests``.

    Raises UbError if it does not start.
    """
    with home("memcached") as directory:
        port = free_port()
        command = [
            *(needs("prlimit", "util-linux"), f"--stack={_STACK << 10}"),
            *(needs("memcached", "memcached"), "-u", "root", "-t", "1", "-U", "0"),
            *("-l", "127.0.0.1", "-p", str(port), "-m", str(_VALUES), "-o", _OPTIONS),
        ]
        value = directory / "value"
        value.write_bytes(random.Random(size).randbytes(size))
        with started(command, port, directory, name="memcached") as pid:
            _store(port, value.read_bytes())
            yield Memcached(pid, port, value, requests)


class Memcached:
    """See :class:`ubypass.bench.chains.subjects.Loadable`."""

    def __init__(self, pid: int, port: int, value: Path, requests: int) -> None:
        self._pid = pid
        self._requests = requests
        program = str(build_workload("getload"))
        self._command = [program, str(port), _KEY, str(value), str(_CLIENTS)]

    def serving(self) -> tuple[int, ...]:
        """The pid of the only process."""
        return (self._pid,)

    def load(self) -> Load:
        """Run the load, which compares each reply. Raises UbError for a wrong one."""
        out = output_of([*self._command, str(self._requests)])
        try:
            data = json.loads(out)
            requests = int(data["requests"])
            return Load(requests, int(data["ns"]), Checked(requests, 0))
        except (ValueError, LookupError, TypeError) as error:
            raise UbError(f"the load printed no result but {out!r}") from error

    def background(self) -> AbstractContextManager[None]:
        """The same load without end."""
        return running([*self._command, "0"])


def _store(port: int, value: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"set %b 0 0 %d\r\n%b\r\n" % (_KEY.encode(), len(value), value))
        with sock.makefile("rb") as stream:
            reply = stream.readline()
    if reply != b"STORED\r\n":
        raise UbError(f"memcached does not store a value but says {reply!r}")
