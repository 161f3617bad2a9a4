# SPDX-License-Identifier: GPL-2.0-only
"""Lets held programs go on (``programs/gate.c``), attached and translated if asked to.

In the guest only. A process is attached and has all its regions before its first own
instruction, and so has each child after a fork.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import pickle
import select
import socket
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.selftests.translations import key_of
from ubypass.abi import Translation
from ubypass.device.client import Device, Gone, SourceChanged
from ubypass.device.types import Stats
from ubypass.errors import UbError
from ubypass.process.memory import ProcessMemory

__all__ = ["Booster", "Gate", "Holder", "Imager"]

_PEER = struct.Struct("3i")  # struct ucred: process, user, group

#: Loads into a full module are tried again so often, after so many seconds each.
_TRIES = 5
_PAUSE = 0.2


class Holder:
    """What is done with a process while it is held: nothing."""

    def hold(self, pid: int) -> None:
        """``pid`` is held."""


class Imager(Holder):
    """Saves the memory of each program once, for `translations`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def hold(self, pid: int) -> None:
        """Save code and files that are mapped, if that was not done before."""
        program = os.readlink(f"/proc/{pid}/exe")
        image = self._directory / f"{key_of(program)}.image"
        if image.exists():
            return
        with ProcessMemory(pid) as memory:
            code, data = {}, {}
            for area in memory.maps.areas:
                size = area.end - area.start
                if area.readable and (area.is_code or area.is_file):
                    _bring_in(pid, area.start, size)
                if area.is_code:
                    code[area.start] = memory.read(area.start, size)
                elif area.readable and area.is_file:
                    data[area.start] = memory.read_data(area.start, size)
        image.write_bytes(pickle.dumps((code, data)))


def _bring_in(pid: int, start: int, size: int) -> None:
    """Have the pages of a range in the page tables: nothing has been used yet, and what
    has not is neither translated nor loaded.
    """
    with contextlib.suppress(OSError), open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for page in range(start & -mmap.PAGESIZE, start + size, mmap.PAGESIZE):
            with contextlib.suppress(OSError):  # behind the end of the file
                os.pread(memory.fileno(), 1, page)


class Booster(Holder):
    """Attaches, and loads every region of the program."""

    def __init__(self, device: Device, directory: Path) -> None:
        self._device = device
        self._directory = directory
        self._regions: dict[str, list[Translation]] = {}
        self._attached: list[int] = []
        self._figures: Counter[str] = Counter()
        self._exits: Counter[str] = Counter()
        self._declines: Counter[str] = Counter()
        self._problems: Counter[str] = Counter()

    def hold(self, pid: int) -> None:
        """Attach ``pid`` if there are regions for it."""
        regions = self._regions_of(os.readlink(f"/proc/{pid}/exe"))
        if not regions:
            return
        # The module keeps the code of those that have ended until they are detached.
        self._sweep(ended=True)
        try:
            proc = self._device.attach(pid)
        except UbError as error:
            self._problems[error.message.replace(str(pid), "PID")] += 1
            return
        self._attached.append(proc)
        for translation in regions:
            for source in translation.sources:
                _bring_in(pid, source.start, len(source.data))
            try:
                self._load(proc, translation)
                self._figures["loads"] += 1
            except SourceChanged:
                self._problems["other code at this address"] += 1
            except Gone:
                break
            except UbError as error:
                self._problems[error.message] += 1

    def _load(self, proc: int, translation: Translation) -> None:
        """Load, also where those that are just ending still have the room for it."""
        for _ in range(_TRIES):
            try:
                self._device.load(proc, translation)
                return
            except UbError as error:
                cause = error.__cause__
                if not isinstance(cause, OSError) or cause.errno != errno.ENOSPC:
                    raise
            time.sleep(_PAUSE)
            self._sweep(ended=True)
        self._device.load(proc, translation)

    def take(self) -> dict[str, Any]:
        """Detach all; figures since the last time."""
        self._sweep(ended=False)
        taken = {
            **self._figures,
            "exits": dict(self._exits),
            "declines": dict(self._declines),
            "problems": dict(self._problems),
        }
        for each in self._figures, self._exits, self._declines, self._problems:
            each.clear()
        return taken

    def _regions_of(self, program: str) -> list[Translation]:
        if program not in self._regions:
            file = self._directory / f"{key_of(program)}.regions"
            found = pickle.loads(file.read_bytes()) if file.exists() else []
            self._regions[program] = found
        return self._regions[program]

    def _sweep(self, *, ended: bool) -> None:
        left = []
        for proc in self._attached:
            with contextlib.suppress(Gone):
                stats = self._device.stats(proc)
                if ended and not stats.gone:
                    left.append(proc)
                    continue
                self._add(stats)
            self._device.detach(proc)
        self._attached = left

    def _add(self, stats: Stats) -> None:
        self._figures["processes"] += 1
        self._figures["boosted"] += stats.dispatched > 0
        for name in ("native", "dispatched", "runs", "declined", "filtered"):
            self._figures[name] += getattr(stats, name)
        self._exits.update({r.name.lower(): n for r, n in stats.exits.items() if n})
        declines = {r.name.lower(): n for r, n in stats.declines.items() if n}
        self._declines.update(declines)


class Gate:
    """A socket at which programs wait; a context manager."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self._holder = holder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.unlink(missing_ok=True)
        self._socket.bind(str(path))
        path.chmod(0o777)
        self._socket.listen(128)
        self._socket.setblocking(False)

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Serve for at most so long; whether ``process`` has ended."""
        end = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([self._socket.fileno(), end], [], [], seconds)
        finally:
            os.close(end)
        if self._socket.fileno() in ready:
            self._serve()
        return process.poll() is not None

    def _serve(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return
        with connection:
            peer = connection.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size
            )
            pid = _PEER.unpack(peer)[0]
            # It may have been killed meanwhile.
            with contextlib.suppress(OSError, UbError):
                self._holder.hold(pid)
