# SPDX-License-Identifier: GPL-2.0-only
"""Reads the memory map and pages of live processes, without waiting for them for ever.

A read of ``/proc/PID/maps`` or ``/proc/PID/mem`` waits for the lock of the memory map,
and a page that is not in memory is read from its file, whose file system may not answer
(FUSE, a network). Such a wait cannot be interrupted, and whoever waits for a page holds
the lock, which may stop the process itself. So

* pages are read only if the process has them, in its page tables or swapped,
* a child process reads. If it does not answer in time it is left behind, and another
  one serves the other processes. It has none of our files but those that it reads.

Whether a read may wait cannot be known before: the process can change its map between
any look at it and the read. Each answer waits for the scheduler, for several
milliseconds where a single processor is busy: so one request reads many pages.

Independent of the meaning of the bytes. Not for several threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Sequence

from ubypass.errors import UbError, permission_hint

__all__ = ["MOST_PAGES", "ProcessReader"]

#: Pages in one request.
MOST_PAGES = 512

_PAGE = 4096
# Documentation/admin-guide/mm/pagemap.rst
_PRESENT, _SWAPPED, _OF_FILE = 1 << 63, 1 << 62, 1 << 61
_CHUNK = 1 << 20
_PR_SET_PDEATHSIG = 1

#: Seconds for one answer. Nothing is waited for but the lock and swapped memory.
_SECONDS = 5.0

_FILES = ("maps", "mem", "pagemap")
_OPEN, _CLOSE, _READ, _READ_WITH_MAPS = range(4)
_REQUEST = struct.Struct("<BxxxIQ")  # what, number of addresses, which process
_ADDRESS = struct.Struct("<Q")
_LENGTH = struct.Struct("<Q")

# Loaded here, not in the child: after a fork only calls that take no lock are safe.
_libc = ctypes.CDLL(None)


class ProcessReader:
    """Reads from process ``pid``; owns its files.

    ``silent``: a read was not answered in time; nothing is read any more. Raises
    UbError if the process has ended or may not be read.
    """

    def __init__(self, pid: int) -> None:
        self.silent = False
        self._pid = pid
        self._child: _Child | None = None  # that knows our files
        self._files: list[int] = []
        try:
            for name in _FILES:
                path = f"/proc/{pid}/{name}"
                self._files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            self.close()
            raise self._refused(name, error) from error

    def close(self) -> None:
        """Close the files; no reads afterwards."""
        if self._child is not None and self._child is _Child.current:
            self._child.tell(_CLOSE, id(self))
        self._child = None
        for fd in self._files:
            os.close(fd)
        self._files.clear()

    def maps(self, pages: Sequence[int] = ()) -> tuple[bytes, dict[int, bytes]]:
        """The text of ``/proc/PID/maps``, and ``pages`` as of then (see there).

        No text if the process has ended, or is silent.
        """
        return self._ask(_READ_WITH_MAPS, pages)

    def pages(self, addresses: Sequence[int]) -> dict[int, bytes]:
        """The pages at ``addresses``, up to MOST_PAGES; without those it does not have.

        A page that it has not used yet is not read.
        """
        return self._ask(_READ, addresses)[1]

    def _ask(self, what: int, wanted: Sequence[int]) -> tuple[bytes, dict[int, bytes]]:
        if self.silent or not self._files:
            return b"", {}
        addresses = [each for each in wanted if 0 <= each < 1 << 63][:MOST_PAGES]
        if self._pid == os.getpid():
            # Nobody's choice but ours: to be read as it is.
            return _our_own(self._files, what, addresses)
        for _ in range(2):  # somebody may have ended the child
            try:
                answer = self._answer(what, addresses)
            except OSError:
                break
            if answer is not None:
                return answer
        self.silent = True
        return b"", {}

    def _answer(
        self, what: int, addresses: list[int]
    ) -> tuple[bytes, dict[int, bytes]] | None:
        """The child's; None: it has ended. Raises OSError (TimeoutError)."""
        child = _Child.start()
        if self._child is not child:
            child.tell(_OPEN, id(self), files=self._files)
            self._child = child
        answer = None
        try:
            answer = child.ask(what, id(self), addresses)
        finally:
            # Also if a signal ended the wait: the answer may come yet.
            if answer is None:
                child.abandon()
        return answer

    def _refused(self, name: str, error: OSError) -> UbError:
        what = "memory map" if name == "maps" else "memory"
        if isinstance(error, PermissionError):
            return UbError(
                f"cannot read the {what} of process {self._pid}: permission denied",
                permission_hint(),
            )
        if name == "pagemap" and os.path.exists(f"/proc/{self._pid}/mem"):
            return UbError(
                "this kernel does not show which pages a process has",
                "it needs CONFIG_PROC_PAGE_MONITOR",
            )
        return UbError(f"process {self._pid} no longer exists")


