# SPDX-License-Identifier: GPL-2.0-only
"""The control socket: other commands ask a running engine about its processes.

``/run/ubypass/ENGINE_PID.PID_NAMESPACE.sock``, in a directory for its owner only. One
JSON object per connection and line: ``{"ask": "stats"}`` or ``{"ask": "explain",
"pid": 1}``; the answer is one JSON object too, ``{"error": …}`` if the request
failed. Some requests keep their connection, on which messages follow, until the client
closes it. The engine never waits for a client; only root and the engine's own user are
served.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from ubypass.engine.connection import Connection, peer_of
from ubypass.errors import UbError, permission_hint
from ubypass.process.namespace import own_namespace

if TYPE_CHECKING:
    from ubypass.engine.engine import Engine

__all__ = [
    "CONTROL_DIRECTORY",
    "UNKNOWN_REQUEST",
    "Control",
    "Handler",
    "LastingHandler",
    "ask",
    "ask_all",
    "require_private",
    "socket_path",
]

CONTROL_DIRECTORY = Path("/run/ubypass")

#: The error for a request that the engine, perhaps an older one, does not know.
UNKNOWN_REQUEST = "unknown request"

_CLIENTS_MOST = 128
_LASTING_MOST = 112  # of these; the others are for short requests, as a pause
_ASK_SECONDS = 30.0  # an answer may wait for a build
_ALL_SECONDS = 5.0  # if other engines have answered
_STOPPED_SECONDS = 0.5
_LOOK = 0.1

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]

#: Serves a request that keeps its connection; has to call ``Connection.keep``.
LastingHandler = Callable[[Mapping[str, Any], Connection], None]


def socket_path(pid: int, directory: Path = CONTROL_DIRECTORY) -> Path:
    """The socket of engine ``pid`` of this PID namespace.

    Engines in different namespaces may have the same number and share the directory.
    """
    return directory / f"{pid}.{own_namespace()}.sock"


class Control:
    """Serves requests from an engine's loop.

    ``handlers`` by name of the request; ``lasting``: those that keep the connection.
    """

    def __init__(
        self,
        engine: Engine,
        handlers: Mapping[str, Handler],
        directory: Path = CONTROL_DIRECTORY,
        lasting: Mapping[str, LastingHandler] | None = None,
    ) -> None:
        self._engine = engine
        self._handlers = handlers
        self._lasting = lasting or {}
        self._clients: dict[Connection, None] = {}  # the oldest first
        self._path = socket_path(os.getpid(), directory)
        self._server = _listen(self._path)
        # Its number is for a client that has to be refused for want of another one.
        self._reserve = _reserve()
        engine.watch(self._server.fileno(), self._accept)

    def close(self) -> None:
        """Stop serving and remove the socket."""
        for client in list(self._clients):
            client.drop()
        self._engine.unwatch(self._server.fileno())
        self._server.close()
        self._close_reserve()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            client, _ = self._server.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._turn_away()
            return
        try:
            peer, uid = peer_of(client)
        except OSError:
            client.close()
            return
        # The directory keeps others out; not what inherited a descriptor of it.
        if uid not in (0, os.geteuid()) or not self._make_room():
            client.close()
            return
        closed = self._clients.pop
        self._clients[Connection(client, peer, self._engine, self._serve, closed)] = (
            None
        )

    def _make_room(self) -> bool:
        """Drop the oldest client with a short request if there are too many."""
        if len(self._clients) >= _CLIENTS_MOST:
            for client in self._clients:
                if not client.is_lasting:
                    client.drop()
                    break
        return len(self._clients) < _CLIENTS_MOST

    def _turn_away(self) -> None:
        """Close a waiting connection: it would wake the loop for ever."""
        self._close_reserve()
        with contextlib.suppress(OSError):
            self._server.accept()[0].close()
        self._reserve = _reserve()

    def _close_reserve(self) -> None:
        if self._reserve >= 0:
            os.close(self._reserve)

    def _serve(self, request: bytes, client: Connection) -> None:
        try:
            question = json.loads(request)
            name = question["ask"]
            lasting = self._lasting.get(name)
            handler = None if lasting else self._handlers[name]
        except (ValueError, KeyError, TypeError, RecursionError):
            client.send({"error": UNKNOWN_REQUEST})
            client.finish()
            return
        try:
            if lasting is not None:
                if sum(each.is_lasting for each in self._clients) >= _LASTING_MOST:
                    raise UbError(
                        f"{_LASTING_MOST} other commands have lasting requests",
                        "end some of them, or use --own-engine",
                    )
                lasting(question, client)
                return
            assert handler is not None
            answer = handler(question)
        except UbError as error:
            answer = {"error": error.message, "hint": error.hint}
        except Exception as error:
            answer = {"error": f"internal error: {type(error).__name__}: {error}"}
        client.send(answer)
        client.finish()


def ask(path: Path, question: Mapping[str, Any], seconds: float = _ASK_SECONDS) -> Any:
    """Send the request ``question`` to the engine that listens at ``path``; the answer.

    ``seconds``: time limit. Raises ``UbError`` for an error in the answer, ``OSError``
    if there is none.
    """
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(seconds)
        client.connect(str(path))
        client.sendall(json.dumps(question).encode() + b"\n")
        parts = []
        while part := client.recv(1 << 16):
            parts.append(part)
            client.settimeout(max(deadline - time.monotonic(), 0.001))
    try:
        answer = json.loads(b"".join(parts))
    except ValueError as error:
        raise ConnectionResetError("the engine has ended") from error
    if "error" in answer:
        raise UbError(answer["error"], answer.get("hint", ""))
    return answer


def ask_all(
    question: Mapping[str, Any], directory: Path = CONTROL_DIRECTORY
) -> tuple[list[Any], list[UbError]]:
    """Answers of the engines of this machine, and an error for each silent one.

    All are asked at once. One that does not answer is waited for only briefly if others
    have answered, or if it is stopped. Sockets of dead engines are removed. Raises
    ``UbError`` if there is no permission, or if all engines that answer report errors.
    """
    try:
        paths = sorted(directory.glob("*.sock"))
        if not paths and directory.exists() and not os.access(directory, os.R_OK):
            raise PermissionError
    except PermissionError as error:
        raise UbError(
            f"no permission to read {directory}", permission_hint()
        ) from error
    if paths:
        require_private(directory)
    found = _ask_each(paths, question)
    answers = [found[path] for path in paths if isinstance(found.get(path), dict)]
    errors = [each for each in found.values() if isinstance(each, UbError)]
    silent = [_complaint(p, found.get(p)) for p in paths if _no_answer(p, found)]
    if errors and not answers:
        also = "".join(f"; {each.message}" for each in silent)
        raise UbError(errors[0].message + also, errors[0].hint)
    return answers, silent


_Answer = dict[str, Any] | UbError | OSError


def _ask_each(
    paths: Sequence[Path], question: Mapping[str, Any]
) -> dict[Path, _Answer]:
    """Answers and errors that arrived in time, by socket."""
    queue: SimpleQueue[tuple[Path, _Answer]] = SimpleQueue()

    def put(path: Path) -> None:
        try:
            queue.put((path, ask(path, question)))
        except (UbError, OSError) as error:
            queue.put((path, error))

    for path in paths:
        # As daemons: the end of this process does not wait for an answer.
        Thread(target=put, args=(path,), daemon=True).start()
    began = time.monotonic()
    found: dict[Path, _Answer] = {}
    while waiting := [path for path in paths if path not in found]:
        seconds = _ASK_SECONDS
        if all(_is_stopped(path) for path in waiting):
            seconds = _STOPPED_SECONDS
        elif any(isinstance(each, dict) for each in found.values()):
            seconds = _ALL_SECONDS
        left = began + seconds - time.monotonic()
        if left <= 0:
            break
        with contextlib.suppress(Empty):
            path, answer = queue.get(timeout=min(left, _LOOK))
            found[path] = answer
    return found


def _no_answer(path: Path, found: Mapping[Path, _Answer]) -> bool:
    """Whether an engine lives there and is silent; a dead one's socket is removed."""
    answer = found.get(path)
    if isinstance(answer, (ConnectionRefusedError, FileNotFoundError)):
        with contextlib.suppress(OSError):
            path.unlink()
        return False
    return answer is None or isinstance(answer, OSError)


