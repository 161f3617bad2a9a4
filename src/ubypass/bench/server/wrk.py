# SPDX-License-Identifier: GPL-2.0-only
"""wrk: a load of HTTP requests that compares the body of each reply with a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ubypass.bench.server.measure import Checked, Load
from ubypass.bench.server.process import needs, output_until
from ubypass.errors import UbError
from ubypass.places import workload_sources

__all__ = ["load", "load_command", "read_load"]

_ENDLESS = 1_000_000  # seconds
_SCRIPT = workload_sources() / "checked.lua"


def load_command(port: int, file: Path, clients: int) -> list[str]:
    """wrk with an endless load of ``clients`` connections that fetch ``file``.

    The server has it in its root directory. The output is for :func:`read_load`. Raises
    UbError if wrk is not installed.
    """
    return [
        *(needs("wrk", "wrk"), "-t", "1", "-c", str(clients)),
        *("-d", f"{_ENDLESS}s", "-s", str(_SCRIPT), "--timeout", "8s"),
        *(f"http://127.0.0.1:{port}/{file.name}", "--", str(file)),
    ]


def load(command: list[str], seconds: float) -> Load:
    """Run :func:`load_command` for ``seconds``; failed replies count as wrong ones.

    Raises UbError if wrk fails.
    """
    done, errors = read_load(output_until(command, seconds))
    return replace(done, checked=done.checked + Checked(errors, errors))


def read_load(out: str) -> tuple[Load, int]:
    """The result of wrk, and the number of failed connections or replies.

    Raises UbError if the output has none.
    """
    try:
        data = json.loads(out.splitlines()[-1])
        checked = Checked(data["checked"], data["wrong"])
        done = Load(data["requests"], data["microseconds"] * 1000, checked)
        return done, int(data["errors"])
    except (ValueError, LookupError, TypeError) as error:
        raise UbError(f"wrk printed no result but {out!r}") from error
