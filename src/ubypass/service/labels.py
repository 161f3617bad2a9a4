# SPDX-License-Identifier: GPL-2.0-only
"""Labels of containers, from the state of Docker and Podman on disk.

Nothing is asked of a container runtime, whose sockets give the right to be root.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ubypass.errors import UbError
from ubypass.files import open_regular

__all__ = ["Labels"]

_DOCKER = Path("/var/lib/docker/containers")
_PODMAN = Path("/var/lib/containers/storage/db.sql")
_ID = re.compile(r"[0-9a-f]{64}")
_BYTES_MOST = 4 << 20
_KNOWN_MOST = 1024  # containers
_LABELS_MOST = 64 << 10  # characters of all labels of one; with more, none counts
_AGAIN = 10.0  # seconds after which a container without state is looked up again
_BUSY_SECONDS = 0.1  # to wait for a database that is being written


class Labels:
    """Reads the labels of each container once; they cannot change while it exists.

    ``docker``: the directory of Docker's containers; ``podman``: the database of
    Podman, from version 5.
    """

    def __init__(
        self,
        docker: Path = _DOCKER,
        podman: Path = _PODMAN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._docker = docker
        self._podman = podman
        self._clock = clock
        self._known: dict[str, tuple[str, ...]] = {}
        self._missing: dict[str, float] = {}  # the time until which it is not read

    def of(self, containers: Sequence[str]) -> tuple[str, ...]:
        """Labels as ``key=value`` of the containers with these ids, in full.

        Other names are ignored. Empty if nothing is known of them.
        """
        found: dict[str, None] = {}
        for each in containers:
            if _ID.fullmatch(each):
                found.update(dict.fromkeys(self._one(each)))
        return tuple(found)

    def _one(self, container: str) -> tuple[str, ...]:
        if container in self._known:
            return self._known[container]
        now = self._clock()
        if self._missing.get(container, now) > now:
            return ()
        found = self._from_docker(container)
        if found is None:
            found = self._from_podman(container)
        for table in self._known, self._missing:
            if len(table) >= _KNOWN_MOST:
                del table[next(iter(table))]  # the oldest
        if found is None:
            # A new container may not have been written yet.
            self._missing[container] = now + _AGAIN
            return ()
        self._missing.pop(container, None)
        fits = sum(map(len, found)) <= _LABELS_MOST
        self._known[container] = found if fits else ()
        return found

    def _from_docker(self, container: str) -> tuple[str, ...] | None:
        path = self._docker / container / "config.v2.json"
        try:
            with open_regular(path, follow=False) as file:
                text = file.read(_BYTES_MOST + 1)
        except (OSError, UbError):
            return None
        if len(text) > _BYTES_MOST:
            return None
        data = _parsed(text)
        config = data.get("Config") if isinstance(data, dict) else None
        return _labels(config.get("Labels")) if isinstance(config, dict) else None

    def _from_podman(self, container: str) -> tuple[str, ...] | None:
        try:
            # SQLite opens what is there, and a FIFO would block.
            with open_regular(self._podman, follow=False):
                pass
            address = f"{self._podman.absolute().as_uri()}?mode=ro"
            with contextlib.closing(
                sqlite3.connect(address, timeout=_BUSY_SECONDS, uri=True)
            ) as base:
                row = base.execute(
                    "SELECT JSON FROM ContainerConfig "
                    "WHERE ID = ? AND length(JSON) <= ?",
                    (container, _BYTES_MOST),
                ).fetchone()
        except (OSError, UbError, sqlite3.Error):
            return None
        data = _parsed(row[0]) if row is not None else None
        return _labels(data.get("labels")) if isinstance(data, dict) else None


def _parsed(text: Any) -> Any:
    """The JSON in ``text``; None if it is none."""
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        return json.loads(text)
    return None


def _labels(found: Any) -> tuple[str, ...]:
    """An object of strings as words; none without one."""
    if not isinstance(found, dict):
        return ()
    return tuple(f"{k}={v}" for k, v in found.items() if isinstance(v, str))
