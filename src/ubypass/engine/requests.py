# SPDX-License-Identifier: GPL-2.0-only
"""Serves the requests on the control socket of an engine, as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ubypass.engine.engine import Engine
from ubypass.engine.explain import explain, explain_region
from ubypass.engine.peak_rss import peak_rss_bytes
from ubypass.errors import UbError
from ubypass.process.namespace import own_namespace

__all__ = ["local_pid", "serve_detach", "serve_explain", "serve_stats"]


def serve_stats(engine: Engine, request: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of every process attached now."""
    for target in engine.targets:
        target.refresh_stats()
    return {
        "engine_pid": os.getpid(),
        "pid_namespace": own_namespace(),
        "engine_peak_bytes": peak_rss_bytes(),
        "processes": [target.summary().as_json() for target in engine.targets],
    }


def serve_explain(engine: Engine, request: Mapping[str, Any]) -> dict[str, Any]:
    """Explain the process, or the live region, with the number ``request["id"]``.

    ``request["numbers"]``: the numbers of that process by PID namespace.
    """
    wanted = request.get("id")
    pid = _local_number(request)
    for target in engine.targets:
        if pid == target.process.pid:
            return explain(target)
        for group in target.groups:
            if wanted == group.region:
                return explain_region(target, group)
    raise UbError(f"no attached process and no region has the number {wanted}")


def serve_detach(engine: Engine, request: Mapping[str, Any]) -> dict[str, Any]:
    """Leave a process native from now on; ``request`` as for ``serve_explain``."""
    pid = local_pid(request)
    for target in engine.targets:
        if target.process.pid == pid:
            engine.detach(target)
            return {"pid": pid}
    raise UbError(f"process {pid} is not attached")


def local_pid(request: Mapping[str, Any]) -> int:
    """The number of the requested process in the engine's PID namespace.

    Raises ``UbError`` if it has none.
    """
    pid = _local_number(request)
    if not isinstance(pid, int):
        raise UbError(f"no attached process has the number {request.get('id')}")
    return pid


def _local_number(request: Mapping[str, Any]) -> Any:
    here = str(own_namespace())
    return (request.get("numbers") or {here: request.get("id")}).get(here)
