# SPDX-License-Identifier: GPL-2.0-only
"""The figures of replayed chains as tables on a terminal; depends only on figures."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.chains.decisions import Decision, Decisions
from ubypass.bench.chains.figures import Figures, Gap, ModeFigures
from ubypass.bench.console import wide_enough

__all__ = ["render", "show"]

_NOTE = (
    "ns per gap: median of alternating runs, and the mean over gaps of a kind. saved: "
    "native - translated, ± half the distance of the quartiles over the runs; share: "
    "of the CPU time of a request, for all gaps of a kind. work: after a real system "
    "call of the same kind, which is not timed; translated gaps include the module's "
    "dispatch, entry and exit, but not stac and clac. whole: the same, and each gap "
    "in user mode pays an empty system call. hot: with warm caches. thrash: with "
    "other data and code in the caches. engine: it boosts what it admits and then "
    "measures to gain."
)
_WORDS = {True: "boost", False: "native"}


def show(
    found: Sequence[tuple[Figures, Decisions | None]], console: Console | None = None
) -> None:
    """Print the figures of all chains."""
    out = wide_enough(console)
    for figures, decisions in found:
        out.print(render(figures, decisions))
    if found:
        out.print(Text(f"{_NOTE}\nOn {found[0][0].cpu}.", style="dim"))


def render(figures: Figures, decisions: Decisions | None = None) -> RenderableType:
    """A table with a line for each kind of gap, and a summary."""
    parts: list[RenderableType] = []
    if figures.wrong_words:
        parts.append(
            Text(
                f"{figures.name}: {figures.wrong_words} words of memory DIFFER: the "
                "translation is wrong and was not timed",
                style="bold red",
            )
        )
        return Group(*parts)
    shown = figures.mode("whole") or next(iter(figures.modes), None)
    if shown is not None:
        parts.append(_gaps(figures, shown))
    parts.append(Text(_summary(figures)))
    parts += [Text(_line(mode)) for mode in figures.modes]
    if decisions is not None:
        parts += [_choices(decisions), Text(_decided(decisions))]
    return Group(*parts)


def _gaps(figures: Figures, mode: ModeFigures) -> Table:
    """A line for each kind of gap, in that mode."""
    table = Table(title=f"{figures.name}, {mode.mode}", pad_edge=False)
    table.title_style = "bold"
    table.add_column("gap", overflow="fold")
    for name in ("times", "instr.", "native", "transl.", "saved", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for gap in mode.gaps:
        share = figures.gap_share(gap)
        table.add_row(
            f"{gap.call}→{gap.following}",
            f"{gap.count}",
            f"{gap.instructions:,.0f}",
            f"{gap.native:,.0f}",
            f"{gap.translated:,.0f}",
            _with_spread(gap),
            "" if share is None else f"{share:+.1%}",
        )
    return table


def _with_spread(gap: Gap) -> str:
    spread = gap.spread
    return f"{gap.saved:+,.0f}" + ("" if spread is None else f" ±{spread:,.0f}")


def _summary(figures: Figures) -> str:
    exits = ", ".join(f"{count} {reason}" for reason, count in figures.exits.items())
    text = (
        f"{figures.calls} calls, {figures.dispatched} dispatched in {figures.runs} "
        f"runs{(f' (left by {exits})' if exits else '')}; {figures.changed_words} "
        "words of memory change, all as in the native run."
    )
    saved, least = figures.saved, figures.least_saved
    share, least_share = figures.share(saved), figures.share(least)
    if saved is not None and share is not None:
        text += (
            f" {saved:,.0f} ns of the {figures.request_ns:,.0f} ns of a request "
            f"are saved: {share:.1%}"
        )
        if least is not None:
            text += f"; {least:,.0f} ns, {least_share:.1%}, with predicted returns"
        text += f"{_isolated(figures)}."
    return text


def _isolated(figures: Figures) -> str:
    shares, isolation = figures.isolated_shares, figures.isolation
    if shares is None or isolation is None or not isolation.is_modelled:
        return ""
    return (
        f"; {shares.likely:.1%} with page-table isolation (modelled: {shares.low:.1%} "
        f"to {shares.high:.1%}, {isolation.ns.likely:.0f} ns more for a transition)"
    )


def _choices(decisions: Decisions) -> Table:
    """What the model and the engine choose, a line for each kind of gap."""
    table = Table(title="decisions", pad_edge=False)
    table.add_column("gap")
    for name in ("predicted", "low to high", "saved", "model's\nsign", "engine"):
        table.add_column(name, justify="right")
    for gap in decisions.gaps:
        table.add_row(
            f"{gap.call}→{gap.following}",
            f"{gap.predicted.likely:+,.0f}",
            f"{gap.predicted.low:+,.0f} to {gap.predicted.high:+,.0f}",
            f"{gap.measured:+,.0f}",
            _WORDS[gap.chosen],
            _engine(decisions, gap),
        )
    return table


def _engine(decisions: Decisions, gap: Decision) -> str:
    count = decisions.engine_count(gap)
    if count is None:
        return "unknown"
    if count in (0, gap.count):
        return _WORDS[count > 0]
    return f"{count} of {gap.count}"


def _decided(decisions: Decisions) -> str:
    text = (
        f"of {decisions.possible_ns:,.0f} possible ns the sign of the model "
        f"{decisions.model} saves {decisions.chosen_ns:,.0f}, regret "
        f"{decisions.regret:.1%}"
    )
    saved, regret = decisions.engine_ns, decisions.engine_regret
    if saved is None or regret is None:
        return text
    how = "by the model alone" if decisions.model_decides else "by measured times"
    return f"{text}; the engine, {how}, {saved:,.0f}, regret {regret:.1%}"


def _line(mode: ModeFigures) -> str:
    return (
        f"{mode.mode}: all gaps {mode.native:,.0f} ns natively, "
        f"{mode.translated:,.0f} translated; saved {mode.saved:,.0f} "
        f"({mode.low:,.0f} to {mode.high:,.0f}); chain with calls {mode.chain:.3f}"
    )
