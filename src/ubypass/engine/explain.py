# SPDX-License-Identifier: GPL-2.0-only
"""A process and its regions for people: sites, instructions, exits, and why.

Plain data, made in the engine (which has them) and printed elsewhere.
"""

from __future__ import annotations

import time
from typing import Any

from ubypass.device.client import Gone
from ubypass.device.types import Counts, Site
from ubypass.device.uapi import SiteVerdict
from ubypass.engine.declines import HINTS, REASONS
from ubypass.engine.group import Group
from ubypass.engine.target import Target
from ubypass.errors import UbError
from ubypass.process.symbols import Symbols
from ubypass.translate.listing import listing
from ubypass.translate.registers import NAMES

__all__ = ["decision", "explain", "explain_region"]

_VERDICTS = {
    SiteVerdict.OPEN: "being timed",
    SiteVerdict.HOT: "hot, but native: no region has it yet",
    SiteVerdict.RARE: "native: too few calls",
    SiteVerdict.LONG: "native: its gap is too long",
    SiteVerdict.BUSY: "native: something always comes in between",
    SiteVerdict.ENTRY: "native at present",
}


def explain(target: Target) -> dict[str, Any]:
    """What is decided about each site of ``target``, and all its regions.

    ``sites`` have the figures behind each decision: ns that the gap costs natively
    and boosted, that getting in and out costs, that each gap and each run saves;
    null where there are none (yet). ``filtered``: calls that were not dispatched since
    a seccomp filter does not plainly allow them. ``priced_by``: "clock", or the model
    by which gaps and runs save what they do.
    """
    symbols = Symbols(target.memory)
    sites = target.refresh_sites()
    target.recover(time.monotonic())
    return {
        "pid": target.process.pid,
        "name": target.process.name,
        "priced_by": target.priced_by,
        **_oddity(target),
        "filtered": target.refresh_stats().filtered,
        "sites": [
            {
                "address": ip,
                "symbol": symbols.name(ip),
                "nr": sites[ip].nr,
                "decision": decision(target, sites[ip]),
                **_figures(target, sites[ip]),
            }
            for ip in sorted(sites)
        ],
        "regions": [explain_region(target, group, symbols) for group in target.groups],
    }


def _oddity(target: Target) -> dict[str, str | None]:
    """Why nothing of it is boosted at present, and what to do; null if it is not so."""
    odd = target.odd
    return {
        "declined_for": odd.name.lower() if odd else None,
        "reason": REASONS[odd] if odd else None,
        "hint": HINTS[odd] if odd else None,
    }


def _figures(target: Target, site: Site) -> dict[str, float | None]:
    judged = target.judgements.get(site.ip)
    return {
        "native_ns": site.native_ns if site.native_samples else None,
        "boosted_ns": site.boosted_ns if site.boosted_samples else None,
        "overhead_ns": site.overhead_ns if site.runs else None,
        "calls_per_run": judged.calls if judged else None,
        "saved_per_gap_ns": judged.saving if judged else None,
        "saved_per_run_ns": judged.gain if judged else None,
    }


def decision(target: Target, site: Site) -> str:
    """What is decided about ``site``, for people: "boosted", or why it is native."""
    if target.odd:
        return f"native: {REASONS[target.odd]}"
    block = target.blocks.get(site.ip)
    if block is not None:
        return f"native: {block.reason}"
    if any(site.ip in group.live_entries for group in target.groups):
        return "boosted"
    return _VERDICTS[site.verdict]


def explain_region(
    target: Target, group: Group, symbols: Symbols | None = None
) -> dict[str, Any]:
    """The live region of ``group``; ``UbError`` if it has none.

    ``lines`` follow the code, ``exits`` are those that were taken, most often
    first, with how often; ``dispatched`` and ``runs`` count since the region was
    loaded. ``nonpointers``: registers that were found to hold no address, and where.
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
        "instructions": built.instructions,
        "source_bytes": built.source_bytes,
        "code_bytes": len(translation.code),
        "dispatched": counts.dispatched,
        "runs": counts.runs,
        "entries": [
            {"address": entry.user_ip, "symbol": symbols.name(entry.user_ip)}
            for entry in translation.entries
            if entry.user_ip in group.live_entries
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
        return Counts((0,) * nr_exits, 0, 0)  # it died while we looked