class _Child:
    """The child process that reads, from our side."""

    current: _Child | None = None

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._pages = mmap.mmap(-1, MOST_PAGES * _PAGE)  # shared: the child writes
        self.owner = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _serve(theirs, self._pages, self.owner)
        theirs.close()

    @classmethod
    def start(cls) -> _Child:
        """The one that serves us; a child of our own does not share it."""
        _reap()
        if cls.current is None or cls.current.owner != os.getpid():
            cls.current = cls()
        return cls.current

    def tell(
        self,
        what: int,
        whom: int,
        addresses: Sequence[int] = (),
        files: Sequence[int] = (),
    ) -> None:
        """Send a request; whether the child has ended shows when it is to answer."""
        message = _REQUEST.pack(what, len(addresses), whom)
        message += b"".join(map(_ADDRESS.pack, addresses))
        with contextlib.suppress(OSError):
            socket.send_fds(self._socket, [message], files)

    def ask(
        self, what: int, whom: int, addresses: Sequence[int]
    ) -> tuple[bytes, dict[int, bytes]] | None:
        """The answer; None if the child has ended. Raises TimeoutError."""
        self.tell(what, whom, addresses)
        deadline = time.monotonic() + _SECONDS
        length = self._receive(_LENGTH.size, deadline)
        if length is None:
            return None
        (size,) = _LENGTH.unpack(length)
        answer = self._receive(size + len(addresses), deadline)
        if answer is None:
            return None
        pages = {
            address: self._pages[n * _PAGE : (n + 1) * _PAGE]
            for n, address in enumerate(addresses)
            if answer[size + n]
        }
        return answer[:size], pages

    def _receive(self, size: int, deadline: float) -> bytes | None:
        found = bytearray()
        while len(found) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise TimeoutError
            try:
                part = self._socket.recv(min(size - len(found), _CHUNK))
            except ConnectionError:
                return None
            if not part:
                return None
            found += part
        return bytes(found)

    def abandon(self) -> None:
        """Kill it, and do not wait for its end: it may wait for a file system."""
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        _abandoned.add(self.pid)
        _Child.current = None
        _reap()


#: Killed children not yet reaped.
_abandoned: set[int] = set()


def _reap() -> None:
    for child in list(_abandoned):
        try:
            ended, _ = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            ended = child
        if ended:
            _abandoned.discard(child)


def _serve(
    ours: socket.socket, pages: mmap.mmap, parent: int
) -> None:  # pragma: no cover - in the child
    """Answer requests until the parent ends. Never returns."""
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Meant for the parent, which closes the socket when it ends.
            signal.signal(number, signal.SIG_IGN)
        gc.disable()
        with socket.socket(fileno=os.dup2(ours.detach(), 0)) as requests:
            os.closerange(1, os.sysconf("SC_OPEN_MAX"))
            known: dict[int, list[int]] = {}
            while _answer(requests, pages, known):
                pass
    finally:
        os._exit(0)


def _answer(
    requests: socket.socket, pages: mmap.mmap, known: dict[int, list[int]]
) -> bool:  # pragma: no cover - in the child
    """Serve one request; False: there are no more."""
    message, files, _, _ = socket.recv_fds(requests, _REQUEST.size, len(_FILES))
    if len(message) < _REQUEST.size:
        return False
    what, count, whom = _REQUEST.unpack(message)
    if what == _OPEN:
        known[whom] = files
    elif what == _CLOSE:
        for fd in known.pop(whom, []):
            os.close(fd)
    else:
        size = count * _ADDRESS.size
        addresses = requests.recv(size, socket.MSG_WAITALL) if size else b""
        maps, memory, pagemap = known[whom]
        text = _whole(maps) if what == _READ_WITH_MAPS else b""
        into = memoryview(pages)
        read = bytes(
            _reads(memory, pagemap, address, into[n * _PAGE : (n + 1) * _PAGE])
            for n, (address,) in enumerate(_ADDRESS.iter_unpack(addresses))
        )
        requests.sendall(_LENGTH.pack(len(text)) + text + read)
    return True


def _reads(
    memory: int, pagemap: int, address: int, into: memoryview
) -> bool:  # pragma: no cover - in the child
    """Read a page that the process has; whether it could be read."""
    try:
        entry = os.pread(pagemap, 8, address // _PAGE * 8)
        page = int.from_bytes(entry, "little")
        # What is swapped out is read from no file, but for shared memory.
        if not page & _PRESENT and page & (_SWAPPED | _OF_FILE) != _SWAPPED:
            return False
        return os.preadv(memory, [into], address) == _PAGE
    except OSError:
        return False  # unmapped since, or the process has ended


def _our_own(
    files: list[int], what: int, addresses: list[int]
) -> tuple[bytes, dict[int, bytes]]:
    maps, memory, _ = files
    pages = {}
    for address in addresses:
        with contextlib.suppress(OSError):
            pages[address] = os.pread(memory, _PAGE, address)
    return _whole(maps) if what == _READ_WITH_MAPS else b"", pages


def _whole(file: int) -> bytes:
    parts = []
    with contextlib.suppress(OSError):  # the process has ended
        os.lseek(file, 0, os.SEEK_SET)
        while part := os.read(file, _CHUNK):
            parts.append(part)
    return b"".join(parts)
