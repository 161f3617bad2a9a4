# SPDX-License-Identifier: GPL-2.0-only
"""``docs/results.md`` from the files that ``--json`` wrote; nothing in it by hand.

Knows only records. A figure that misses its goal is named, with what stands in the
way as far as the records tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ubypass.bench.records import Machine, Record, read_records
from ubypass.bench.replay import Replayed, read_replayed
from ubypass.bench.server.gaps import LOOP, Gap, read_gaps
from ubypass.bench.server.record import ServerRecord, read_server_records
from ubypass.errors import UbError
from ubypass.files import read_text, write_text

__all__ = ["Goal", "goals", "results", "write_results"]

_NEVER_SLOWER = 1.005
_TRANSLATING = 1.0
_HEAD = """\
# Results

Written by `ub bench results` (`make bench`) from what was measured; do not edit.

Native, boosted and natively again, in one boot each; medians. Where the unit is
instructions, the machine counts them: one is one nanosecond of its clock. *Calls* are
system calls for each request, *bypassed* is the share of them that never left the
kernel, *gained* the share of what all their transitions cost, *spread* how far native
runs lie apart, *steady* the time from the load's start until nothing changes any more.
*Saved ns* is not counted but computed: the time per request that the dispatched calls
save on the processor of the model that decides, which is named above each table.
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and its bound; ``higher``: it should not be below it."""

    what: str
    figure: float
    bound: float
    higher: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is on the right side."""
        if self.higher:
            return self.figure >= self.bound
        return self.figure <= self.bound


def goals(record: ServerRecord) -> list[Goal]:
    """What the record is held to."""
    found = [
        Goal("wrong replies", record.wrong, 0),
        Goal("engine's share of a CPU", record.engine_share, 0.01),
    ]
    if record.steady_s is None:
        found.append(Goal("seconds until steady", float("inf"), 5.0))
    else:
        found.append(Goal("seconds until steady", record.steady_s, 5.0))
    size = next(int(word) for word in _words(record.case) if word.isdigit())
    if record.priced_by in ("", "clock"):
        found.append(Goal("cost, boosted / native", record.ratio, _NEVER_SLOWER))
    else:
        # Instructions overweigh what a translation adds: the model decides.
        found.append(Goal("ns saved per request", record.saved_ns, 0, higher=True))
    if record.server == "redis" and size <= 1024:
        found.append(Goal("bypassed", record.dispatched, 0.45, higher=True))
    if record.server == "nginx" and size <= 16:
        found.append(Goal("bypassed", record.dispatched, 0.6, higher=True))
    if record.server == "rawsocket":
        found.append(Goal("bypassed", record.dispatched, 0.99, higher=True))
        found.append(Goal("gained", record.capture or 0.0, 0.65, higher=True))
    return found


def write_results(files: Sequence[Path], out: Path) -> None:
    """Write ``out`` from ``files``, in this order. Raises UbError."""
    text = results([_read(file) for file in files])
    write_text(out, text)


def results(files: Iterable[Sequence[Record | ServerRecord | Gap | Replayed]]) -> str:
    """The document; each of ``files`` holds the records of one command."""
    parts = [_HEAD]
    for records in files:
        servers = [each for each in records if isinstance(each, ServerRecord)]
        loops = [each for each in records if isinstance(each, Record)]
        if servers:
            parts.append(_servers(servers))
        if loops:
            parts.append(_loops(loops))
        gaps = [each for each in records if isinstance(each, Gap)]
        if gaps:
            parts.append(_gaps(gaps))
        replayed = [each for each in records if isinstance(each, Replayed)]
        if replayed:
            parts.append(_translating(replayed))
    return "\n".join(parts)


def _read(file: Path) -> Sequence[Record | ServerRecord | Gap | Replayed]:
    try:
        data = json.loads(read_text(file))
        if data and "following" in data[0]:
            return read_gaps(data)
        if data and "replayed" in data[0]:
            return read_replayed(data)
        kind = "server" if data and "server" in data[0] else "loop"
    except (ValueError, TypeError, KeyError) as error:
        raise UbError(f"{file} holds no records") from error
    return read_server_records(file) if kind == "server" else read_records(file)


def _model(record: ServerRecord) -> str:
    if record.priced_by in ("", "clock"):
        return ""
    return f" Decided by the model {record.priced_by}."


