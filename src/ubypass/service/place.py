# SPDX-License-Identifier: GPL-2.0-only
"""The address of the machine's service: a link to its control socket.

The link is in the directory of the engines' sockets, which only root can access. A file
lock, released by the kernel at any end of the daemon, ensures that there is only one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ubypass.engine.control import (
    CONTROL_DIRECTORY,
    ask,
    require_private,
    socket_path,
)
from ubypass.errors import UbError, permission_hint

__all__ = [
    "EX_NOT_RUNNING",
    "SERVICE_LINK",
    "NotRunning",
    "ask_service",
    "only_one",
    "pause_file",
]

#: The name of the link in the directory of the sockets.
SERVICE_LINK = "service"

_LOCK = "service.lock"
_PAUSED = "service.paused"

#: Exit status if no service runs: the status of LSB init scripts.
EX_NOT_RUNNING = 3


class NotRunning(UbError):
    """No service runs on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "the service is not running",
            "to start it: systemctl start ubypass, or 'ub service run' in the "
            "foreground",
            EX_NOT_RUNNING,
        )


def pause_file(directory: Path = CONTROL_DIRECTORY) -> Path:
    """The file that exists during an operator's pause; gone after a boot."""
    return directory / _PAUSED


@contextlib.contextmanager
def only_one(directory: Path = CONTROL_DIRECTORY) -> Iterator[None]:
    """Become the service of this machine; raises ``UbError`` if there is one already.

    The process must already listen at its control socket.
    """
    require_private(directory)
    lock = os.open(
        directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UbError(
                "the service is already running", "see: ub service status"
            ) from error
        link = directory / SERVICE_LINK
        fresh = directory / f".{SERVICE_LINK}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(socket_path(os.getpid(), directory).name)
        fresh.replace(link)
        try:
            yield
        finally:
            link.unlink(missing_ok=True)
    finally:
        os.close(lock)


def ask_service(
    question: Mapping[str, Any], directory: Path = CONTROL_DIRECTORY
) -> Mapping[str, Any]:
    """Send a request to the service and return the answer.

    Raises :class:`NotRunning`; or ``UbError`` for an error in the answer, for missing
    permission, or without an answer.
    """
    link = directory / SERVICE_LINK
    try:
        require_private(directory)
        answer: Mapping[str, Any] = ask(link, question)
    except PermissionError as error:
        raise UbError(
            f"no permission to read {directory}", permission_hint()
        ) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning from error
    except OSError as error:
        why = "it is busy or stopped" if isinstance(error, TimeoutError) else error
        raise UbError(
            f"the service does not answer: {why}", "try again in a moment"
        ) from error
    return answer
