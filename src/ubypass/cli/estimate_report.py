# SPDX-License-Identifier: GPL-2.0-only
"""An estimate for people: the verdict first, then the reasons; at most 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ubypass.cli.tables import plain_table
from ubypass.cost.model import Range
from ubypass.estimate.estimate import Estimate
from ubypass.estimate.judge import Judged, Site
from ubypass.estimate.machine import Machine, Ranked
from ubypass.estimate.offline import Verdict
from ubypass.estimate.reasons import Reason
from ubypass.process.calls import call_name

__all__ = ["show", "show_ranking", "verdict"]

_WIDTH = 80
_NOTHING = 0.003  # of the CPU time: smaller savings count as none
_MUCH = 0.3  # of all gaps: unknown parts beyond this share prevent a verdict
_RARE = 0.01  # of all gaps: rarer sites are not shown
_ROWS = 12
_BUSY = 0.001  # of a processor: less busy processes are not shown


def show(found: Estimate, out: IO[str], width: int | None = None) -> None:
    """Print the estimate."""
    console = Console(file=out, highlight=False, width=width)
    if width is None and console.width < _WIDTH:
        console = Console(file=out, highlight=False, width=_WIDTH)
    console.print(Text(verdict(found), style="bold"))
    for judged in found.processes:
        _show_process(found, judged, console)
    console.print()
    console.print(Text(_how(found), style="dim"))
    console.print(f"Next: {_next(found)}")


def show_ranking(found: Machine, out: IO[str], width: int | None = None) -> None:
    """Print all busy processes of the machine, the best first."""
    console = Console(file=out, highlight=False, width=width)
    if width is None and console.width < _WIDTH:
        console = Console(file=out, highlight=False, width=_WIDTH)
    busy = [each for each in found.processes if each.use >= _BUSY]
    if not busy:
        console.print("No process is busy. Try again while there is load.")
        return
    table = plain_table()
    table.add_column("PID", justify="right")
    table.add_column("PROGRAM", no_wrap=True)
    for title in ("CPU", "CALLS/S", "WAITING", "SAVES UP TO"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for each in busy:
        table.add_row(
            str(each.pid),
            Text(each.name),
            f"{each.use:.1%}",
            f"{each.per_second:,.0f}" if each.seen else "?",
            f"{each.waited:.0%}" if each.seen else "?",
            f"{each.share:.1%}" if each.seen else "?",
            Text(_remark(each), "dim"),
        )
    console.print(table)
    console.print()
    console.print(
        Text(
            f"Observed for {found.seconds:.1f} s, at a cost of {found.lost * 1e3:.1f} "
            f"ms of CPU time. SAVES UP TO: share of the process's own CPU time, by the "
            f"model {found.model.name}, without the cost of translated code.",
            style="dim",
        )
    )
    console.print(f"Next: {_next_of(busy, found.seconds)}")


def _remark(process: Ranked) -> str:
    if process.reasons:
        return "native: " + process.reasons[0].name
    return "" if process.seen else "not observed"


def _next_of(processes: Sequence[Ranked], seconds: float) -> str:
    best = next((p for p in processes if not p.reasons), None)
    if best is None or best.share < _NOTHING:
        if not all(each.seen for each in processes):
            return f"ub estimate --seconds {3 * max(seconds, 2):.0f}"
        return "nothing; no busy process would gain much"
    return f"ub estimate {best.pid}"


def verdict(found: Estimate) -> str:
    """The verdict in one sentence."""
    one = len(found.processes) == 1
    whose = "its CPU time" if one else "the CPU time of all"
    share = found.share
    lasting = [r for r in _reasons(found) if r.lasting]
    if _lacks(found):
        return (
            f"Unknown: {_unseen(found):.0%} of the gaps were not stepped through. "
            f"Observe longer, with --seconds {2 * max(found.seconds, 5):.0f}."
        )
    if share.high < _NOTHING:
        return f"Nothing to gain: {_main_reason(found)}."
    text = f"boosting would save {_percents(share)} of {whose}"
    text += f" (likely {share.likely:.1%})"
    if lasting:
        return f"Not at present: {lasting[0].text}. Otherwise {text}."
    return f"{text[0].upper()}{text[1:]}."


def _reasons(found: Estimate) -> list[Reason]:
    return [r for p in found.processes for r in found.reasons(p)]


def _lacks(found: Estimate) -> bool:
    """Whether no gain is known, but too little is known for a verdict."""
    # Whatever the gaps of an idle program are, there is nothing to gain.
    known = any(r.lasting or r.name == "idle" for r in _reasons(found))
    return found.share.high < _NOTHING and not known and _unseen(found) >= _MUCH


def _unseen(found: Estimate) -> float:
    """Share of the gaps of the busiest process that are unknown."""
    sites = found.processes[0].sites if found.processes else ()
    return sum(s.part for s in sites if s.looked.verdict is Verdict.UNSEEN)


def _main_reason(found: Estimate) -> str:
    if not found.processes:
        return "there was no program"
    reasons = found.reasons(found.processes[0])
    if reasons:
        return reasons[0].text
    return f"boosting would save at most {found.share.high:.1%} of its CPU time"


def _show_process(found: Estimate, judged: Judged, console: Console) -> None:
    process = judged.process
    used = process.cpu_ns / 1e9
    console.print()
    console.print(
        f"{process.name} (process {process.pid}): {judged.per_second:,.0f} calls/s, "
        f"{used:.2f} s of CPU time in {process.seconds:.1f} s",
        soft_wrap=True,
        markup=False,
    )
    shown = [site for site in judged.sites if site.part >= _RARE][:_ROWS]
    if shown:
        console.print(_table(found, shown))
    if judged.dispatched > 0:
        console.print(
            f"{judged.dispatched:.0%} of its calls would be dispatched, "
            f"{judged.per_run:,.0f} per run."
        )
    if len(found.processes) > 1:
        console.print(
            f"Saves {_percents(judged.share)} of its own CPU time "
            f"(likely {judged.share.likely:.1%})."
        )
    for reason in found.reasons(judged):
        line = Text(f"- {reason.text}")
        if reason.hint:
            line.append(f": {reason.hint}", "dim")
        console.print(line)


def _table(found: Estimate, sites: Sequence[Site]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("CALL AND NEXT CALL", overflow="fold")
    table.add_column("RESUMES AT", overflow="fold")
    for name in ("CALLS/S", "INSTR.", "NS", "SAVES NS", "SHARE"):
        table.add_column(name, justify="right", overflow="fold")
    for site in sites:
        table.add_row(
            f"{call_name(site.kind.nr)} → {call_name(site.call)}",
            Text(found.names.get(site.kind.resume, f"{site.kind.resume:#x}")),
            f"{site.per_second:,.0f}",
            f"{site.looked.instructions:,}" if site.looked.paths else "",
            "" if site.gap_ns is None else f"{site.gap_ns:,.0f}",
            _saves(site),
            f"{site.share.likely:.2%}" if site.share.likely else "",
        )
    return table


def _saves(site: Site) -> str:
    if site.looked.verdict is not Verdict.TRANSLATED:
        return site.looked.verdict.value
    saving = site.looked.saving
    return f"{saving.low:.0f} to {saving.high:.0f}"


def _percents(share: Range) -> str:
    return f"{100 * share.low:.1f} to {share.high:.1%}"


def _how(found: Estimate) -> str:
    return (
        "INSTR. and NS: between the two calls, in user mode. SAVES NS: per call, "
        "without entry and exit of runs, which SHARE includes. "
        f"Costs: {found.model.describe()}. "
        f"Observed with {found.source}: {found.bursts} bursts and {found.steps:,} "
        f"steps, which cost about {found.lost:.1%} of the throughput meanwhile."
    )


def _next(found: Estimate) -> str:
    first = found.processes[0].process.pid
    if _lacks(found):
        return f"'ub estimate {first}' again, for longer."
    if found.share.high < _NOTHING:
        return "leave the program native."
    return f"'ub doctor'; then, as root, 'ub module load' and 'ub attach {first}'."
