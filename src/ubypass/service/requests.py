# SPDX-License-Identifier: GPL-2.0-only
"""Serves the requests on the control socket of the service, as plain data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ubypass.engine.connection import Connection
from ubypass.engine.control import Handler, LastingHandler
from ubypass.engine.peak_rss import peak_rss_bytes
from ubypass.engine.requests import local_pid
from ubypass.errors import UbError
from ubypass.process.status import ProcessId, identify
from ubypass.service.client import BOOST
from ubypass.service.leases import Lease
from ubypass.service.supervisor import Supervisor

__all__ = ["STATUS_VERSION", "handlers", "lasting_handlers", "status"]

#: Version of the output of ``ub service status --json``; new keys do not change it.
STATUS_VERSION = 1


def handlers(supervisor: Callable[[], Supervisor], config: str) -> dict[str, Handler]:
    """Handlers by the name of the request; ``config``: path of the configuration file.

    ``supervisor`` is called for each request, since the socket is created first.
    """

    def act(name: str) -> Handler:
        def serve(request: Mapping[str, Any]) -> Mapping[str, Any]:
            getattr(supervisor(), name)()
            return status(supervisor(), config)

        return serve

    def release(request: Mapping[str, Any]) -> Mapping[str, Any]:
        pid = local_pid(request)
        supervisor().release(pid)
        return {"pid": pid}

    return {
        "detach": release,
        "service-status": lambda request: status(supervisor(), config),
        **{f"service-{name}": act(name) for name in ("pause", "resume", "reload")},
    }


def lasting_handlers(
    supervisor: Callable[[], Supervisor],
) -> dict[str, LastingHandler]:
    """Handlers of requests that keep their connection.

    ``BOOST`` boosts ``processes`` (each with ``start``, and ``id`` or ``numbers``) with
    their ``children`` until the client closes its end. Messages follow: states of
    :meth:`Supervisor.grant`, and at the end ``state`` "over" with all figures.
    """

    def boost(request: Mapping[str, Any], client: Connection) -> None:
        lease = Lease(
            _processes(request.get("processes")),
            children=request.get("children") is True,
            started_ns=_nanoseconds(request.get("started_ns")),
            tell=client.send,
        )

        def ended() -> None:
            supervisor().withdraw(lease)
            client.send(
                {
                    "state": "over",
                    "engine_peak_bytes": peak_rss_bytes(),
                    **lease.figures(),
                }
            )
            client.finish()

        # First: the client may go away at any moment.
        client.keep(ended)
        try:
            supervisor().grant(lease)
        except BaseException:
            supervisor().withdraw(lease)
            raise

    return {BOOST: boost}


def _processes(found: Any) -> list[ProcessId]:
    """The processes that a request names; raises ``UbError``."""
    if not isinstance(found, list) or not found:
        raise UbError("the request names no process")
    processes: dict[ProcessId, None] = {}
    for each in found:
        if not isinstance(each, dict):
            raise UbError("the request names no process")
        process = identify(local_pid(each), patience=0.05)
        if process.start != each.get("start"):
            raise UbError(f"process {process.pid} has already exited")
        processes[process] = None
    return list(processes)


def _nanoseconds(found: Any) -> int:
    return found if isinstance(found, int) and found > 0 else 0


def status(supervisor: Supervisor, config: str) -> dict[str, Any]:
    """The service's state and its figures by rule."""
    now = supervisor.snapshot()
    return {
        "version": STATUS_VERSION,
        "pid": os.getpid(),
        "since": _iso(now.started),
        "paused_by": now.paused or None,
        "config": config,
        "config_since": _iso(now.reloaded),
        "config_error": now.reload_error or None,
        "processes": sum(rule.processes for rule in now.rules),
        "boosted": sum(rule.boosted for rule in now.rules),
        "waiting": now.waiting,
        "refused": dict(now.refused),
        "rules": [rule.as_json() for rule in now.rules],
        "cpu_seconds": now.cpu_seconds,
        "throttled_seconds": now.throttled_seconds,
        "memory_bytes": now.memory_bytes,
        "store": now.store,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
