# SPDX-License-Identifier: GPL-2.0-only
"""The report of ``run`` and ``attach`` on the processes that were boosted."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ubypass.cli.process_figures import process_rows
from ubypass.files import write_text

__all__ = ["print_report", "say"]

#: Version of the summary as JSON; new keys do not change it.
_VERSION = 1


def say(line: str) -> None:
    """Print a line for people to stderr; the terminal may be gone."""
    with contextlib.suppress(OSError):
        print(f"ub: {line}", file=sys.stderr, flush=True)


def print_report(
    processes: Sequence[Mapping[str, Any]],
    *,
    peak: int,
    by_service: bool,
    as_json: bool,
    file: str | None,
    quiet: bool,
    left_out: int = 0,
    extra: Mapping[str, Any],
) -> None:
    """Print the summary to stderr and, as JSON, to ``file`` if given.

    ``processes``: as from ``Summary.as_json``; ``peak``: peak memory of the engine in
    bytes; ``left_out``: how many more processes there were; ``extra``: further keys.
    """
    data = {
        "version": _VERSION,
        **extra,
        "by_service": by_service,
        "engine_peak_bytes": peak,
        "processes": list(processes),
        "left_out": left_out,
    }
    if file is not None:
        # First: the terminal may be gone.
        write_text(Path(file), json.dumps(data, indent=1) + "\n")
    if as_json:
        print(json.dumps(data), file=sys.stderr)
    elif not quiet:
        if not processes:
            say(
                "the service attached no process"
                if by_service
                else "the program ended before it was attached"
            )
        for process in processes:
            print(_text(process, peak, by_service=by_service), file=sys.stderr)
        if left_out:
            say(f"{left_out:,} more processes were boosted before these")


def _text(data: Mapping[str, Any], peak: int, *, by_service: bool) -> str:
    """The report of one process."""
    (_, whose), *rows = process_rows({**data, "notes": []})
    engine = "of the service, " if by_service else ""
    rows.append(("engine", f"{engine}{peak / 2**20:.0f} MiB peak memory"))
    rows += [("note", note) for note in data["notes"]]
    width = max(len(name) for name, _ in rows)
    lines = [f"ub: process {whose}"]
    lines += [f"    {name:<{width}}  {value}" for name, value in rows]
    return "\n".join(lines)
