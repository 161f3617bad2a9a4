# SPDX-License-Identifier: GPL-2.0-only
"""The control socket: other commands ask a running engine about its processes.

``/run/ubypass/ENGINE_PID.sock``, in a directory for its owner only. One JSON
object per connection and line: ``{"ask": "stats"}`` or ``{"ask": "explain",
"pid": 1}``; the answer is one JSON object too, ``{"error": …}`` if it cannot be
given. A client that dawdles is dropped: the engine never waits for one.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ubypass.engine.engine import Engine
from ubypass.errors import UbError, permission_hint

__all__ = ["CONTROL_DIRECTORY", "Control", "ask", "ask_all"]

CONTROL_DIRECTORY = Path("/run/ubypass")

_REQUEST_MAX = 4096
_SEND_SECONDS = 2.0
_ASK_SECONDS = 30.0  # an answer may wait for a build

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Control:
    """Serves ``handlers`` (by the name that is asked for) from an engine's loop."""

    def __init__(
        self,
        engine: Engine,
        handlers: Mapping[str, Handler],
        directory: Path = CONTROL_DIRECTORY,
    ) -> None:
        self._engine = engine
        self._handlers = handlers
        self._clients: dict[int, tuple[socket.socket, bytearray]] = {}
        self._path = directory / f"{os.getpid()}.sock"
        self._server = _listen(self._path)
        engine.watch(self._server.fileno(), self._accept)

    def close(self) -> None:
        """Stop serving and remove the socket."""
        for fd in list(self._clients):
            self._drop(fd)
        self._engine.unwatch(self._server.fileno())
        self._server.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            client, _ = self._server.accept()
        except OSError:
            return
        client.setblocking(False)
        fd = client.fileno()
        self._clients[fd] = (client, bytearray())
        self._engine.watch(fd, lambda: self._receive(fd))

    def _receive(self, fd: int) -> None:
        client, request = self._clients[fd]
        try:
            data = client.recv(_REQUEST_MAX)
        except OSError:
            data = b""
        request += data
        if not data or len(request) > _REQUEST_MAX:
            self._drop(fd)
        elif b"\n" in request:
            with contextlib.suppress(OSError):
                client.settimeout(_SEND_SECONDS)
                client.sendall(json.dumps(self._answer(bytes(request))).encode())
            self._drop(fd)

    def _answer(self, request: bytes) -> Mapping[str, Any]:
        try:
            question = json.loads(request)
            handler = self._handlers[question["ask"]]
        except (ValueError, KeyError, TypeError):
            return {"error": "not a question that this engine knows"}
        try:
            return handler(question)
        except UbError as error:
            return {"error": error.message, "hint": error.hint}
        except Exception as error:
            return {"error": f"internal error: {type(error).__name__}: {error}"}

    def _drop(self, fd: int) -> None:
        client, _ = self._clients.pop(fd)
        self._engine.unwatch(fd)
        client.close()


def ask(path: Path, question: Mapping[str, Any]) -> Any:
    """Put ``question`` to the engine that listens at ``path``.

    Raises ``UbError`` for an error in the answer, ``OSError`` if nobody answers.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_ASK_SECONDS)
        client.connect(str(path))
        client.sendall(json.dumps(question).encode() + b"\n")
        parts = []
        while part := client.recv(1 << 16):
            parts.append(part)
    try:
        answer = json.loads(b"".join(parts))
    except ValueError as error:
        raise ConnectionResetError("the engine went away") from error
    if "error" in answer:
        raise UbError(answer["error"], answer.get("hint", ""))
    return answer


def ask_all(
    question: Mapping[str, Any], directory: Path = CONTROL_DIRECTORY
) -> list[Any]:
    """Answers of every engine of this machine; sockets of dead ones are removed.

    Raises ``UbError`` if there is no permission, or if all engines report errors.
    """
    try:
        paths = sorted(directory.glob("*.sock"))
        if not paths and directory.exists() and not os.access(directory, os.R_OK):
            raise PermissionError
    except PermissionError as error:
        raise UbError(
            f"no permission to look into {directory}", permission_hint()
        ) from error
    answers = []
    errors: list[UbError] = []
    for path in paths:
        try:
            answers.append(ask(path, question))
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(OSError):
                path.unlink()  # its engine was killed
        except UbError as error:
            errors.append(error)
        except OSError as error:
            errors.append(UbError(f"the engine at {path} does not answer: {error}"))
    if errors and not answers:
        raise errors[0]
    return answers


def _listen(path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(str(path))
    except OSError as error:
        raise UbError(
            f"cannot listen at {path}: {error.strerror}", permission_hint()
        ) from error
    server.setblocking(False)
    server.listen(4)
    return server
