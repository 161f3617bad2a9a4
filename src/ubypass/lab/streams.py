# SPDX-License-Identifier: GPL-2.0-only
"""Moves bytes between a running machine and the caller, and follows its progress.

Parses the lines of the control port (see ``init.sh``).
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ubypass.lab.qemu import Machine

__all__ = ["Sink", "Transcript", "follow"]

Sink = Callable[[bytes], None]

_CHUNK = 1 << 16


@dataclass
class Transcript:
    """All output of a machine.

    ``started_at``: time.monotonic() at the start of the command, None before.
    ``failure``: why the guest could not start the command. ``log`` is complete only if
    ``complete``. ``expired``: "boot" or "command" after a time limit.
    ``machine_error``: QEMU's own messages. ``boot_seconds``: from the start of the
    machine to the start of the command.
    """

    console: bytearray = field(default_factory=bytearray)
    control: bytearray = field(default_factory=bytearray)
    log: bytearray = field(default_factory=bytearray)
    started_at: float | None = None
    status: int | None = None
    failure: str = ""
    complete: bool = False
    expired: str = ""
    machine_error: str = ""
    boot_seconds: float = 0.0
    _in_log: bool = False

    def feed_control(self, data: bytes) -> None:
        """Process bytes from the control port."""
        self.control += data
        while not self._in_log:
            line, newline, rest = self.control.partition(b"\n")
            if not newline:
                return
            self.control = rest
            word, _, text = line.decode(errors="replace").partition(" ")
            if word == "start":
                self.started_at = time.monotonic()
            elif word == "status":
                self.status = int(text)
            elif word == "failed":
                self.failure = text
            elif word == "log":
                self._in_log = True
        self.log, self.control = self.log + self.control, bytearray()
        # Lines of dmesg begin with "<level>": "end" cannot be one of them.
        if self.log.endswith(b"\nend\n") or self.log == b"end\n":
            del self.log[-4:]
            self.complete = True


def follow(
    machine: Machine,
    *,
    stdin: int | None,
    stdout: Sink,
    stderr: Sink,
    started: Callable[[], None],
    boot_timeout: float,
    timeout: float,
) -> Transcript:
    """Serve the machine's streams until its end or a time limit (seconds).

    ``stdin``: a file descriptor to pass on, or None. ``started`` is called when the
    guest starts the command.
    """
    transcript = Transcript()
    streams = machine.streams
    deadline = time.monotonic() + boot_timeout
    running = False
    sinks: dict[str, Sink] = {
        "console": transcript.console.extend,
        "ub.ctl": transcript.feed_control,
        "ub.out": stdout,
        "ub.err": stderr,
    }
    with selectors.DefaultSelector() as selector:
        for name, sink in sinks.items():
            selector.register(streams[name], selectors.EVENT_READ, sink)
        while not (transcript.complete or transcript.failure):
            left = deadline - time.monotonic()
            if left <= 0:
                transcript.expired = "command" if running else "boot"
                break
            gone = False
            for key, events in selector.select(min(left, 3600.0)):
                if isinstance(key.data, _Feeder):
                    key.data.serve(events)
                    continue
                assert isinstance(key.fileobj, socket.socket)
                data = _receive(key.fileobj)
                if data:
                    key.data(data)
                else:
                    gone = True
            if transcript.started_at is not None and not running:
                running = True
                deadline = transcript.started_at + timeout
                # Not earlier: a machine that never starts must not consume the input.
                _Feeder(selector, stdin, streams["ub.in"])
                started()
            if gone and machine.process.poll() is not None:
                break
        _drain(sinks, streams)
    return transcript


def _receive(stream: socket.socket) -> bytes:
    try:
        return stream.recv(_CHUNK)
    except ConnectionError:
        return b""


def _drain(sinks: dict[str, Sink], streams: dict[str, socket.socket]) -> None:
    """Pass on data that has already arrived when the loop ends."""
    for name, sink in sinks.items():
        streams[name].setblocking(False)
        while True:
            try:
                data = _receive(streams[name])
            except BlockingIOError:
                break
            if not data:
                break
            sink(data)


class _Feeder:
    """Copies the bytes of a file descriptor to the guest without blocking.

    One chunk is buffered: more is read only after it has been sent, so a slow guest
    throttles the source as a pipe does.
    """

    def __init__(
        self, selector: selectors.BaseSelector, source: int | None, to: socket.socket
    ) -> None:
        self._selector = selector
        self._to = to
        self._pending = b""
        self._source = source
        self._pollable = True
        to.setblocking(False)
        if source is None:
            to.shutdown(socket.SHUT_WR)
            return
        try:
            selector.register(source, selectors.EVENT_READ, self)
        except PermissionError:
            # epoll refuses regular files, which are always readable.
            self._pollable = False
            self._read()

    def serve(self, events: int) -> None:
        """Called by the loop when the source or the guest's stream is ready."""
        if events & selectors.EVENT_WRITE:
            self._write()
        else:
            self._read()

    def _read(self) -> None:
        assert self._source is not None
        if self._pollable:
            self._selector.unregister(self._source)
        self._pending = os.read(self._source, _CHUNK)
        if self._pending:
            self._selector.register(self._to, selectors.EVENT_WRITE, self)
        else:
            self._to.shutdown(socket.SHUT_WR)

    def _write(self) -> None:
        assert self._source is not None
        try:
            sent = self._to.send(self._pending)
        except BlockingIOError:
            return
        except ConnectionError:
            self._selector.unregister(self._to)
            return
        self._pending = self._pending[sent:]
        if self._pending:
            return
        self._selector.unregister(self._to)
        if self._pollable:
            self._selector.register(self._source, selectors.EVENT_READ, self)
        else:
            self._read()
