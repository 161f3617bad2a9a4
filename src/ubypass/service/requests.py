# SPDX-License-Identifier: GPL-2.0-only
"""Serves the requests on the control socket of the service, as plain data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ubypass.engine.control import Handler
from ubypass.engine.requests import local_pid
from ubypass.service.supervisor import Supervisor

__all__ = ["STATUS_VERSION", "handlers", "status"]

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
