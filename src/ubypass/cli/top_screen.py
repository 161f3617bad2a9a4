# SPDX-License-Identifier: GPL-2.0-only
"""The display of ``ub top``: lines for a terminal of any size, and effects of keys."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from ubypass.cli.rates import Rates

__all__ = ["SORTS", "Line", "View"]

#: By key: the heading of the column to sort by.
SORTS = {
    "c": "CALLS/S",
    "d": "DISP/S",
    "b": "BYPASS",
    "s": "SAVED/S",
    "p": "PID",
}
_VALUES = {
    "c": lambda rates: -rates.calls,
    "d": lambda rates: -rates.dispatched,
    "b": lambda rates: -rates.share,
    "s": lambda rates: -(rates.saved or 0.0),
    "p": lambda rates: rates.pid,
}
_KEYS = "q quit  up/down  enter explain  x detach  sort: c d b s p"
_KEYS_READING = "escape back  up/down, page up/down"
_HEAD = 3  # lines above the processes
_DETAILS = 2  # lines below them about the chosen one, ...
_HEIGHT = 10  # ... if the screen has so many


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the screen; ``style``: a style of rich."""

    text: str
    style: str = ""


@dataclass(slots=True)
class View:
    """The state of the screen.

    ``page``: lines shown instead of the list of processes; None: the list. ``asked``:
    the process that is detached if the next key is "y".
    """

    sort: str = "d"
    chosen: int | None = None
    page: Sequence[str] | None = None
    offset: int = 0
    asked: int | None = None
    message: str = ""
    rows: list[Rates] = field(default_factory=list)
    running: bool = False

    def take(self, rows: Sequence[Rates]) -> None:
        """Take new figures; the chosen process stays chosen if present."""
        self.rows = sorted(rows, key=_VALUES[self.sort])
        self.running = True
        if self.chosen not in [row.pid for row in self.rows]:
            self.chosen = self.rows[0].pid if self.rows else None

    def order(self, key: str) -> None:
        """Sort by another column; ``key`` is one of ``SORTS``."""
        self.sort = key
        self.take(self.rows)

    def move(self, lines: int) -> None:
        """Move up or down by ``lines``, in the list or on the page."""
        if self.page is not None:
            self.offset = max(0, min(self.offset + lines, len(self.page) - 1))
        elif self.rows:
            pids = [row.pid for row in self.rows]
            here = pids.index(self.chosen) if self.chosen in pids else 0
            self.chosen = pids[max(0, min(here + lines, len(pids) - 1))]

    def lines(self, width: int, height: int) -> list[Line]:
        """``height`` lines of at most ``width`` columns."""
        if self.page is not None:
            shown = self.page[self.offset : self.offset + height - 1]
            body = [Line(text) for text in shown]
            foot = _KEYS_READING
        else:
            details = self._details(width) if height >= _HEIGHT else []
            body = self._list(height - len(details))
            body += [Line("")] * (height - 1 - len(details) - len(body))
            body += details
            foot = _KEYS
        body += [Line("")] * (height - 1 - len(body))
        last = Line(self.message, "bold") if self.message else Line(foot, "dim")
        return [_cut(line, width) for line in (*body[: height - 1], last)]

    def _list(self, height: int) -> list[Line]:
        heading = (
            f"{'PID':>7} {'PROGRAM':<15} {'CALLS/S':>7} {'DISP/S':>7} {'BYPASS':>6} "
            f"{'SAVED/S':>8} {'REG':>3}  EXITS OR WHY NATIVE"
        )
        found = [Line(self._summary()), Line(""), Line(heading, "reverse")]
        if not self.rows:
            text = (
                "no process is being boosted; start with: ub run -- COMMAND"
                if self.running
                else "querying the engines"
            )
            return [*found, Line(text)]
        pids = [row.pid for row in self.rows]
        here = pids.index(self.chosen) if self.chosen in pids else 0
        room = max(1, height - 1 - _HEAD)
        first = max(0, min(here - room // 2, len(self.rows) - room))
        return [
            *found,
            *(
                Line(_row(row), "bold reverse" if row.pid == self.chosen else "")
                for row in self.rows[first : first + room]
            ),
        ]

    def _details(self, width: int) -> list[Line]:
        """What the column of the chosen process may have no room for."""
        for row in self.rows:
            if row.pid == self.chosen:
                break
        else:
            return []
        if row.why:
            text = f"native: {row.why}" + (f" ({row.hint})" if row.hint else "")
        else:
            text = f"exits: {_exits(row, len(row.exits)) or 'none'}"
        found = textwrap.wrap(
            f"{row.pid} {row.name}: {text}",
            width,
            max_lines=_DETAILS,
            placeholder="…",
        )
        return [Line(each) for each in [*found, *[""] * (_DETAILS - len(found))]]

    def _summary(self) -> str:
        boosted = sum(not row.why for row in self.rows)
        calls = sum(row.calls for row in self.rows)
        dispatched = sum(row.dispatched for row in self.rows)
        saved = sum(row.saved or 0.0 for row in self.rows)
        share = dispatched / calls if calls else 0.0
        return (
            f"{boosted} of {len(self.rows)} boosted  {_count(calls)} calls/s  "
            f"{share:.1%} dispatched  {_time(saved)}/s saved  by {SORTS[self.sort]}"
        )


def _row(row: Rates) -> str:
    saved = "-" if row.saved is None else _time(row.saved)
    return (
        f"{row.pid:>7} {row.name[:15]:<15} {_count(row.calls):>7} "
        f"{_count(row.dispatched):>7} {row.share:>6.1%} {saved:>8} {row.regions:>3}  "
        f"{row.reason or row.why or _exits(row)}"
    )


def _exits(row: Rates, most_shown: int = 3) -> str:
    """The most frequent reasons, with their shares."""
    total = sum(row.exits.values())
    most = sorted(row.exits.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(
        f"{reason} {count / total:.0%}" for reason, count in most[:most_shown]
    )


def _count(value: float) -> str:
    """A number in at most six columns, below a billion."""
    if abs(value) < 9999.5:
        return f"{value:,.0f}"
    if abs(value) < 999_500:
        return f"{value / 1e3:.0f} k"
    return f"{value / 1e6:.1f} M"


def _time(ns: float) -> str:
    if abs(ns) >= 1e5 or ns == 0:
        return f"{ns / 1e6:.1f} ms"
    return f"{ns / 1e3:.1f} us"


def _cut(line: Line, width: int) -> Line:
    text = "".join(letter if letter.isprintable() else "?" for letter in line.text)
    if len(text) > width:
        text = f"{text[: width - 1]}…"
    # As bars over the whole screen.
    return Line(text.ljust(width) if "reverse" in line.style else text, line.style)
