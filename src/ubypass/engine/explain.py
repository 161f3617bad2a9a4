# SPDX-License-Identifier: GPL-2.0-only
"""A region for people: its instructions, what became of them, and its exits.

Plain data, made in the engine (which has the region) and printed elsewhere.
"""

from __future__ import annotations

from typing import Any

from ubypass.device.client import Gone
from ubypass.device.types import Counts
from ubypass.engine.target import Target
from ubypass.errors import UbError
from ubypass.process.symbols import Symbols
from ubypass.translate.listing import listing

__all__ = ["explain"]


def explain(target: Target) -> dict[str, Any]:
    """The live region of ``target``; ``UbError`` if it has none.

    ``lines`` follow the code, ``exits`` are those that were taken, most often
    first, with how often; ``dispatched`` and ``runs`` count since the region was
    loaded.
    """
    built = target.built
    if built is None:
        raise UbError(
            f"process {target.process.pid} has no region now",
            "nothing in it is hot, or see the notes of 'ub stats PID'",
        )
    translation = built.translation
    counts = _counts(target, len(translation.exits))
    symbols = Symbols(target.memory)
    lines = listing(built.region, translation)
    names = {
        ip: symbols.name(ip)
        for ip in {line.user_ip for line in lines}
        if ip is not None
    }
    exits = [
        {
            "number": number,
            "address": leave.user_ip,
            "symbol": names.get(leave.user_ip) or symbols.name(leave.user_ip),
            "reason": leave.reason.name.lower(),
            "count": count,
        }
        for number, (leave, count) in enumerate(
            zip(translation.exits, counts.exits, strict=True)
        )
        if count
    ]
    return {
        "pid": target.process.pid,
        "name": target.process.name,
        "region": target.region,
        "instructions": built.instructions,
        "source_bytes": built.source_bytes,
        "code_bytes": len(translation.code),
        "dispatched": counts.dispatched,
        "runs": counts.runs,
        "entries": [
            {"address": entry.user_ip, "symbol": symbols.name(entry.user_ip)}
            for entry in translation.entries
        ],
        "exits": sorted(exits, key=lambda row: (-int(row["count"]), row["number"])),
        "lines": [
            {
                "address": line.user_ip,
                "symbol": names.get(line.user_ip or 0, ""),
                "user": line.user,
                "offset": line.offset,
                "code": line.code,
                "note": line.note,
            }
            for line in lines
        ],
    }


def _counts(target: Target, nr_exits: int) -> Counts:
    try:
        return target.counts(nr_exits)
    except (Gone, UbError):
        return Counts((0,) * nr_exits, 0, 0)  # it died while we looked
