# SPDX-License-Identifier: GPL-2.0-only
"""A process and its regions for people: sites, instructions, exits, and why.

Plain data, made in the engine (which has them) and printed elsewhere.
"""

from __future__ import annotations

import time
from typing import Any

from ubypass.device.client import Gone
from ubypass.device.types import Counts, Site
from ubypass.engine.decision import Native, Probe
from ubypass.engine.declines import HINTS, REASONS
from ubypass.engine.group import Group
from ubypass.engine.target import Target
from ubypass.errors import UbError
from ubypass.process.calls import call_name
from ubypass.process.symbols import Symbols
from ubypass.translate.listing import listing
from ubypass.translate.registers import NAMES

__all__ = ["decision", "explain", "explain_region"]


def explain(target: Target) -> dict[str, Any]:
    """The decision for each site of ``target``, and all its regions.

    ``sites`` have the figures behind each decision: ns of the gap natively and boosted,
    of entry and exit, saved per gap and per run; null if unknown. ``filtered``: calls
    that were not dispatched since a seccomp filter does not plainly allow them.
    ``priced_by``: "clock", or the model of the savings. ``trusted``: it was attached as
    a trusted program.
    """
    symbols = Symbols(target.memory)
    sites = target.refresh_sites()
    target.recover(time.monotonic())
    return {
        "pid": target.process.pid,
        "name": target.process.name,
        "trusted": target.trusted,
        "priced_by": target.priced_by,
        **_decline(target),
        "filtered": target.refresh_stats().filtered,
        "sites": [
            {
                "address": key.ip,
                "symbol": symbols.name(key.ip),
                "nr": key.nr,
                "call": call_name(key.nr),
                "decision": decision(target, sites[key]),
                **_figures(target, sites[key]),
            }
            for key in sorted(sites)
        ],
        "regions": [explain_region(target, group, symbols) for group in target.groups],
    }


def _decline(target: Target) -> dict[str, str | None]:
    """Why the process is not boosted at present, and the remedy; null if eligible."""
    reason = target.declined_for
    return {
        "declined_for": reason.name.lower() if reason else None,
        "reason": REASONS[reason] if reason else None,
        "hint": HINTS[reason] if reason else None,
    }


def _figures(target: Target, site: Site) -> dict[str, float | None]:
    judged = target.decisions.judgements.get(site.key)
    return {
        "native_ns": site.native_ns if site.native_samples else None,
        "boosted_ns": site.boosted_ns if site.boosted_samples else None,
        "overhead_ns": site.overhead_ns if site.runs else None,
        "calls_per_run": judged.calls if judged else None,
        "saved_per_gap_ns": judged.saving if judged else None,
        "saved_per_run_ns": judged.gain if judged else None,
    }


def decision(target: Target, site: Site) -> str:
    """The decision for ``site``, for people: "boosted", or why it is native."""
    decided = target.decide(site)
    if isinstance(decided, Native):
        return f"native: {decided.reason}"
    return decided.status if isinstance(decided, Probe) else "boosted"


def explain_region(
    target: Target, group: Group, symbols: Symbols | None = None
) -> dict[str, Any]:
    """The live region of ``group``; ``UbError`` if it has none.

    ``lines`` follow the code, ``exits`` are those that were taken, most often
    first, with how often; ``dispatched`` and ``runs`` count since the region was
    loaded. ``nonpointers``: registers that were found to hold no address, and where.
    ``trusted``: addresses are guarded, not clamped.
    """
    built = group.built
    if built is None:
        raise UbError(f"process {target.process.pid} has no such region any more")
    translation = built.translation
    counts = _counts(target, group, len(translation.exits))
    symbols = symbols or Symbols(target.memory)
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
        "region": group.region,
        "trusted": translation.trusted,
        "instructions": built.instructions,
        "source_bytes": built.source_bytes,
        "code_bytes": len(translation.code),
        "dispatched": counts.dispatched,
        "runs": counts.runs,
        "entries": [
            {
                "address": entry.user_ip,
                "symbol": symbols.name(entry.user_ip),
                "nr": entry.nr,
                "call": call_name(entry.nr),
            }
            for entry in translation.entries
            if entry.key in group.live_entries
        ],
        "nonpointers": [
            {
                "address": ip,
                "symbol": names.get(ip) or symbols.name(ip),
                "registers": [name for n, name in enumerate(NAMES) if mask >> n & 1],
            }
            for ip, mask in built.region.nonpointers.items()
            if ip in names
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


def _counts(target: Target, group: Group, nr_exits: int) -> Counts:
    try:
        return target.counts(group)
    except (Gone, UbError):
        return Counts((0,) * nr_exits, 0, 0)  # it died meanwhile
