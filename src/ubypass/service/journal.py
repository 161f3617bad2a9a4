# SPDX-License-Identifier: GPL-2.0-only
"""Lines for the journal: one for each event, as key=value words or as JSON.

    event=attached pid=812 name=redis-server rule=redis

Frequent events of one kind are counted instead of written. Values that a process
chooses, such as its name, are quoted, so that they cannot forge lines or keys.
"""

from __future__ import annotations

import contextlib
import enum
import json
import re
import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["Journal", "Level"]

#: Version of the lines as JSON; new keys do not change it.
_VERSION = 1
_PLAIN = re.compile(r"[\w./:@%+,-]+", re.ASCII)
_MOST = 20  # lines of one kind in a window
_SECONDS = 10.0  # length of the window

Value = str | int | float | bool | None


class Level(enum.IntEnum):
    """Levels of syslog, which journald reads at the start of a line."""

    ERROR = 3
    WARNING = 4
    INFO = 6


class Journal:
    """Writes to ``out``. ``levels``: each line begins with its level, as ``<6>``."""

    def __init__(
        self,
        out: TextIO,
        *,
        as_json: bool = False,
        levels: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._as_json = as_json
        self._levels = levels
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def say(self, event: str, level: Level = Level.INFO, **facts: Value) -> None:
        """Write an event with the keys ``facts``. Never fails."""
        suppressed = self._suppressed(event)
        if suppressed is None:
            return
        if suppressed:
            facts["suppressed"] = suppressed
        if self._as_json:
            kind = {"event": event, "level": level.name.lower()}
            line = json.dumps({"version": _VERSION, **kind, **facts})
        else:
            words = [f"event={event}"]
            words += [f"{k}={_word(v)}" for k, v in facts.items() if v is not None]
            line = " ".join(words)
        if self._levels:
            line = f"<{int(level)}>{line}"
        with contextlib.suppress(OSError, ValueError):
            print(line, file=self._out, flush=True)

    def _suppressed(self, event: str) -> int | None:
        """None: suppress this event; else the number suppressed before this one."""
        now = self._clock()
        began, count = self._told.get(event, (now, 0))
        left_out = 0
        if now - began > _SECONDS:
            began, left_out, count = now, max(0, count - _MOST), 0
        self._told[event] = (began, count + 1)
        return left_out if count < _MOST else None


def _word(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
