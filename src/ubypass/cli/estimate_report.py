# SPDX-License-Identifier: GPL-2.0-only
"""An estimate for people: the verdict first, then why. Fits into 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ubypass.cost.model import Range
from ubypass.estimate.estimate import Estimate
from ubypass.estimate.judge import Judged, Site
from ubypass.estimate.machine import Machine, Ranked
from ubypass.estimate.offline import Verdict
from ubypass.estimate.reasons import Reason
from ubypass.process.calls import call_name

__all__ = ["show", "show_ranking", "verdict"]

_WIDTH = 80
_NOTHING = 0.003  # of the CPU time: less is nothing
_MUCH = 0.3  # of all gaps: without these nothing can be said
_RARE = 0.01  # of all gaps: sites that are not shown
_ROWS = 12
_BUSY = 0.001  # of a processor: less is not shown


def show(found: Estimate, out: IO[str], width: int | None = None) -> None:
    """Print it."""
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
    """Print all processes of the machine that were busy, the best first."""
    console = Console(file=out, highlight=False, width=width)
    if width is None and console.width < _WIDTH:
        console = Console(file=out, highlight=False, width=_WIDTH)
    busy = [each for each in found.processes if each.use >= _BUSY]
    if not busy:
        console.print("Nothing is busy here. Look again while there is work to do.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
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
            f"{each.per_second:,.0f}",
            f"{each.waited:.0%}",
            f"{each.share:.1%} of it",
            Text("native: " + each.reasons[0].name if each.reasons else "", "dim"),
        )
    console.print(table)
    console.print()
    console.print(
        Text(
            f"Looked for {found.seconds:.1f} s, which took {found.lost * 1e3:.1f} ms "
            f"from all of them. Model {found.model.name}; as if no gap held code that "
            "costs more when translated: look at one to know.",
            style="dim",
        )
    )
    console.print(f"Next: {_next_of(busy)}")


def _next_of(processes: Sequence[Ranked]) -> str:
    best = next((p for p in processes if not p.reasons), None)
    if best is None or best.share < _NOTHING:
        return "nothing; no busy process here has much to gain"
    return f"ub estimate {best.pid}"


def verdict(found: Estimate) -> str:
    """One sentence."""
    one = len(found.processes) == 1
    whose = "its CPU time" if one else "the CPU time of all"
    share = found.share
    lasting = [r for r in _reasons(found) if r.lasting]
    if _lacks(found):
        return (
            f"Cannot say: {_unseen(found):.0%} of the gaps were not stepped through. "
            f"Look longer, with --seconds {2 * max(found.seconds, 5):.0f}."
        )
    if share.high < _NOTHING:
        return f"Nothing to gain: {_main_reason(found)}."
    text = f"boosting would save {_percents(share)} of {whose}"
    text += f" (likely {share.likely:.1%})"
    if lasting:
        return f"Not as it is: {lasting[0].text}. Else {text}."
    return f"{text[0].upper()}{text[1:]}."


def _reasons(found: Estimate) -> list[Reason]:
    return [r for p in found.processes for r in found.reasons(p)]


def _lacks(found: Estimate) -> bool:
    """Whether there is nothing to gain as far as is known, and that is too little."""
    # Whatever an idle program does between its calls, there is nothing to gain.
    known = any(r.lasting or r.name == "idle" for r in _reasons(found))
    return found.share.high < _NOTHING and not known and _unseen(found) >= _MUCH


def _unseen(found: Estimate) -> float:
    """Part of the gaps of the busiest process of which nothing is known."""
    sites = found.processes[0].sites if found.processes else ()
    return sum(s.part for s in sites if s.looked.verdict is Verdict.UNSEEN)


def _main_reason(found: Estimate) -> str:
    if not found.processes:
        return "there was no program"
    reasons = found.reasons(found.processes[0])
    if reasons:
        return reasons[0].text
    return f"all that boosting would save is {found.share.high:.1%} of its CPU time"


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
            f"{judged.per_run:,.0f} in a run."
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
    table.add_column("FROM A CALL TO THE NEXT", overflow="fold")
    table.add_column("BEHIND", overflow="fold")
    for name in ("CALLS/S", "INSTR.", "NS", "SAVES NS", "SHARE"):
        table.add_column(name, justify="right", overflow="fold")
    for site in sites:
        table.add_row(
            f"{call_name(site.kind.nr)} → {call_name(site.call)}",
            Text(found.names.get(site.kind.resume, f"{site.kind.resume:#x}")),
            f"{site.per_second:,.0f}",
            f"{site.looked.instructions:,}" if site.looked.ways else "",
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
        "INSTR. and NS: between the two calls, in user mode; SAVES: what each would, "
        "getting in and out not counted, which SHARE does. "
        f"Costs: {found.model.describe()}. "
        f"Looked at by {found.source}: {found.bursts} bursts and "
        f"{found.steps:,} steps, which took some {found.lost:.1%} of what it would "
        "have got done meanwhile."
    )


def _next(found: Estimate) -> str:
    first = found.processes[0].process.pid
    if _lacks(found):
        return f"'ub estimate {first}' again, for longer."
    if found.share.high < _NOTHING:
        return "leave it as it is."
    return f"as root, 'ub module load' and 'ub attach {first}'; 'ub doctor' says if."
