# SPDX-License-Identifier: GPL-2.0-only
"""dd, a program that every machine has: it copies a file in small blocks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ubypass import child
from ubypass.bench.io import Place, data_file
from ubypass.bench.server.cpu import cpu_ns
from ubypass.bench.server.process import needs
from ubypass.errors import UbError

__all__ = ["BLOCK", "block_ns", "copying"]

#: Bytes that dd reads and writes at once.
BLOCK = 64

_DATA = 64 << 20  # bytes; the rest of the file is a hole
_ENDLESS = 1 << 40  # bytes: hours
_LOOK = 0.01  # seconds between looks at the position in the file


@contextlib.contextmanager
def copying() -> Iterator[int]:
    """The pid of a dd that copies a file in memory to /dev/null, without end.

    It has already read some blocks. Raises UbError if it does not start.
    """
    program = needs("dd", "coreutils")
    with data_file(_DATA, Place().directory) as file:
        assert file is not None
        os.truncate(file, _ENDLESS)
        process = child.start(
            [program, f"if={file}", "of=/dev/null", f"bs={BLOCK}", "status=none"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while not _has_begun(process.pid):
                if process.poll() is not None:
                    assert process.stderr is not None
                    raise UbError(f"dd does not start: {process.stderr.read().strip()}")
                time.sleep(_LOOK)
            yield process.pid
        finally:
            child.end(process)
            process.communicate()


def block_ns() -> float:
    """CPU time that dd takes for a block, in ns, while it reads data."""
    with copying() as pid:
        begin, before = _position(pid), cpu_ns((pid,))
        while (end := _position(pid)) < _DATA:
            time.sleep(_LOOK)
        if end == begin:
            raise UbError("dd had read its file before it could be measured")
        return (cpu_ns((pid,)) - before) / (end - begin) * BLOCK


def _has_begun(pid: int) -> bool:
    try:
        return _position(pid) > 0
    except UbError:
        return False


def _position(pid: int) -> int:
    """Bytes that dd has read; 0 before it has opened its file, which becomes stdin.

    Raises UbError for a process that does not exist.
    """
    try:
        info = Path(f"/proc/{pid}/fdinfo/0").read_text()
    except OSError as error:
        raise UbError(f"dd (process {pid}) ended unexpectedly") from error
    return int(info.split()[1])
