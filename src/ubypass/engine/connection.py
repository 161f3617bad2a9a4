# SPDX-License-Identifier: GPL-2.0-only
"""One client of a control socket: a request, then one answer or several.

Nothing here waits for the client: what it does not read is kept up to a bound, beyond
which the client is dropped.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ubypass.engine.engine import Engine

__all__ = ["REQUEST_MOST", "Connection", "peer_of"]

#: Bytes of a request.
REQUEST_MOST = 1 << 16

_UNREAD_MOST = 1 << 20  # bytes of messages that a lasting client has not read
_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid


def peer_of(client: socket.socket) -> tuple[int, int]:
    """PID and effective user of the process that has connected, by the kernel.

    Numbers of another namespace are 0 and the overflow user.
    """
    data = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(data)
    return pid, uid


class Connection:
    """Serves ``client`` from the loop of ``engine``; ``peer``: its PID.

    ``serve`` is called with the request, a line, and has to call :meth:`send` and
    :meth:`finish`, or :meth:`keep`. ``closed`` is called once, at the end.
    """

    def __init__(
        self,
        client: socket.socket,
        peer: int,
        engine: Engine,
        serve: Callable[[bytes, Connection], None],
        closed: Callable[[Connection], None],
    ) -> None:
        self.peer = peer
        self._client = client
        self._engine = engine
        self._serve: Callable[[bytes, Connection], None] | None = serve
        self._closed = closed
        self._ended: Callable[[], None] | None = None
        self._request = bytearray()
        self._unsent = bytearray()
        self._is_lasting = False
        self._is_open = True
        self._reads = True
        self._finishing = False
        client.setblocking(False)
        engine.watch(client.fileno(), self._ready)

    @property
    def is_lasting(self) -> bool:
        """Whether it stays open for more than one answer."""
        return self._is_lasting

    def keep(self, ended: Callable[[], None]) -> None:
        """Stay open after this request, for any number of messages.

        ``ended`` is called once: when the client has closed its end, or was dropped.
        Before that, :meth:`finish` prevents it.
        """
        self._is_lasting = True
        self._ended = ended
        if not self._is_open:
            self._end()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a line of JSON as soon as the client takes it; never waits."""
        if not self._is_open:
            return
        self._unsent += json.dumps(message).encode() + b"\n"
        self._flush()
        if self._is_lasting and len(self._unsent) > _UNREAD_MOST:
            self.drop()

    def finish(self) -> None:
        """Close once the client has taken all messages."""
        self._ended = None
        self._finishing = True
        if self._is_open:
            self._flush()

    def drop(self) -> None:
        """Close at once. Messages that the kernel has taken still reach the client."""
        if not self._is_open:
            return
        self._end()
        if not self._is_open:  # by what was told of the end
            return
        self._is_open = False
        self._engine.unwatch(self._client.fileno())
        self._client.close()
        self._closed(self)

    def _end(self) -> None:
        """Tell once that the client wants no more."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def _ready(self) -> None:
        """The socket is readable or writable."""
        # Another callback of the same round may have closed it.
        if self._is_open:
            self._flush()
        if self._is_open and self._reads:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._client.recv(REQUEST_MOST)
        except BlockingIOError:
            return
        except OSError:
            self.drop()
            return
        if not data:
            self._reads = False
            if self._is_lasting:
                self._end()
            # An answer may be on its way to a client that has closed only its end.
            if self._is_open and not (self._finishing and self._unsent):
                self.drop()
            return
        serve = self._serve
        if serve is None:
            return  # whatever comes after the request
        self._request += data
        if len(self._request) > REQUEST_MOST:
            self.drop()
        elif b"\n" in self._request:
            self._serve = None
            serve(bytes(self._request), self)

    def _flush(self) -> None:
        """Write what the socket takes now."""
        try:
            while self._unsent:
                del self._unsent[: self._client.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()
            self._finishing = True
        if self._finishing and not self._unsent:
            self.drop()
            return
        events = selectors.EVENT_WRITE if self._unsent else 0
        if self._reads:
            events |= selectors.EVENT_READ
        if events:
            self._engine.watch(self._client.fileno(), self._ready, events)
