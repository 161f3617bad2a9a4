# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a boosted process, for terminals and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["NOTHING", "RESTING", "TRUSTED", "process_rows"]

#: Printed if no process is boosted.
NOTHING = "no process is being boosted; start with: ub run -- COMMAND"

#: The property of a trusted program.
TRUSTED = "no protection of kernel memory from its speculation (--trust)"

#: Said of a process that gains nothing at present.
RESTING = "yes: nothing to gain, so its calls are neither hooked nor counted"

#: Seconds of CPU time; shorter times are those of attaching.
_SHOWN = 0.005


def process_rows(process: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and figures of one process, for people.

    ``process``: as from :meth:`ubypass.engine.summary.Summary.as_json`. Threads that
    are declined temporarily are counted; only lasting reasons are named.
    """
    from ubypass.device.types import is_lasting
    from ubypass.engine.declines import REASONS, named

    first = process["first_boost_seconds"]
    exits = sorted(process["exits"].items(), key=lambda item: -item[1])
    declines = {named(name): count for name, count in process["declines"].items()}
    rows = [
        ("process", f"{process['pid']} ({process['name']})"),
        ("system calls", _calls(process)),
        ("dispatched", f"{process['dispatched']:,} ({process['bypass_rate']:.2%})"),
        ("runs", f"{process['runs']:,} ({process['declined']:,} declined)"),
    ]
    for reason, count in declines.items():
        if is_lasting(reason):
            rows.append(("declined", f"{count:,}: {REASONS[reason]}"))
    if process.get("resting"):
        rows.append(("at rest", RESTING))
    if process.get("trusted"):
        rows.append(("trusted", f"yes: {TRUSTED}"))
    if process["filtered"]:
        rows.append(
            (
                "filtered",
                f"{process['filtered']:,}: a seccomp filter did not simply allow them",
            )
        )
    return [
        *rows,
        ("exits", ", ".join(f"{name} {count:,}" for name, count in exits) or "none"),
        ("regions", _regions(process)),
        ("loads", f"{process['loads']} (built in {process['build_seconds']:.2f} s)"),
        ("first boost", "never" if first is None else f"after {first:.2f} s"),
        *(("note", note) for note in process["notes"]),
    ]


def _calls(process: Mapping[str, Any]) -> str:
    """The number of calls, as far as they were counted."""
    missing = process["uncounted_seconds"]
    if missing < _SHOWN:
        return f"{process['calls']:,}"
    ended = "" if process["calls"] or process["alive"] else ", then it ended"
    return (
        f"{process['calls']:,}, not counting {missing:.2f} s of CPU time at the "
        f"beginning or at rest{ended} (--tune=grace_ms=0 --tune=rest_bits=0 counts all)"
    )


def _regions(process: Mapping[str, Any]) -> str:
    if not process["code_bytes"]:
        return "none"
    return (
        f"{process['regions']}: {process['entries']} entries, "
        f"{process['region_instructions']:,} instructions, "
        f"{process['source_bytes']:,} -> {process['code_bytes']:,} bytes"
    )