def _complaint(path: Path, error: object) -> UbError:
    pid = _engine_of(path)
    if _is_stopped(path):
        why, hint = "the process is stopped", f"to continue it: kill -CONT {pid}"
    elif isinstance(error, OSError) and not isinstance(error, TimeoutError):
        why, hint = error.strerror or str(error), "try again in a moment"
    else:
        why, hint = "it is busy, perhaps translating", "try again in a moment"
    return UbError(f"engine {pid} does not answer: {why}", hint)


def _engine_of(path: Path) -> str:
    """The number of the engine that listens there, in its own PID namespace."""
    return path.name.partition(".")[0]


def _is_stopped(path: Path) -> bool:
    """Whether the engine of that socket was stopped, by Ctrl-Z or a debugger."""
    try:
        text = Path(f"/proc/{_engine_of(path)}/stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] in (["T"], ["t"])


def require_private(directory: Path) -> None:
    """Raise ``UbError`` unless the directory belongs to this user only."""
    found = directory.lstat()
    why = ""
    if not stat.S_ISDIR(found.st_mode):
        why = "it is not a directory"
    elif found.st_uid != os.geteuid():
        why = f"it belongs to user {found.st_uid}"
    elif found.st_mode & 0o077:
        why = f"others have access to it (mode {found.st_mode & 511:o})"
    if why:
        raise UbError(
            f"{directory} cannot be trusted: {why}",
            f"as root, while no engine runs: rm -r {directory}",
        )


def _reserve() -> int:
    """A descriptor of no use but its number; -1 if there is none left."""
    with contextlib.suppress(OSError):
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    return -1


def _listen(path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(path.parent)
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(str(path))
    except OSError as error:
        raise UbError(
            f"cannot listen on {path}: {error.strerror}", permission_hint()
        ) from error
    server.setblocking(False)
    server.listen(_CLIENTS_MOST)
    return server
