# SPDX-License-Identifier: GPL-2.0-only
"""Asks the service to boost processes, for as long as the asking command runs.

The connection is the request: the kernel closes it when the command ends for any
reason, and the service then lets go of the processes.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ubypass.engine.control import UNKNOWN_REQUEST, require_private
from ubypass.errors import UbError
from ubypass.process.namespace import numbers_of
from ubypass.process.status import ProcessId
from ubypass.service.place import SERVICE_LINK

__all__ = ["BOOST", "Client", "connect", "unanswered"]

#: The name of the request.
BOOST = "service-boost"

_CONNECT_SECONDS = 2.0
_AGAIN_SECONDS = 0.05  # between attempts, while many others are waiting
_END_SECONDS = 5.0  # until the final figures; the daemon may be building


def connect(directory: Path) -> Client | None:
    """A connection to the service; None if none runs or this user may not ask it.

    Raises ``UbError`` if it runs and does not accept connections.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        require_private(directory)
        client.settimeout(_CONNECT_SECONDS)
        _connect(client, str(directory / SERVICE_LINK))
    except (TimeoutError, BlockingIOError) as error:
        client.close()
        raise UbError(
            "the service does not answer: it is busy or stopped",
            "try again, or use --own-engine",
        ) from error
    except (OSError, UbError):
        client.close()
        return None
    return Client(client)


def unanswered() -> Client:
    """A client without a connection: nothing is boosted for it."""
    client = Client(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    client.close()
    return client


def _connect(client: socket.socket, path: str) -> None:
    """Connect; again for a while if the queue of connections is full."""
    deadline = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            client.connect(path)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return


class Client:
    """A connection to the service. Its messages have the key ``state``."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = bytearray()
        self._is_over = False
        self._final: Mapping[str, Any] | None = None

    def fileno(self) -> int:
        """Readable when :meth:`messages` has something new."""
        return self._socket.fileno()

    @property
    def is_over(self) -> bool:
        """Whether no more messages will come."""
        return self._is_over

    def begin(
        self, processes: Sequence[ProcessId], *, children: bool, started_ns: int = 0
    ) -> None:
        """Request that they be boosted; the answers come as messages."""
        question = {
            "ask": BOOST,
            "processes": [
                {
                    "id": process.pid,
                    "start": process.start,
                    "numbers": numbers_of(process.pid),
                }
                for process in processes
            ],
            "children": children,
            "started_ns": started_ns,
        }
        with contextlib.suppress(OSError):  # it has ended; the messages say so
            self._socket.sendall(json.dumps(question).encode() + b"\n")

    def messages(self, seconds: float = 0.0) -> list[Mapping[str, Any]]:
        """What has arrived, or arrives within ``seconds``; empty if nothing has.

        Raises ``UbError`` if the service has refused the request.
        """
        if self._is_over:
            return []
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(1 << 16)
        except (BlockingIOError, TimeoutError):
            return []
        except OSError:
            data = b""
        if not data:
            self._is_over = True
            return []
        self._received += data
        *lines, rest = bytes(self._received).split(b"\n")
        self._received = bytearray(rest)
        return [message for line in lines if (message := self._message(line))]

    def end(self) -> Mapping[str, Any] | None:
        """Withdraw the request; the final figures, None if the service gave none.

        ``processes`` has the figures of all that were attached.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + _END_SECONDS
        while not self._is_over and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(UbError):
                self.messages(left)
        self.close()
        return self._final

    def close(self) -> None:
        """Withdraw the request, without waiting for figures."""
        self._is_over = True
        self._socket.close()

    def _message(self, line: bytes) -> Mapping[str, Any] | None:
        """A message; None if it is only for this object."""
        try:
            message = json.loads(line)
        except ValueError:
            message = {}
        if not isinstance(message, dict):
            message = {}
        if error := message.get("error"):
            if error == UNKNOWN_REQUEST:
                raise UbError(
                    "the running service is of another version than this ub",
                    "systemctl restart ubypass, or use --own-engine",
                )
            raise UbError(str(error), str(message.get("hint", "")))
        if message.get("state") == "over":
            self._final = message
            self._is_over = True
            return None
        return message