def _servers(records: Sequence[ServerRecord]) -> str:
    first = records[0]
    what = "time" if first.by_time else "CPU time of the server"
    lines = [
        f"## {first.server}",
        "",
        f"`{first.command}`, {first.date}; {_where(first.machine)}. One request: "
        f"{what} in {_unit(first.machine)}; a transition costs "
        f"{first.transition:.0f}.{_model(first)}",
        "",
        "| case | native | boosted | ratio | spread | calls | bypassed | gained | "
        "saved ns | "
        "requests/s | regions | steady s | translating s | engine | replies |",
        "|---|" + "---:|" * 13 + "---|",
    ]
    for record in records:
        wrong = f"**{record.wrong} wrong**" if record.wrong else "right"
        steady = "never" if record.steady_s is None else f"{record.steady_s:.1f}"
        gained = "-" if record.capture is None else f"{record.capture:.1%}"
        data = record.as_json()
        lines.append(
            f"| {record.case} | {record.native_cost:,.0f} | "
            f"{record.boosted_cost:,.0f} | {record.ratio:.4f} | {record.spread:.4f} | "
            f"{record.calls:.2f} | {record.dispatched:.1%} | {gained} | "
            f"{record.saved_ns:,.0f} | "
            f"{data['native_rate']:,.0f} → {data['boosted_rate']:,.0f} | "
            f"{record.regions} | {steady} | {record.build_s:.2f} | "
            f"{record.engine_share:.2%} | {record.checked:,} {wrong} |"
        )
    lines += ["", "Exits per request, by reason:", ""]
    lines += [
        f"- {record.case}: "
        + (", ".join(f"{k} {n:.3f}" for k, n in record.exits.items()) or "none")
        + "".join(f"; {note}" for note in record.notes)
        for record in records
    ]
    missed = [
        f"- {record.case}: {goal.what} {goal.figure:.4g}, "
        f"wanted {'at least' if goal.higher else 'at most'} {goal.bound:g}"
        for record in records
        for goal in goals(record)
        if not goal.met
    ]
    if missed:
        lines += ["", "Goals that were missed:", "", *missed]
    return "\n".join([*lines, ""])


def _loops(records: Sequence[Record]) -> str:
    first = records[0]
    disk = any(record.place != "memory" for record in records)
    command = "ub bench io --disk" if disk else "ub bench io"
    lines = [
        "## Reads from a disk" if disk else "## Loops",
        "",
        f"`{command}`; {_where(first.machine)}. One turn of a loop around a system "
        f"call, in {_unit(first.machine)}; *limit*: if bypassing were free.",
        "",
        "| loop | native | boosted | limit | cost | gained | bypassed | data |",
        "|---|" + "---:|" * 6 + "---|",
    ]
    for record in records:
        gained = "-" if record.capture is None else f"{record.capture:.1%}"
        size = f" {record.size}" if record.size else ""
        place = "" if record.place == "memory" else f", {record.place}"
        lines.append(
            f"| {record.workload}{size}{', sum' if record.sum else ''}{place} | "
            f"{record.native:,.0f} | {record.boosted:,.0f} | {record.limit:,.0f} | "
            f"{record.dispatch_cost:,.0f} | {gained} | {record.bypass_rate:.2%} | "
            f"{'same' if record.same_results else '**differs**'} |"
        )
    return "\n".join([*lines, ""])


def _gaps(gaps: Sequence[Gap]) -> str:
    lines = [
        "## Gaps",
        "",
        "`ub bench gaps`, by single-stepping natively: user instructions from the "
        "return of a call to the next call. A dispatched call saves one transition, "
        "so a gap is only worth it as long as its translation needs less than that "
        "more: the longer the gap, the less it may grow. Of short ones the "
        "instructions in a translation were counted along the same ways.",
        "",
        "| program | site | call | next | share | least | median | most | translated | "
        "growth |",
        "|---|---|---|---|" + "---:|" * 6,
    ]
    lines += [
        f"| {gap.server} {gap.case} | {gap.site} | {gap.call} | {gap.following} | "
        f"{gap.share:.1%} | {gap.least:,} | {gap.median:,} | {gap.most:,} | "
        + ("| |" if gap.growth is None else f"{gap.translated:,} | {gap.growth:.2f} |")
        for gap in gaps
    ]
    turns = [
        (gap.median, gap.translated)
        for gap in gaps
        if gap.server == LOOP and gap.translated and gap.call == gap.following
    ]
    if turns:
        native, inside = (sum(column) for column in zip(*turns, strict=True))
        lines += [
            "",
            f"Turns of all loops, together: {native:,} instructions natively, "
            f"{inside:,} in translations ({inside / native:.2f}).",
        ]
    return "\n".join([*lines, ""])


def _translating(replayed: Sequence[Replayed]) -> str:
    lines = [
        "## Translating for servers",
        "",
        "`ub bench replay`: what the engine built in the lab, from the start of the "
        f"load on, built again on {replayed[0].cpu}; CPU time.",
        "",
        "| server | builds | in vain | instructions | seconds | longest |",
        "|---|" + "---:|" * 5,
    ]
    lines += [
        f"| {each.name} | {each.builds} | {each.nothing} | {each.instructions:,} | "
        f"{each.seconds:.2f} | {each.longest:.2f} |"
        for each in replayed
    ]
    missed = [each for each in replayed if each.seconds > _TRANSLATING]
    if missed:
        lines += ["", f"More than {_TRANSLATING:g} s, which was the goal:", ""]
        lines += [f"- {each.name}: {each.seconds:.2f} s" for each in missed]
    return "\n".join([*lines, ""])


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _where(machine: Machine) -> str:
    isolation = "with" if machine.page_table_isolation else "without"
    return (
        f"Linux {machine.kernel}, {machine.cpu}, accelerator {machine.accelerator}, "
        f"{isolation} page-table isolation"
    )


def _unit(machine: Machine) -> str:
    return "instructions" if machine.unit == "instructions" else "nanoseconds"
