# SPDX-License-Identifier: GPL-2.0-only
"""What an engine answers on its control socket, as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ubypass.engine.engine import Engine
from ubypass.engine.explain import explain, explain_region
from ubypass.engine.peak import peak_bytes
from ubypass.errors import UbError
from ubypass.process.namespace import own_namespace

__all__ = ["answer_explain", "answer_stats"]


def answer_stats(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of every process attached now."""
    for target in engine.targets:
        target.refresh_stats()
    return {
        "engine_pid": os.getpid(),
        "pid_namespace": own_namespace(),
        "engine_peak_bytes": peak_bytes(),
        "processes": [target.summary().as_json() for target in engine.targets],
    }


def answer_explain(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    """The process, or the live region, with the number ``question["id"]``.

    ``question["numbers"]``: what numbers such a process has, by PID namespace.
    """
    wanted = question.get("id")
    numbers = question.get("numbers") or {str(own_namespace()): wanted}
    pid = numbers.get(str(own_namespace()))
    for target in engine.targets:
        if pid == target.process.pid:
            return explain(target)
        for group in target.groups:
            if wanted == group.region:
                return explain_region(target, group)
    raise UbError(f"no attached process and no region has the number {wanted}")
